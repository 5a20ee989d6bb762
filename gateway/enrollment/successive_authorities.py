"""The CAs that a line of keys has had: each key's certificates are those of the key table.

A key that replaces itself (`gateway.keys.rotation`) brings a CA of its own: another name, another key
identifier. The active one issues. The others of the line sign the revocation lists of what they issued, and
the certificates of its OCSP responder, until all of that has expired.
"""

import logging
from collections.abc import Sequence
from typing import Final

from gateway.clock import Clock
from gateway.enrollment.authorities import IssuingAuthority, no_issuing_key
from gateway.keys.keyring import Keyring
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.pki.issuance_errors import IssuingError
from signers import Algorithm

logger = logging.getLogger(__name__)

_RELIED_ON: Final = frozenset({KeyState.PREPARED, KeyState.ACTIVE, KeyState.RETIRING})
"""A prepared CA too: another replica may have issued with it a moment ago."""


class SuccessiveAuthorities:
    """`gateway.enrollment.authorities.CertificateAuthorities`: the keys of purpose ``certificates``."""

    def __init__(self, algorithm: Algorithm, *, keyring: Keyring, clock: Clock) -> None:
        self._algorithm = algorithm
        self._keyring = keyring
        self._clock = clock
        self._records: tuple[KeyRecord, ...] | None = None
        self._by_chain: dict[bytes, IssuingAuthority] = {}

    def issuing(self) -> IssuingAuthority:
        """The CA of the active key. Raises `AvailabilityError` NO_ACTIVE_KEY."""
        for record, authority in self._line():
            if record.state is KeyState.ACTIVE:
                return authority
        raise no_issuing_key("No key that has a certificate is active for certificates.")

    def known(self) -> Sequence[IssuingAuthority]:
        """The CAs of all keys that are prepared, active or retiring, oldest first."""
        return [authority for _, authority in self._line()]

    def _line(self) -> Sequence[tuple[KeyRecord, IssuingAuthority]]:
        records = self._keyring.view.records
        mine = [record for record in records if self._is_mine(record)]
        if records is not self._records:
            self._by_chain = {
                record.chain_pem: authority
                for record in mine
                if (authority := self._by_chain.get(record.chain_pem) or self._open(record)) is not None
            }
            self._records = records
        return [
            (record, self._by_chain[record.chain_pem])
            for record in mine
            if record.chain_pem in self._by_chain
        ]

    def _is_mine(self, record: KeyRecord) -> bool:
        return (
            record.purpose is KeyPurpose.CERTIFICATES
            and record.algorithm is self._algorithm
            and record.state in _RELIED_ON
            and bool(record.chain_pem)
        )

    def _open(self, record: KeyRecord) -> IssuingAuthority | None:
        try:
            return IssuingAuthority(record.chain_pem, keyring=self._keyring, clock=self._clock)
        except IssuingError as error:
            # An imported certificate without a subject key identifier, say: nothing can be issued under it.
            logger.warning(
                "a key's certificate makes no CA", extra={"key_id": record.key_id, "cause": str(error)}
            )
            return None
