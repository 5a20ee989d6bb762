"""The JWT bearer grant (RFC 7523 §2.1): another issuer, whom the operator trusts, says who the user is."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock
from gateway.jose.errors import JoseError
from gateway.jose.jwk import JwkSet
from gateway.jose.jws import CompactJws, parse_compact, verify
from gateway.jose.jwt import Claims, require_typ
from gateway.principal import Call
from gateway.tokens.client import Client
from gateway.tokens.client_authentication import CLIENT_ID_PATTERN
from gateway.tokens.grants import (
    Granted,
    JwtBearerGrant,
    RefreshToken,
    TokenRequest,
    audience_for,
    invalid_grant,
    require_grant_type,
    scope_for,
)
from gateway.tokens.ports import ClientRepository, ReplayRepository
from signers import Algorithm

_KIND: Final = "jwt_bearer"
_TYPES: Final = ("JWT", "authorization-grant+jwt")
_MAX_SIZE: Final = 8 * 1024
_MAX_TOKEN_ID: Final = 256
_MAX_SUBJECT: Final = 255


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """Whose assertions count.

    - `jwks`: its keys; `algorithms`: what it may sign with.
    - `subject_prefix`: put before every ``sub``, so that no two issuers name the same user.
    - `clients`: who may present its assertions; empty for every client with the grant.
    - `max_lifetime`: how many seconds ahead ``exp`` may be.
    """

    issuer: str
    jwks: JwkSet
    algorithms: frozenset[Algorithm]
    subject_prefix: str
    clients: frozenset[str]
    max_lifetime: int


class AssertionGranter:
    """Decides about assertions; each is accepted once, over all replicas."""

    def __init__(
        self,
        *,
        issuer: str,
        trusted: Sequence[TrustedIssuer],
        clients: ClientRepository,
        replay: ReplayRepository,
        clock_skew: int,
        clock: Clock,
    ) -> None:
        """*issuer*: our own, the only audience of an assertion; *clock_skew*: seconds."""
        self._issuer = issuer
        self._trusted = {each.issuer: each for each in trusted}
        self._clients = clients
        self._replay = replay
        self._clock_skew = clock_skew
        self._clock = clock

    async def decide(self, call: Call, client: Client, request: TokenRequest) -> Granted:
        """A token for the user of the assertion, within what the client is registered for.

        Raises `AuthorizationError` UNAUTHORIZED_CLIENT, `RequestError` (INVALID_GRANT, INVALID_SCOPE,
        INVALID_TARGET), `AvailabilityError`.
        """
        del call  # The assertion is proof by itself; the client was authenticated before.
        require_grant_type(client, request)
        assert isinstance(request.grant, JwtBearerGrant)  # noqa: S101 - the minter chose us by it
        try:
            asserted = self._checked(client, request.grant.assertion)
        except JoseError as error:
            raise invalid_grant(f"assertion_{error.code}") from error
        if CLIENT_ID_PATTERN.fullmatch(asserted.subject) and await self._clients.get(asserted.subject):
            # RFC 9700 §4.15: a resource server could take the user's token for the client's own.
            raise invalid_grant("assertion_subject_is_a_client")
        scope = scope_for(client, request.scope)
        audience = audience_for(client, request.resource)

        async def settle() -> RefreshToken | None:
            if not await self._replay.use_once(_KIND, asserted.identity, expire_time=asserted.kept_until):
                raise invalid_grant("assertion_replayed")
            return None

        return Granted(asserted.subject, scope, audience, settle=settle)

    def _checked(self, client: Client, assertion: str) -> "_Asserted":
        jws = parse_compact(assertion, max_size=_MAX_SIZE)
        if jws.header.typ is not None:
            require_typ(jws.header, *_TYPES)
        claims = Claims.parse(jws.payload)
        # Read before it is verified, to find the keys that verify it, and for nothing else.
        trusted = self._trusted.get(claims.string("iss"))
        if trusted is None or (trusted.clients and client.client_id not in trusted.clients):
            raise invalid_grant("assertion_issuer_not_trusted")
        _verify(jws, trusted)
        if claims.single_audience() != self._issuer:
            raise invalid_grant("assertion_audience_mismatch")
        now = self._clock()
        claims.require_current(int(now), leeway=self._clock_skew)
        expire_time = claims.numeric_date("exp")
        if expire_time > now + trusted.max_lifetime + self._clock_skew:
            raise invalid_grant("assertion_lifetime_too_long")
        token_id = claims.string("jti", max_length=_MAX_TOKEN_ID)
        return _Asserted(
            subject=trusted.subject_prefix + claims.string("sub", max_length=_MAX_SUBJECT),
            # JSON keeps the two parts apart, whatever characters they hold.
            identity=json.dumps([trusted.issuer, token_id]),
            kept_until=float(expire_time + self._clock_skew),
        )


@dataclass(frozen=True, slots=True)
class _Asserted:
    subject: str
    identity: str
    kept_until: float


def _verify(jws: CompactJws, trusted: TrustedIssuer) -> None:
    if jws.header.algorithm not in trusted.algorithms:
        raise invalid_grant("assertion_alg_not_allowed")
    key = trusted.jwks.select(jws.header.kid, jws.header.algorithm)
    verify(jws, key.public_key, jws.header.algorithm)
