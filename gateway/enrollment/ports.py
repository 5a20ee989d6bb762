"""What enrollment needs remembered. `gateway.store` implements it; every method is one atomic decision.

All raise `AvailabilityError` (``STORE_UNAVAILABLE``) when the database cannot answer or cannot write, and in
that case nothing was changed. Times are seconds since the epoch unless they are datetimes, which are UTC.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from gateway.enrollment.model import Account, Order
from gateway.pki.crl import RevocationReason, RevokedEntry


@dataclass(frozen=True, slots=True)
class SingleUse:
    """Something that may be used once until *expire_time*; see `gateway.proofs.replay`."""

    kind: str
    value: str
    expire_time: float


@dataclass(frozen=True, slots=True)
class Reservation:
    """A certificate about to be signed: its number is taken and its content decided.

    - *serial*: unique among all certificates of this gateway.
    - *issue_time*: what the validity is reckoned from, so that signing again signs the same.
    - *issuer_key_id*: the CA's subject key identifier, hex.
    - *lease_time*: until when whoever holds the reservation signs undisturbed.
    """

    certificate_id: str
    serial: int
    order_id: str | None
    account_id: str | None
    provisioner: str
    issuer_key_id: str
    request_der: bytes = field(repr=False)
    issue_time: float
    lease_time: float


@dataclass(frozen=True, slots=True)
class Certificate:
    """An issued certificate, as DER, with the PEM of the chain above it.

    *spki_sha256* is over its SubjectPublicKeyInfo. *revoke_time* and *revoke_reason* are None for one that is
    not revoked.
    """

    certificate_id: str
    serial: int
    order_id: str | None
    account_id: str | None
    provisioner: str
    issuer_key_id: str
    der: bytes = field(repr=False)
    issuer_pem: bytes = field(repr=False)
    not_before: datetime
    not_after: datetime
    spki_sha256: bytes
    revoke_time: float | None = None
    revoke_reason: RevocationReason | None = None


@dataclass(frozen=True, slots=True)
class ExternalAccountKey:
    """A key that binds an account to something known elsewhere (RFC 8555 §7.3.4). It binds one account.

    *secret* is the HMAC key, 32 octets. *reference* is the administrator's own word for whom it is for.
    """

    key_id: str
    provisioner: str
    secret: bytes = field(repr=False)
    reference: str
    create_time: float
    expire_time: float
    account_id: str | None = None
    bind_time: float | None = None


@dataclass(frozen=True, slots=True)
class Crl:
    """A published list. *number* grows by one with each of its issuer's."""

    issuer_key_id: str
    number: int
    this_update: float
    next_update: float
    der: bytes = field(repr=False)


class AccountRepository(Protocol):
    """Accounts, one for each key of an owner within a provisioner."""

    async def create(self, account: Account, *, now: float) -> tuple[Account, bool]:
        """Insert *account*, and bind its external key; or the account that its key has already, and False.

        Raises `AuthorizationError` EXTERNAL_ACCOUNT_REQUIRED where the external key is bound or over.
        """
        ...

    async def get(self, account_id: str) -> Account | None:
        """The account as it is now, or None."""
        ...

    async def find(self, provisioner: str, owner: str, thumbprint: str) -> Account | None:
        """The owner's account with that key, or None."""
        ...

    async def change(self, account_id: str, step: Callable[[Account], Account]) -> Account:
        """Store what *step* makes of the account as it is.

        What *step* raises changes nothing. Raises `StateError`: ACCOUNT_NOT_FOUND, and ACCOUNT_KEY_IN_USE
        where the owner has another account with the new key.
        """
        ...


class OrderRepository(Protocol):
    """Orders, with their authorizations and challenges."""

    async def create(self, order: Order, *, replaced: str | None = None) -> None:
        """Insert *order*, and mark the certificate with the id *replaced* as replaced by it, together.

        Of several that replace one certificate exactly one succeeds. Raises `StateError`: ALREADY_REPLACED
        where another order does that is not invalid (RFC 9773 §5), and ENROLLMENT_NOT_FOUND where the
        certificate is gone.
        """
        ...

    async def get(self, order_id: str) -> Order | None:
        """The order as it was last stored, or None."""
        ...

    async def by_authorization(self, authorization_id: str) -> Order | None:
        """The order that the authorization belongs to, or None."""
        ...

    async def list_ids(self, account_id: str, *, after: str | None, limit: int) -> Sequence[str]:
        """Up to *limit* ids of the account's orders that sort after *after*."""
        ...

    async def unexpired(self, account_id: str, *, now: float, limit: int) -> Sequence[Order]:
        """Up to *limit* of the account's orders whose time is not over at *now*, as they were last stored."""
        ...

    async def change(
        self, order_id: str, step: Callable[[Order], Order], *, uses: Sequence[SingleUse] = ()
    ) -> Order:
        """Store what the pure *step* makes of the order as it is, and use up *uses*, together.

        What *step* raises changes nothing; nor does one of *uses* that was used
        before, which raises `UsedError`. Raises `StateError` ENROLLMENT_NOT_FOUND.
        """
        ...


class UsedError(Exception):
    """Something that works once was used before."""


class CertificateRepository(Protocol):
    """Certificates from their reservation on; revocations; lists."""

    async def reserve(self, reservation: Reservation, step: Callable[[Order], Order] | None) -> Order | None:
        """Take the serial number, and store what *step* makes of the order, together; exactly one succeeds.

        Raises what *step* raises; `StateError` ENROLLMENT_NOT_FOUND; `AvailabilityError` where the serial is
        taken, which a new one mends.
        """
        ...

    async def take_over(self, order_id: str, *, now: float, lease_time: float) -> Reservation | None:
        """The reservation of an order whose lease is over, leased anew to exactly one caller; else None."""
        ...

    async def release(self, certificate_id: str) -> None:
        """End the lease at once: whoever held it could not sign."""
        ...

    async def complete(
        self, certificate: Certificate, step: Callable[[Order], Order] | None
    ) -> tuple[Certificate, Order | None]:
        """Store the signed certificate and what *step* makes of the order, together; both are returned.

        The certificate that was stored first is the one that exists, and is returned without an order. Raises
        `StateError` ENROLLMENT_NOT_FOUND where the reservation was given up.
        """
        ...

    async def abandon(self, certificate_id: str, order_id: str, step: Callable[[Order], Order]) -> bool:
        """Forget the reservation and store what *step* makes of its order, together; False once signed."""
        ...

    async def get(self, certificate_id: str) -> Certificate | None:
        """An issued certificate, or None."""
        ...

    async def by_serial(self, issuer_key_id: str, serial: int) -> Certificate | None:
        """An issued certificate by its issuer and number, or None."""
        ...

    async def revoke(self, certificate_id: str, *, reason: RevocationReason, now: float) -> bool:
        """Revoke it, durably before returning; False where it was revoked already. One caller gets True."""
        ...

    async def revoked(self, issuer_key_id: str, *, now: float, limit: int) -> Sequence[RevokedEntry]:
        """Up to *limit* revoked certificates of the issuer that have not expired, in order of revocation."""
        ...

    async def last_revocation(self, issuer_key_id: str) -> float | None:
        """When a certificate of the issuer was last revoked, or None."""
        ...

    async def latest_crl(self, issuer_key_id: str) -> Crl | None:
        """The list with the highest number, or None."""
        ...

    @property
    def last_crl_number(self) -> int:
        """No list that is not known any more had a higher number (RFC 5280 §5.2.3)."""
        ...

    async def publish_crl(self, crl: Crl) -> Crl:
        """Store *crl*; or the one that another replica stored under its number first, which is returned."""
        ...


class ExternalAccountRepository(Protocol):
    """Keys for external account binding."""

    async def create(self, key: ExternalAccountKey) -> None:
        """Insert *key*."""
        ...

    async def get(self, key_id: str) -> ExternalAccountKey | None:
        """The key, or None."""
        ...

    async def list(self, provisioner: str, *, after: str | None, limit: int) -> Sequence[ExternalAccountKey]:
        """Up to *limit* keys whose id sorts after *after*."""
        ...

    async def delete(self, key_id: str) -> bool:
        """Delete it; False where there is none. The account that it bound stays."""
        ...
