"""The authorization code grant (RFC 6749 §4.1.3): a code is used once, by whom and as it was made for."""

import hmac
import secrets
from typing import Final

from gateway.audit.events import GrantRevoked
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.principal import Call
from gateway.tokens.authorization import Authorization
from gateway.tokens.binding import binding_of
from gateway.tokens.client import Client, ClientAuthenticationMethod, GrantType
from gateway.tokens.grant_ports import CodeRepository, NewGrant, NewRefreshToken, StoredCode
from gateway.tokens.grants import (
    AuthorizationCodeGrant,
    Granted,
    RefreshToken,
    TokenRequest,
    invalid_grant,
    narrowed_audience,
    narrowed_scope,
    require_grant_type,
)
from gateway.tokens.opaque import OpaqueKind, digest_of
from gateway.tokens.pkce import matches
from gateway.tokens.refresh import RefreshTokens

_GRANT_ID_BYTES: Final = 16


class CodeRedeemer:
    """Decides about codes. The database decides which of two uses of a code is the first."""

    def __init__(
        self,
        *,
        codes: CodeRepository,
        refresh: RefreshTokens,
        max_lifetime: int,
        clock: Clock,
        trail: AuditTrail = NO_TRAIL,
    ) -> None:
        """*max_lifetime*: seconds; no access token lives longer."""
        self._codes = codes
        self._refresh = refresh
        self._max_lifetime = max_lifetime
        self._clock = clock
        self._trail = trail

    async def decide(self, call: Call, client: Client, request: TokenRequest) -> Granted:
        """What the user authorized, or less of it.

        A second use revokes everything that came from the first (RFC 6749 §4.1.2); but only by who could have
        made the first one: the code alone, without the verifier, revokes nothing.
        Raises `AuthorizationError` UNAUTHORIZED_CLIENT, `RequestError` (INVALID_GRANT, INVALID_SCOPE,
        INVALID_TARGET), `AvailabilityError`.
        """
        require_grant_type(client, request)
        assert isinstance(request.grant, AuthorizationCodeGrant)  # noqa: S101 - the minter chose us by it
        digest = digest_of(OpaqueKind.AUTHORIZATION_CODE, request.grant.code)
        if digest is None:
            raise invalid_grant("code_malformed")
        stored = await self._codes.find(digest)
        if stored is None:
            raise invalid_grant("code_unknown")
        _check(call, client, request.grant, stored)
        if stored.grant_id is not None:
            raise await self._replayed(digest, stored)
        if self._clock() >= stored.code.expire_time:
            raise invalid_grant("code_expired")
        asked = stored.code.request
        scope = narrowed_scope(request.scope, asked.scope, asked.scope)
        audience = narrowed_audience(request.resource, asked.audience, asked.audience)
        public = client.authentication_method is ClientAuthenticationMethod.NONE
        authorization = Authorization(
            grant_id=secrets.token_urlsafe(_GRANT_ID_BYTES),
            client_id=client.client_id,
            subject=stored.code.subject,
            scope=asked.scope,
            audience=asked.audience,
            authentication=stored.code.authentication,
            # RFC 9449 §5, RFC 8705 §4: a client without credentials has nothing to prove but a key. Another
            # may change its key, so its refresh tokens are bound to its authentication alone.
            binding=binding_of(call, client) if public else None,
        )

        async def settle() -> RefreshToken | None:
            return await self._used(digest, client, authorization)

        return Granted(
            authorization.subject,
            scope,
            audience,
            authentication=authorization.authentication,
            grant_id=authorization.grant_id,
            settle=settle,
        )

    async def _used(self, digest: bytes, client: Client, authorization: Authorization) -> RefreshToken | None:
        now = self._clock()
        refresh: RefreshToken | None = None
        remembered: NewRefreshToken | None = None
        if GrantType.REFRESH_TOKEN in client.grant_types:
            refresh, remembered = self._refresh.first(now)
        last_use = now if refresh is None else refresh.expire_time
        grant = NewGrant(authorization, now, last_use + self._max_lifetime)
        if not await self._codes.use(digest, grant, remembered):
            raise await self._replayed(digest, await self._codes.find(digest))
        return refresh

    async def _replayed(self, digest: bytes, stored: StoredCode | None) -> Exception:
        if stored is not None and stored.grant_id is not None:
            client_id = stored.code.request.client_id
            async with self._trail.around(GrantRevoked(client_id, stored.grant_id, "code_replayed")):
                await self._codes.revoke_replayed(digest, now=self._clock())
        return invalid_grant("code_replayed")


def _check(call: Call, client: Client, grant: AuthorizationCodeGrant, stored: StoredCode) -> None:
    """Client, redirect URI, verifier and key are those of the code. Raises `RequestError` INVALID_GRANT."""
    asked = stored.code.request
    if asked.client_id != client.client_id:
        raise invalid_grant("code_of_another_client")
    if not hmac.compare_digest(
        asked.redirect_uri.encode(), grant.redirect_uri.encode("utf-8", "surrogatepass")
    ):
        raise invalid_grant("redirect_uri_mismatch")
    if not matches(grant.code_verifier, asked.code_challenge):
        raise invalid_grant("code_verifier_mismatch")
    # RFC 9449 §10: the code is worth nothing without the key that was named when it was asked for.
    if asked.dpop_jkt is not None and (call.proof is None or call.proof.jkt != asked.dpop_jkt):
        raise invalid_grant("dpop_jkt_mismatch")
