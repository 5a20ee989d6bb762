"""Revoking tokens (RFC 7009): by the token, for its own client; by its id, for an administrator.

A refresh token is revoked with its whole grant, which ends its access tokens too (RFC 7009 §2.1).
"""

import re
from typing import Final

from gateway.audit.events import GrantRevoked, TokenRevoked
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.errors import AuthorizationError, Reason, RequestError
from gateway.principal import Call, Role
from gateway.tokens.client_authentication import ClientAuthenticator, ClientCredential
from gateway.tokens.grant_ports import GrantRepository, RefreshTokenRepository
from gateway.tokens.opaque import OpaqueKind, digest_of, is_kind
from gateway.tokens.ports import Revocation, RevocationRepository
from gateway.tokens.verification import AccessTokenVerifier, TokenInvalidError

_TOKEN_ID: Final = re.compile(r"[\x21-\x7e]{1,256}")


class TokenRevoker:
    """Makes tokens inactive before they expire. A revocation is durable before it is acknowledged."""

    def __init__(
        self,
        *,
        authenticator: ClientAuthenticator,
        verifier: AccessTokenVerifier,
        revocations: RevocationRepository,
        grants: GrantRepository,
        refresh_tokens: RefreshTokenRepository,
        max_lifetime: int,
        clock: Clock,
        trail: AuditTrail = NO_TRAIL,
    ) -> None:
        """*max_lifetime*: seconds; a bare id stays revoked for so long, since no token lives longer."""
        self._authenticator = authenticator
        self._verifier = verifier
        self._revocations = revocations
        self._grants = grants
        self._refresh_tokens = refresh_tokens
        self._max_lifetime = max_lifetime
        self._clock = clock
        self._trail = trail

    async def revoke(
        self, call: Call, client_id: str, credential: ClientCredential | None, token: str
    ) -> None:
        """Revoke *token* for the client that it was issued to; idempotent.

        A token that is unknown, malformed or expired is no error: what the caller wants is already so
        (RFC 7009 §2.2). Raises `AuthenticationError` INVALID_CLIENT, `AuthorizationError`
        UNAUTHORIZED_CLIENT for another client's token, `AvailabilityError`.
        """
        client = await self._authenticator.authenticate(call, client_id, credential)
        if is_kind(OpaqueKind.REFRESH_TOKEN, token):
            await self._revoke_grant_of(token, client.client_id)
            return
        try:
            accepted = await self._verifier.verify(token)
        except TokenInvalidError:
            return
        _require_owner(accepted.client_id, client.client_id)
        async with self._trail.around(TokenRevoked(client.client_id, accepted.token_id)):
            await self._revocations.revoke(
                Revocation(accepted.token_id, client.client_id, self._clock(), float(accepted.expire_time))
            )

    async def _revoke_grant_of(self, token: str, client_id: str) -> None:
        digest = digest_of(OpaqueKind.REFRESH_TOKEN, token)
        stored = None if digest is None else await self._refresh_tokens.find(digest)
        if stored is None:
            return
        # One that expired or was rotated away still names the grant that its owner wants ended.
        _require_owner(stored.authorization.client_id, client_id)
        grant_id = stored.authorization.grant_id
        async with self._trail.around(GrantRevoked(client_id, grant_id, "revoked_by_client")):
            await self._grants.revoke(grant_id, now=self._clock())

    async def revoke_id(self, call: Call, token_id: str) -> None:
        """Revoke whatever token carries ``jti`` *token_id*; the caller must be an administrator.

        Raises `AuthorizationError` PERMISSION_DENIED, `RequestError` INVALID_FIELD, `AvailabilityError`.
        """
        if Role.ADMIN not in call.principal.roles:
            raise AuthorizationError(
                Reason.PERMISSION_DENIED, "Only an administrator revokes by token id.", field="token_id"
            )
        if not _TOKEN_ID.fullmatch(token_id):
            raise RequestError(
                Reason.INVALID_FIELD, "A token id has 1 to 256 visible ASCII characters.", field="token_id"
            )
        now = self._clock()
        async with self._trail.around(TokenRevoked(None, token_id)):
            await self._revocations.revoke(Revocation(token_id, None, now, now + self._max_lifetime))


def _require_owner(issued_to: str, client_id: str) -> None:
    if issued_to != client_id:
        raise AuthorizationError(
            Reason.UNAUTHORIZED_CLIENT,
            "The token was issued to another client.",
            cause="token_of_another_client",
        )
