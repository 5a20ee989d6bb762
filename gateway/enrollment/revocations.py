"""After issuing: revocation (RFC 8555 §7.6), lists of the revoked, renewal information (RFC 9773)."""

import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.audit.events import CertificateRevoked
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.enrollment import transitions
from gateway.enrollment.authorities import IssuingAuthority, moment, unavailable
from gateway.enrollment.certified_names import names_in
from gateway.enrollment.identifiers import shown_names
from gateway.enrollment.model import Account, AuthorizationStatus
from gateway.enrollment.ports import Certificate, CertificateRepository, Crl, OrderRepository
from gateway.enrollment.provisioners import Provisioners
from gateway.errors import AuthorizationError, Reason, RequestError, StateError
from gateway.jose import base64url
from gateway.jose.errors import JoseError
from gateway.jose.jwk import Jwk
from gateway.jose.strict_json import parse_object
from gateway.pki.crl import MAX_ENTRIES, CrlHeader, RevocationReason, make_crl
from gateway.pki.issuance_errors import IssuingError, RevocationError
from gateway.pki.issuing_ca import extension
from gateway.pki.renewal import RenewalIdentifier, RenewalWindow, suggested_window
from signers.jose_form import thumbprint

logger = logging.getLogger(__name__)

ACCEPTED_REASONS: Final = frozenset(
    {
        RevocationReason.UNSPECIFIED,
        RevocationReason.KEY_COMPROMISE,
        RevocationReason.AFFILIATION_CHANGED,
        RevocationReason.SUPERSEDED,
        RevocationReason.CESSATION_OF_OPERATION,
        RevocationReason.PRIVILEGE_WITHDRAWN,
    }
)
"""Holds cannot be lifted here, and only a CA says that a CA was compromised."""

MAX_ORDERS_SEARCHED: Final = 500
CRL_LIFETIME: Final = 24 * 3600.0
"""Seconds from a list's thisUpdate to its nextUpdate; a new one is made after half of that."""
CRL_DELAY: Final = 60.0
"""Seconds within which a revocation appears on a new list."""
COMMIT_DELAY: Final = 60.0
"""Seconds that a revocation's time may lie before the moment from which others see it: its commit took so
long, or its replica's clock is behind. A list that is made within them is made once more."""
RENEWAL_POLL: Final = timedelta(hours=6)
"""How long a client should wait before it asks for renewal information again (RFC 9773 §4.3)."""


@dataclass(frozen=True, slots=True)
class RenewalInfo:
    """When to renew a certificate."""

    window: RenewalWindow
    retry_after: timedelta


class Revocations:
    """Revokes, and tells what was revoked."""

    def __init__(
        self,
        *,
        certificates: CertificateRepository,
        orders: OrderRepository,
        provisioners: Provisioners,
        clock: Clock,
        trail: AuditTrail = NO_TRAIL,
    ) -> None:
        self._certificates = certificates
        self._orders = orders
        self._provisioners = provisioners
        self._clock = clock
        self._trail = trail

    async def revoke_by_account(self, account: Account, der: bytes, reason: RevocationReason) -> Certificate:
        """Revoke a certificate that was issued to *account*, or for whose every name it holds authorizations.

        Raises `RequestError` BAD_REVOCATION_REASON, `StateError` (ENROLLMENT_NOT_FOUND, ALREADY_REVOKED),
        `AuthorizationError` ACCOUNT_UNUSABLE for another's certificate; `AvailabilityError`.
        """
        certificate = await self._find(der)
        if certificate.account_id != account.account_id and not await self._holds(account, certificate):
            raise AuthorizationError(
                Reason.ACCOUNT_UNUSABLE, "The certificate was issued to another account."
            )
        return await self._revoke(certificate, reason)

    async def revoke_by_key(self, key: Jwk, der: bytes, reason: RevocationReason) -> Certificate:
        """Revoke the certificate of *key*, which has signed the request; raises as `revoke_by_account`."""
        certificate = await self._find(der)
        certified = x509.load_der_x509_certificate(certificate.der).public_key()
        if thumbprint(certified) != key.thumbprint:  # type: ignore[arg-type]  # Only such keys are certified.
            raise AuthorizationError(
                Reason.ACCOUNT_UNUSABLE, "The request is not signed by the certificate's key."
            )
        return await self._revoke(certificate, reason)

    async def renewal_info(self, identifier: str) -> RenewalInfo:
        """When to renew the certificate that the RFC 9773 §4.1 *identifier* names; open to everybody.

        Raises `RequestError` INVALID_FIELD, `StateError` ENROLLMENT_NOT_FOUND.
        """
        try:
            parsed = RenewalIdentifier.parse(identifier)
        except RevocationError as error:
            raise RequestError(
                Reason.INVALID_FIELD, "It is not a renewal identifier.", field="certificate"
            ) from error
        found = await self._certificates.by_serial(parsed.key_identifier.hex(), parsed.serial)
        if found is None:
            raise _missing()
        revoked_at = None if found.revoke_time is None else moment(found.revoke_time)
        window = suggested_window(found.not_before, found.not_after, revoked_at=revoked_at)
        return RenewalInfo(window, RENEWAL_POLL)

    def ca(self, provisioner: str, issuer: str | None) -> IssuingAuthority:
        """The provisioner's CA with the subject key identifier *issuer*, hex. For None the only one, as
        certificates under a fixed chain name its list, or else the one that issues.

        Raises `StateError` ENROLLMENT_NOT_FOUND, `AvailabilityError` NO_ACTIVE_KEY.
        """
        found = self._provisioners.get(provisioner)
        if issuer is None:
            known = found.authority.known()
            return known[0] if len(known) == 1 else found.authority.issuing()
        authority = found.ca(issuer)
        if authority is None:
            raise StateError(
                Reason.ENROLLMENT_NOT_FOUND, "There is no such CA.", field="issuer_key_identifier"
            )
        return authority

    async def crl(self, provisioner: str, issuer: str | None = None) -> Crl:
        """The current list of the CA that `ca` finds, made now where the last one is stale.

        It is stale after half of its time, or when a certificate was revoked since and it is `CRL_DELAY` old.
        Replicas that make one at once publish one. Raises as `ca`, and `AvailabilityError`, `SignerError`.
        """
        authority = self.ca(provisioner, issuer)
        latest = await self._certificates.latest_crl(authority.key_id)
        if latest is not None and not await self._is_stale(latest):
            return latest
        known = 0 if latest is None else latest.number
        return await self._publish(authority, max(known, self._certificates.last_crl_number) + 1)

    async def _holds(self, account: Account, certificate: Certificate) -> bool:
        """Whether *account* has valid authorizations for all that the certificate names (RFC 8555 §7.6).

        Among `MAX_ORDERS_SEARCHED` of its orders, so that nobody has the database searched for long. An
        authorization ends with its order, so only those are read whose time is not over.
        """
        if certificate.account_id is None or certificate.provisioner != account.provisioner:
            return False
        now = self._clock()
        orders = await self._orders.unexpired(account.account_id, now=now, limit=MAX_ORDERS_SEARCHED)
        missing = set(names_in(certificate.der))
        for order in orders:
            for each in transitions.as_of(order, now).authorizations:
                if each.status is AuthorizationStatus.VALID:
                    missing -= shown_names(each.identifier)
        return not missing

    async def _is_stale(self, crl: Crl) -> bool:
        now = self._clock()
        if now >= crl.this_update + (crl.next_update - crl.this_update) / 2:
            return True
        if now < crl.this_update + CRL_DELAY:
            return False
        last = await self._certificates.last_revocation(crl.issuer_key_id)
        return last is not None and last > crl.this_update - COMMIT_DELAY

    async def _publish(self, authority: IssuingAuthority, number: int) -> Crl:
        ca = authority.current()
        now = float(int(self._clock()))
        entries = await self._certificates.revoked(authority.key_id, now=now, limit=MAX_ENTRIES + 1)
        header = CrlHeader(number, moment(now), moment(now + CRL_LIFETIME))
        try:
            der = await make_crl(ca, header, entries)
        except IssuingError as error:
            raise unavailable(error) from error
        return await self._certificates.publish_crl(
            Crl(authority.key_id, number, now, now + CRL_LIFETIME, der)
        )

    async def _find(self, der: bytes) -> Certificate:
        """The certificate that *der* is, octet for octet."""
        try:
            presented = x509.load_der_x509_certificate(der)
            authority = extension(presented, x509.AuthorityKeyIdentifier)
            encoded = presented.public_bytes(Encoding.DER)
        except (ValueError, IssuingError) as error:
            raise RequestError(
                Reason.INVALID_FIELD, "It is not a certificate in DER.", field="certificate_der"
            ) from error
        if authority is None or authority.value.key_identifier is None:
            raise _missing()
        key_id = authority.value.key_identifier.hex()
        found = await self._certificates.by_serial(key_id, presented.serial_number)
        if found is None or found.der != encoded:
            raise _missing()
        return found

    async def _revoke(self, certificate: Certificate, reason: RevocationReason) -> Certificate:
        if reason not in ACCEPTED_REASONS:
            raise RequestError(
                Reason.BAD_REVOCATION_REASON,
                "The reason is not one that is accepted.",
                field="reason",
                metadata={"reason": reason.value},
            )
        async with self._trail.around(_revoked(certificate, reason)):
            revoked = await self._certificates.revoke(
                certificate.certificate_id, reason=reason, now=self._clock()
            )
            if not revoked:
                raise StateError(Reason.ALREADY_REVOKED, "The certificate is revoked already.")
        logger.info(
            "certificate revoked",
            extra={
                "provisioner": certificate.provisioner,
                "serial_number": f"{certificate.serial:040x}",
                "reason": reason.value,
            },
        )
        stored = await self._certificates.get(certificate.certificate_id)
        return stored if stored is not None else certificate


def _revoked(certificate: Certificate, reason: RevocationReason) -> CertificateRevoked:
    return CertificateRevoked(
        provisioner=certificate.provisioner,
        account_id=certificate.account_id,
        serial_number=f"{certificate.serial:040x}",
        issuer_key_id=certificate.issuer_key_id,
        revocation_reason=reason.value,
    )


def parse_revocation(payload: bytes) -> tuple[bytes, RevocationReason]:
    """The certificate's DER and the reason from a revokeCert payload (RFC 8555 §7.6).

    Raises `RequestError`: INVALID_FIELD, BAD_REVOCATION_REASON.
    """
    try:
        members = parse_object(payload)
        encoded, code = members.get("certificate"), members.get("reason", 0)
        if not isinstance(encoded, str):
            raise RequestError(Reason.INVALID_FIELD, "The certificate is missing.", field="certificate")
        # Some clients pad, which RFC 8555 §6.1 forbids; nothing depends on there being one spelling.
        der = base64url.decode(encoded.rstrip("="))
    except JoseError as error:
        raise RequestError(Reason.INVALID_FIELD, "The payload is malformed.", field="payload") from error
    try:
        # Anything but a number of the table is none, also a boolean or a text.
        return der, RevocationReason.of_code(code if type(code) is int else -1)
    except ValueError as error:
        raise RequestError(
            Reason.BAD_REVOCATION_REASON, "The reason is not one that is accepted.", field="reason"
        ) from error


def _missing() -> StateError:
    return StateError(Reason.ENROLLMENT_NOT_FOUND, "There is no such certificate.", field="certificate")
