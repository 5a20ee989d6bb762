"""What grants need remembered. `gateway.store` implements it; every method is one atomic decision.

All raise `AvailabilityError` (``STORE_UNAVAILABLE``) when the database cannot answer or cannot write, and in
that case nothing was changed. Times are seconds since the epoch; a *digest* is `opaque.digest_of` a value.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.tokens.authorization import Authorization, AuthorizationCode, AuthorizationRequest


@dataclass(frozen=True, slots=True)
class NewRefreshToken:
    """A refresh token to be remembered. `expire_time` is absolute, `idle_expire_time` moves with use."""

    digest: bytes
    idle_expire_time: float
    expire_time: float


@dataclass(frozen=True, slots=True)
class NewGrant:
    """A grant to be remembered until `expire_time`, when nothing issued from it can be valid any more."""

    authorization: Authorization
    create_time: float
    expire_time: float


@dataclass(frozen=True, slots=True)
class StoredCode:
    """A code; `grant_id` is what it was used for, None where it was not used yet."""

    code: AuthorizationCode
    grant_id: str | None


@dataclass(frozen=True, slots=True)
class StoredRefreshToken:
    """A refresh token and its grant. `consumed`: it was rotated away."""

    digest: bytes
    authorization: Authorization
    issue_time: float
    idle_expire_time: float
    expire_time: float
    consumed: bool
    revoked: bool


class PushedRequestRepository(Protocol):
    """Authorization requests that wait for their user (RFC 9126)."""

    async def insert(self, digest: bytes, request: AuthorizationRequest, *, expire_time: float) -> None:
        """Remember *request* until *expire_time*."""
        ...

    async def find(self, digest: bytes, *, now: float) -> AuthorizationRequest | None:
        """The request, unless it expired or was used."""
        ...


class CodeRepository(Protocol):
    """Authorization codes."""

    async def insert(self, digest: bytes, code: AuthorizationCode, *, pushed: bytes | None) -> bool:
        """Remember *code* and use up the pushed request of digest *pushed*, in one transaction.

        False, with nothing changed, where that request was used meanwhile. It may have expired: a user may
        take longer to log in than a client to send the browser.
        """
        ...

    async def find(self, digest: bytes) -> StoredCode | None:
        """The code, used or expired ones included for as long as they are kept, or None."""
        ...

    async def use(self, digest: bytes, grant: NewGrant, refresh: NewRefreshToken | None) -> bool:
        """Use the code and remember *grant* and *refresh*, together; True for exactly one caller."""
        ...

    async def revoke_replayed(self, digest: bytes, *, now: float) -> None:
        """Revoke the grant that the code was used for, where there is one."""
        ...


class RefreshTokenRepository(Protocol):
    """Refresh tokens, in families: a family is a grant."""

    async def find(self, digest: bytes) -> StoredRefreshToken | None:
        """The token as it is now, or None."""
        ...

    async def touch(self, digest: bytes, *, idle_expire_time: float) -> bool:
        """Let it live on without rotation; False where it was consumed or revoked meanwhile."""
        ...

    async def rotate(self, digest: bytes, successor: NewRefreshToken, *, sealed: bytes, now: float) -> bool:
        """Consume the token and remember *successor*, together; True for exactly one caller.

        *sealed* is the successor itself, readable to nobody but who presents the consumed token.
        """
        ...

    async def replay(self, digest: bytes, *, now: float, grace: float, max_replays: int) -> bytes | None:
        """The sealed successor of a consumed token, or None after revoking the whole grant, in one decision.

        It is given out within *grace* seconds of the consumption, at most *max_replays* times, and while it
        was not used itself.
        """
        ...


class GrantRepository(Protocol):
    """Grants, as the unit of revocation."""

    async def revoke(self, grant_id: str, *, now: float) -> bool:
        """Revoke it, durably before returning; False where it was revoked already or is not known.

        A revocation takes the next number of the sequence that revocations of tokens share.
        """
        ...

    async def is_revoked(self, grant_id: str) -> bool:
        """Whether it is revoked, or not known: then nothing issued from it can be valid."""
        ...

    async def revoked_among(self, grant_ids: Sequence[str]) -> frozenset[str]:
        """Those of up to 1,000 *grant_ids* for which `is_revoked` is true, in one statement."""
        ...


class OpaqueTokenRepository(Protocol):
    """Access tokens whose holders hold a reference only."""

    async def insert(self, tokens: Sequence[tuple[bytes, bytes, float]]) -> None:
        """Remember (digest, claims as JSON octets, expire_time) of each token, all or none."""
        ...

    async def find(self, digest: bytes) -> bytes | None:
        """The claims of the token, expired or not, or None."""
        ...
