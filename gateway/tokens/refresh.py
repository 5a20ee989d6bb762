"""The refresh token grant (RFC 6749 §6, RFC 9700 §4.14): families, rotation, reuse.

What a caller must show is checked before it matters whether a token was used: who stole a used token without
its key, or without the client's credentials, cannot have the family revoked by presenting it.
"""

import logging
from dataclasses import dataclass
from typing import Final

from gateway.audit.events import GrantRevoked, RefreshTokenReused
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.principal import Call
from gateway.tokens.binding import held_by
from gateway.tokens.client import Client, ClientAuthenticationMethod
from gateway.tokens.grant_ports import NewRefreshToken, RefreshTokenRepository, StoredRefreshToken
from gateway.tokens.grants import (
    Granted,
    RefreshToken,
    RefreshTokenGrant,
    TokenRequest,
    invalid_grant,
    narrowed_audience,
    narrowed_scope,
    require_grant_type,
)
from gateway.tokens.opaque import OpaqueKind, digest_of, digest_of_new, new_value
from gateway.tokens.successor import seal, unseal

logger = logging.getLogger(__name__)

_TOUCH_PART: Final = 0.01
"""A use moves the idle expiry only by more than this part of it, so that not every refresh writes."""

_BY_KEY: Final = frozenset(
    {
        ClientAuthenticationMethod.TLS_CLIENT_AUTH,
        ClientAuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH,
        ClientAuthenticationMethod.PRIVATE_KEY_JWT,
    }
)


@dataclass(frozen=True, slots=True)
class RefreshPolicy:
    """All in seconds but the last.

    - `idle`: a token that is not used for so long expires; `lifetime`: a family expires after it in any case.
    - `grace`: how long after a rotation the same successor is given out again, for a client that lost the
      answer; 0 takes any second use for theft. `max_replays`: how often it is.
    """

    idle: float
    lifetime: float
    grace: float
    max_replays: int


class RefreshTokens:
    """Issues refresh tokens and decides about their use."""

    def __init__(
        self,
        *,
        repository: RefreshTokenRepository,
        policy: RefreshPolicy,
        clock: Clock,
        trail: AuditTrail = NO_TRAIL,
    ) -> None:
        self._repository = repository
        self._policy = policy
        self._clock = clock
        self._trail = trail

    def first(self, now: float) -> tuple[RefreshToken, NewRefreshToken]:
        """The first token of a family, as it is handed out and as it is remembered."""
        return self._new(now, now + self._policy.lifetime)

    async def decide(self, call: Call, client: Client, request: TokenRequest) -> Granted:
        """A new access token for what was granted before, or less of it.

        Scopes and resources that the client lost meanwhile are left out. Raises `AuthorizationError`
        UNAUTHORIZED_CLIENT, `RequestError` (INVALID_GRANT, INVALID_SCOPE, INVALID_TARGET),
        `AvailabilityError`.
        """
        require_grant_type(client, request)
        assert isinstance(request.grant, RefreshTokenGrant)  # noqa: S101 - the minter chose us by it
        presented = request.grant.refresh_token
        stored = await self._held(call, client, presented)
        authorization = stored.authorization
        scope = tuple(each for each in authorization.scope if each in client.scopes)
        audience = tuple(each for each in authorization.audience if each in client.audiences)
        if not audience:
            raise invalid_grant("audience_withdrawn")
        granted_scope = narrowed_scope(request.scope, scope, scope)
        granted_audience = narrowed_audience(request.resource, audience, audience)
        replayed = await self._replayed(stored, presented) if stored.consumed else None

        async def settle() -> RefreshToken:
            if replayed is not None:
                return replayed
            if rotates(client, stored):
                return await self._rotated(stored, presented)
            return await self._kept(stored, presented)

        return Granted(
            authorization.subject,
            granted_scope,
            granted_audience,
            authentication=authorization.authentication,
            grant_id=authorization.grant_id,
            settle=settle,
        )

    async def _held(self, call: Call, client: Client, presented: str) -> StoredRefreshToken:
        """The token, where it is in force for this very caller. Raises `RequestError` INVALID_GRANT."""
        digest = digest_of(OpaqueKind.REFRESH_TOKEN, presented)
        if digest is None:
            raise invalid_grant("refresh_token_malformed")
        stored = await self._repository.find(digest)
        if stored is None:
            raise invalid_grant("refresh_token_unknown")
        if stored.authorization.client_id != client.client_id:
            raise invalid_grant("refresh_token_of_another_client")
        now = self._clock()
        if now >= stored.expire_time:
            raise invalid_grant("refresh_token_expired")
        if not stored.consumed and now >= stored.idle_expire_time:
            raise invalid_grant("refresh_token_idle_too_long")
        if not held_by(stored.authorization.binding, call):
            raise invalid_grant("refresh_token_binding_mismatch")
        if stored.revoked:
            raise invalid_grant("grant_revoked")
        return stored

    async def _replayed(self, stored: StoredRefreshToken, presented: str) -> RefreshToken:
        """The successor of a used token once more, or the end of its family."""
        policy, authorization = self._policy, stored.authorization
        of = authorization.client_id, authorization.grant_id
        # The database decides and revokes in one step: what it decided is on record after it, that it was
        # asked before.
        await self._trail.record(RefreshTokenReused(*of))
        sealed = await self._repository.replay(
            stored.digest, now=self._clock(), grace=policy.grace, max_replays=policy.max_replays
        )
        if sealed is None:
            logger.warning(
                "A refresh token was used again: its grant is revoked",
                extra={"client_id": authorization.client_id, "grant_id": authorization.grant_id},
            )
            await self._trail.record(GrantRevoked(*of, "refresh_token_reused"))
            raise invalid_grant("refresh_token_reused")
        return RefreshToken(unseal(presented, sealed), stored.expire_time)

    async def _rotated(self, stored: StoredRefreshToken, presented: str) -> RefreshToken:
        now = self._clock()
        successor, remembered = self._new(now, stored.expire_time)
        sealed = seal(presented, successor.value)
        if await self._repository.rotate(stored.digest, remembered, sealed=sealed, now=now):
            return successor
        # Another request with the same token was first; its successor is ours too.
        return await self._replayed(stored, presented)

    async def _kept(self, stored: StoredRefreshToken, presented: str) -> RefreshToken:
        idle = self._clock() + self._policy.idle
        moved = idle - stored.idle_expire_time
        if moved > self._policy.idle * _TOUCH_PART and not await self._repository.touch(
            stored.digest, idle_expire_time=idle
        ):
            raise invalid_grant("refresh_token_consumed_meanwhile")
        return RefreshToken(presented, stored.expire_time)

    def _new(self, now: float, expire_time: float) -> tuple[RefreshToken, NewRefreshToken]:
        value = new_value(OpaqueKind.REFRESH_TOKEN)
        idle = min(now + self._policy.idle, expire_time)
        return RefreshToken(value, expire_time), NewRefreshToken(digest_of_new(value), idle, expire_time)


def rotates(client: Client, stored: StoredRefreshToken) -> bool:
    """Whether a use replaces the token (RFC 9700 §4.14.2).

    Where a key is proven with every use, by the token's own binding or by the client's authentication, a copy
    is of no use to a thief, and rotation could only lose tokens.
    """
    return stored.authorization.binding is None and client.authentication_method not in _BY_KEY
