"""Accounts, orders, authorizations and challenges as values (RFC 8555 §7.1).

Times are seconds since the epoch. Nothing here changes: `gateway.enrollment.transitions` makes the next value
of one, and the database decides which next value becomes the one that holds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from gateway.enrollment.identifiers import Identifier
from gateway.jose.jwk import Jwk

_NO_EVIDENCE: Final[Mapping[str, str]] = MappingProxyType({})


class AccountStatus(StrEnum):
    """RFC 8555 §7.1.2."""

    VALID = "valid"
    DEACTIVATED = "deactivated"
    REVOKED = "revoked"


class OrderStatus(StrEnum):
    """RFC 8555 §7.1.3."""

    PENDING = "pending"
    READY = "ready"
    PROCESSING = "processing"
    VALID = "valid"
    INVALID = "invalid"


class AuthorizationStatus(StrEnum):
    """RFC 8555 §7.1.4."""

    PENDING = "pending"
    VALID = "valid"
    INVALID = "invalid"
    DEACTIVATED = "deactivated"
    EXPIRED = "expired"
    REVOKED = "revoked"


class ChallengeStatus(StrEnum):
    """RFC 8555 §8. Validation is synchronous here, so that none is ever `PROCESSING` for others to see."""

    PENDING = "pending"
    VALID = "valid"
    INVALID = "invalid"


class ChallengeType(StrEnum):
    """How control over an identifier is shown."""

    WIRE_OIDC = "wire-oidc-01"
    WIRE_DPOP = "wire-dpop-01"
    HTTP = "http-01"
    DNS = "dns-01"
    TLS_ALPN = "tls-alpn-01"


@dataclass(frozen=True, slots=True)
class Account:
    """Who orders: a key, within one provisioner.

    *owner* is the name of the caller that made it over gRPC, empty for one made over ACME: only the same door
    and the same owner can use it. *external_key_id* names the binding key (RFC 8555 §7.3.4), or is None.
    """

    account_id: str
    provisioner: str
    owner: str
    key: Jwk
    status: AccountStatus
    contact: tuple[str, ...]
    terms_agreed: bool
    external_key_id: str | None
    create_time: float

    @property
    def thumbprint(self) -> str:
        """The RFC 7638 SHA-256 thumbprint of the account's key."""
        return self.key.thumbprint

    def key_authorization(self, token: str) -> str:
        """RFC 8555 §8.1; always SHA-256, whatever the key's curve."""
        return f"{token}.{self.thumbprint}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Why something is invalid: an ACME error type (RFC 8555 §6.7) without its URN, and a sentence."""

    type: str
    detail: str


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to show control. *evidence* is what a valid answer established, kept with its own order."""

    challenge_id: str
    type: ChallengeType
    token: str
    status: ChallengeStatus = ChallengeStatus.PENDING
    validate_time: float | None = None
    error: Problem | None = None
    evidence: Mapping[str, str] = field(default_factory=lambda: _NO_EVIDENCE)


@dataclass(frozen=True, slots=True)
class Authorization:
    """Control over one identifier. With *all_required* every challenge must be valid, else any one."""

    authorization_id: str
    identifier: Identifier
    status: AuthorizationStatus
    expire_time: float
    challenges: tuple[Challenge, ...]
    all_required: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """A certificate asked for, with everything that must be shown for it.

    *not_before* and *not_after* are wishes, in UTC, None where there is none. *replaces* is the renewal
    identifier of the certificate that this one replaces (RFC 9773 §5), or None.
    """

    order_id: str
    account_id: str
    provisioner: str
    status: OrderStatus
    identifiers: tuple[Identifier, ...]
    authorizations: tuple[Authorization, ...]
    not_before: datetime | None
    not_after: datetime | None
    create_time: float
    expire_time: float
    certificate_id: str | None = None
    error: Problem | None = None
    replaces: str | None = None

    def authorization(self, authorization_id: str) -> Authorization | None:
        """The authorization of that id, or None."""
        return next((a for a in self.authorizations if a.authorization_id == authorization_id), None)

    def evidence(self, kind: ChallengeType) -> Mapping[str, str] | None:
        """What the valid challenge of *kind* established in this order; None where there is none."""
        for authorization in self.authorizations:
            for challenge in authorization.challenges:
                if challenge.type is kind and challenge.status is ChallengeStatus.VALID:
                    return challenge.evidence
        return None


def challenge_of(authorization: Authorization, challenge_id: str) -> Challenge | None:
    """The challenge of that id, or None."""
    return next((c for c in authorization.challenges if c.challenge_id == challenge_id), None)
