"""Delegated keys: short-lived keys that a key in an HSM or KMS certifies, to sign in its place.

An HSM or KMS signs tens to a thousand times a second; a key in memory signs as fast as the processor does.
Where that is not enough, the slow key of purpose ``delegation`` signs one certificate for each period of a
key in a file, and that key signs the tokens (published with its chain as ``x5c``, RFC 7517 §4.7) or, as an
intermediate CA, the certificates. Whoever steals the file can sign until the certificate ends or its issuer
is disabled, which disables everything that it certified; docs/hsm.md weighs this.
"""

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.clock import Clock, to_datetime
from gateway.errors import AvailabilityError, Reason, StateError
from gateway.keys.keyring import Keyring
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.pki.issuance_errors import IssuingError
from gateway.pki.issuing_ca import IssuingCa
from gateway.pki.serials import new_serial
from gateway.pki.signing import sign_certificate
from signers import Signer

logger = logging.getLogger("audit")

BACKDATE: Final = timedelta(minutes=5)
"""How far a verifier's clock may be behind."""

_NO_USAGE: Final = dict.fromkeys(
    (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    ),
    False,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Delegation:
    """What makes a key a delegated one; see `KeyRecord`."""

    chain_pem: bytes
    issuer_key_id: str
    sign_until: float


class Delegator:
    """Certifies keys with the one active key of purpose ``delegation``."""

    def __init__(self, keyring: Keyring, clock: Clock) -> None:
        self._keyring = keyring
        self._clock = clock

    async def certify(
        self, signer: Signer, purpose: KeyPurpose, *, signs_for: timedelta, honored_for: timedelta
    ) -> Delegation:
        """Let *signer*'s key sign for *purpose* during *signs_for*, and what it signs live *honored_for*.

        Both are cut to what the issuer's own certificate allows. Raises `StateError` KEY_STATE_CONFLICT where
        there is no issuer, or several, or one without a fit certificate, `AvailabilityError` NO_ACTIVE_KEY
        where its signer is not open, `SignerError`.
        """
        record, issuer = self._issuer()
        now = to_datetime(self._clock())
        try:
            ca = IssuingCa.open(record.chain_pem, issuer, now)
            not_after = min(now + signs_for + honored_for, ca.not_after).replace(microsecond=0)
            sign_until = not_after - honored_for
            if sign_until <= now:
                raise _conflict("The certificate of the delegating key ends too soon.", "issuer_expires")
            certificate = await sign_certificate(_certificate(ca, signer, purpose, now, not_after), issuer)
            chain_pem = certificate.public_bytes(Encoding.PEM) + record.chain_pem
            if purpose is KeyPurpose.CERTIFICATES:
                IssuingCa.open(chain_pem, signer, now)
                # Nothing that it issues outlives it, and all of it needs revocation lists to the end.
                sign_until = not_after
        except IssuingError as error:
            raise _conflict(
                "The certificate of the delegating key does not allow this.", error.code.value
            ) from error
        logger.info(
            "delegated",
            extra={"key_id": signer.key_id, "issuer_key_id": record.key_id, "purpose": purpose.value},
        )
        return Delegation(chain_pem, record.key_id, sign_until.timestamp())

    def _issuer(self) -> tuple[KeyRecord, Signer]:
        view = self._keyring.view
        issuers = [
            record
            for record in view.records
            if record.purpose is KeyPurpose.DELEGATION and record.state is KeyState.ACTIVE
        ]
        if len(issuers) != 1:
            raise _conflict(
                "No key of purpose delegation is active."
                if not issuers
                else "Keys of purpose delegation are active for several algorithms; one must be.",
                "delegating_keys",
            )
        (record,) = issuers
        if not record.chain_pem:
            raise _conflict("The delegating key has no certificate; import one.", "no_certificate")
        signer = view.signers.get(record.key_id)
        if signer is None:
            raise AvailabilityError(
                Reason.NO_ACTIVE_KEY,
                "The delegating key is not open.",
                metadata={"purpose": KeyPurpose.DELEGATION.value},
            )
        return record, signer


def _certificate(
    ca: IssuingCa, signer: Signer, purpose: KeyPurpose, now: datetime, not_after: datetime
) -> x509.CertificateBuilder:
    """RFC 5280 §4.2.1: a CA that issues end-entity certificates only, or an end entity that signs."""
    issues = purpose is KeyPurpose.CERTIFICATES
    usage = _NO_USAGE | ({"key_cert_sign": True, "crl_sign": True} if issues else {"digital_signature": True})
    return (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, signer.key_id)]))
        .issuer_name(ca.certificate.subject)
        .public_key(signer.public_key)
        .serial_number(new_serial())
        .not_valid_before(max(now - BACKDATE, ca.not_before).replace(microsecond=0))
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(issues, 0 if issues else None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(signer.public_key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier(ca.key_identifier, None, None),
            critical=False,
        )
    )


def _conflict(message: str, cause: str) -> StateError:
    return StateError(Reason.KEY_STATE_CONFLICT, message, metadata={"fault": cause}, cause=cause)
