"""private_key_jwt: a client proves itself by a signed assertion (RFC 7523 §3, OpenID Connect Core §9).

Stricter than RFC 7523 where FAPI 2.0 is: the audience is the issuer identifier as a single string unless
configuration lists more, ``jti`` is required and works once, and the life is short.
"""

import json
from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock
from gateway.errors import AuthenticationError, Reason
from gateway.jose.errors import JoseError
from gateway.jose.jws import CompactJws, parse_compact, verify
from gateway.jose.jwt import Claims, require_typ
from gateway.tokens.client import Client
from gateway.tokens.client_keys import ClientKeys
from gateway.tokens.ports import ReplayRepository
from signers import Algorithm

REPLAY_KIND: Final = "client_assertion"
_TYPES: Final = ("JWT", "client-authentication+jwt")
_MAX_SIZE: Final = 8 * 1024
_MAX_TOKEN_ID: Final = 256


@dataclass(frozen=True, slots=True)
class AssertionPolicy:
    """What an assertion must be like. `max_lifetime` and `clock_skew` are seconds.

    `audiences`: accepted ``aud`` values, the issuer first.
    """

    audiences: tuple[str, ...]
    algorithms: frozenset[Algorithm]
    max_lifetime: int
    clock_skew: int


class ClientAssertionVerifier:
    """Checks client assertions; each is accepted once, over all replicas."""

    def __init__(
        self, *, policy: AssertionPolicy, keys: ClientKeys, replay: ReplayRepository, clock: Clock
    ) -> None:
        self._policy = policy
        self._keys = keys
        self._replay = replay
        self._clock = clock

    async def verify(self, client: Client, assertion: str) -> None:
        """Let *assertion* prove *client*. Raises `AuthenticationError` INVALID_CLIENT, `AvailabilityError`.

        The single use is recorded last, so that only a valid assertion takes room in the database.
        """
        now = self._clock()
        try:
            jws = parse_compact(assertion, max_size=_MAX_SIZE)
            self._check_header(jws)
            key = await self._keys.find(
                client, lambda keys: keys.select(jws.header.kid, jws.header.algorithm)
            )
            verify(jws, key.public_key, jws.header.algorithm)
            claims = Claims.parse(jws.payload)
            token_id, expire_time = self._check_claims(client, claims, now)
        except JoseError as error:
            raise _refused(f"assertion_{error.code}") from error
        # JSON keeps the two parts apart, whatever characters they hold.
        value = json.dumps([client.client_id, token_id])
        if not await self._replay.use_once(
            REPLAY_KIND, value, expire_time=expire_time + self._policy.clock_skew
        ):
            raise _refused("assertion_replayed")

    def _check_header(self, jws: CompactJws) -> None:
        if jws.header.algorithm not in self._policy.algorithms:
            raise _refused("assertion_alg_not_allowed")
        if jws.header.typ is not None:
            # Any other type is some other kind of JWT that the client signed for another purpose.
            require_typ(jws.header, *_TYPES)

    def _check_claims(self, client: Client, claims: Claims, now: float) -> tuple[str, int]:
        policy = self._policy
        claims.require_issuer(client.client_id)
        if claims.string("sub") != client.client_id:
            raise _refused("assertion_subject_mismatch")
        if claims.single_audience() not in policy.audiences:
            raise _refused("assertion_audience_mismatch")
        claims.require_current(int(now), leeway=policy.clock_skew)
        expire_time = claims.numeric_date("exp")
        if expire_time > now + policy.max_lifetime + policy.clock_skew:
            raise _refused("assertion_lifetime_too_long")
        return claims.string("jti", max_length=_MAX_TOKEN_ID), expire_time


def _refused(cause: str) -> AuthenticationError:
    return AuthenticationError(Reason.INVALID_CLIENT, "Client authentication failed.", cause=cause)
