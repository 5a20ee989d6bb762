"""Issuing authorities: a chain that an operator configured, and the signer that holds its key."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.clock import Clock
from gateway.errors import AvailabilityError, Reason
from gateway.keys.keyring import Keyring
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.pki.issuance_errors import IssuingError, IssuingFault
from gateway.pki.issuing_ca import IssuingCa, extension, load_chain
from gateway.pki.ocsp_responder import issuer_names
from signers import Signer

logger = logging.getLogger(__name__)
_TIMELY: Final = frozenset({IssuingFault.EXPIRED, IssuingFault.NOT_YET_VALID})


def moment(seconds: float) -> datetime:
    """*seconds* since the epoch as a datetime in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def unavailable(error: IssuingError) -> AvailabilityError:
    """What a caller is told where the CA cannot issue; to be raised from *error*."""
    return AvailabilityError(
        Reason.ISSUER_UNAVAILABLE, "The issuing CA cannot issue now.", cause=error.code.value
    )


class CertificateAuthorities(Protocol):
    """The CAs of a provisioner: the one that issues, and those whose certificates may still be relied on."""

    def issuing(self) -> "IssuingAuthority":
        """The one that issues now. Raises `AvailabilityError`: NO_ACTIVE_KEY."""
        ...

    def known(self) -> "Sequence[IssuingAuthority]":
        """Those that revocation lists and OCSP answers are made for."""
        ...


class IssuingAuthority:
    """One CA, which may be all that a provisioner has: `CertificateAuthorities`.

    It gives the CA as it is now: the same chain, checked anew whenever its signer was opened anew.
    """

    def __init__(self, chain_pem: bytes, *, keyring: Keyring, clock: Clock) -> None:
        """Raises `IssuingError` for a chain that cannot be read."""
        chain = load_chain(chain_pem)
        self.certificate = chain[0]
        """The CA's own certificate."""
        self.key_id = _subject_key_identifier(chain[0]).hex()
        """The subject key identifier, hex."""
        self.issuer_names = issuer_names(chain[0])
        """How OCSP requests name it."""
        self._spki = chain[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self._chain_pem = chain_pem
        self._keyring = keyring
        self._clock = clock
        self._ca: IssuingCa | None = None

    def issuing(self) -> "IssuingAuthority":
        """Itself. Raises `AvailabilityError` NO_ACTIVE_KEY where its key retires, and signs lists alone."""
        record = self._opened()[0]
        if record.state is KeyState.RETIRING:
            raise no_issuing_key("The key of the issuing CA is retiring.")
        return self

    def known(self) -> "Sequence[IssuingAuthority]":
        """Itself."""
        return (self,)

    def current(self) -> IssuingCa:
        """The CA, valid now, with an open signer: to sign revocation lists, and to issue where it may.

        Raises `AvailabilityError`: NO_ACTIVE_KEY where its key is not open, ISSUER_UNAVAILABLE.
        """
        signer = self._opened()[1]
        now = moment(self._clock())
        try:
            if self._ca is None or self._ca.signer is not signer:
                self._ca = IssuingCa.open(self._chain_pem, signer, now)
            self._ca.require_valid_at(now)
        except IssuingError as error:
            raise unavailable(error) from error
        return self._ca

    def check(self) -> None:
        """At start: the chain is right, and for the signer's key where that is open already.

        What time mends or a device that is away does not stop a start, and is logged. Raises `IssuingError`.
        """
        try:
            self.current()
        except AvailabilityError as error:
            cause = error.__cause__
            if isinstance(cause, IssuingError) and cause.code not in _TIMELY:
                raise cause from error
            logger.warning("an issuing CA cannot issue now", extra={"cause": str(cause or error)})

    def _opened(self) -> tuple[KeyRecord, Signer]:
        view = self._keyring.view
        for record in view.records:
            if record.purpose is KeyPurpose.CERTIFICATES and record.public_key_der == self._spki:
                signer = view.signers.get(record.key_id)
                if signer is not None:
                    return record, signer
        raise no_issuing_key("The key of the issuing CA is not open.")


def no_issuing_key(message: str) -> AvailabilityError:
    """What a caller is told where no CA can sign: NO_ACTIVE_KEY."""
    return AvailabilityError(
        Reason.NO_ACTIVE_KEY, message, metadata={"purpose": KeyPurpose.CERTIFICATES.value}
    )


def _subject_key_identifier(certificate: x509.Certificate) -> bytes:
    found = extension(certificate, x509.SubjectKeyIdentifier)
    if found is None:
        raise IssuingError(IssuingFault.MISSING_KEY_IDENTIFIER, "the CA has no subject key identifier")
    return found.value.digest
