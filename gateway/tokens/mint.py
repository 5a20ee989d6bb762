"""Minting access tokens: the way of one call, from an authenticated client to a signed token."""

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock
from gateway.errors import GatewayError, Reason, RequestError
from gateway.keys.keyring import Keyring
from gateway.keys.model import KeyPurpose
from gateway.principal import Call
from gateway.tokens.access_token import TYP, AccessToken
from gateway.tokens.binding import binding_of
from gateway.tokens.client import AccessTokenFormat, Client
from gateway.tokens.client_authentication import ClientAuthenticator, ClientCredential
from gateway.tokens.grant_ports import OpaqueTokenRepository
from gateway.tokens.grants import Decider, Grant, Granted, RefreshToken, TokenRequest, decide
from gateway.tokens.opaque import OpaqueKind, digest_of_new, new_value
from signers import Algorithm

MAX_BATCH: Final = 1_000
_TOKEN_ID_BYTES: Final = 16
_SLICE: Final = 100
_MAX_PAYLOAD: Final = 10 * 1024
"""Octets. With the largest header and signature a token then stays below what introspection reads
(`gateway.tokens.verification.MAX_TOKEN_SIZE`), so that nothing is minted that could not be used."""


@dataclass(frozen=True, slots=True)
class MintedToken:
    """An access token, a compact JWS or an opaque reference, what it says, and what comes beside it."""

    value: str
    token: AccessToken
    refresh_token: RefreshToken | None = None


class TokenMinter:
    """Authenticates the client, checks the grant, and has the token signed.

    A JWT access token that is not revoked needs no row in the database, so for client credentials nothing is
    written except what single use demands of a client assertion. What another grant demands is written after
    the token was signed, so that a signer which is away uses up no code, and before anybody sees the token.
    """

    def __init__(
        self,
        *,
        issuer: str,
        algorithm: Algorithm,
        lifetime: int,
        keyring: Keyring,
        authenticator: ClientAuthenticator,
        deciders: Mapping[type[Grant], Decider],
        opaque: OpaqueTokenRepository,
        clock: Clock,
    ) -> None:
        """*lifetime*: seconds, for clients that are registered without one of their own.

        *deciders*: the rules of every grant but client credentials.
        """
        self._issuer = issuer
        self._algorithm = algorithm
        self._lifetime = lifetime
        self._keyring = keyring
        self._authenticator = authenticator
        self._deciders = deciders
        self._opaque = opaque
        self._clock = clock

    async def mint(
        self, call: Call, client_id: str, credential: ClientCredential | None, request: TokenRequest
    ) -> MintedToken:
        """One token for the client that *credential*, or without one the call's certificate, proves.

        Raises `AuthenticationError` (INVALID_CLIENT, CLIENT_CERTIFICATE_REQUIRED), what the rules of the
        grant raise, `RequestError` INVALID_REQUEST for a token too large, `AvailabilityError`, `SignerError`.
        """
        client = await self._authenticator.authenticate(call, client_id, credential)
        decider = self._deciders.get(type(request.grant))
        granted = decide(client, request) if decider is None else await decider.decide(call, client, request)
        token, payload = self._token(call, client, granted, int(self._clock()))
        (value,) = await self._issue(client, [(token, payload)])
        refresh_token = None if granted.settle is None else await granted.settle()
        return MintedToken(value, token, refresh_token)

    async def mint_many(
        self,
        call: Call,
        client_id: str,
        credential: ClientCredential | None,
        requests: Sequence[TokenRequest | GatewayError],
    ) -> list[MintedToken | GatewayError]:
        """One authentication and up to `MAX_BATCH` tokens, by client credentials; an item that is refused
        does not touch the others.

        An item that could not be parsed comes as its error and goes back as that. A long batch gives way to
        other calls every `_SLICE` items.

        Raises as `mint` does where the whole batch fails, `RequestError` INVALID_FIELD for its size.
        """
        if not 1 <= len(requests) <= MAX_BATCH:
            raise RequestError(Reason.INVALID_FIELD, f"A batch holds 1 to {MAX_BATCH} items.", field="items")
        client = await self._authenticator.authenticate(call, client_id, credential)
        now = int(self._clock())
        minted: list[MintedToken | GatewayError] = []
        for start in range(0, len(requests), _SLICE):
            decided = [
                self._decided(call, client, request, now) for request in requests[start : start + _SLICE]
            ]
            signed = iter(await self._issue(client, [item for item in decided if isinstance(item, tuple)]))
            minted += [
                MintedToken(next(signed), item[0]) if isinstance(item, tuple) else item for item in decided
            ]
            await asyncio.sleep(0)
        return minted

    async def _issue(self, client: Client, tokens: Sequence[tuple[AccessToken, bytes]]) -> list[str]:
        """What the client gets for each of *tokens*: it is signed, or else remembered."""
        if client.access_token_format is AccessTokenFormat.JWT:
            key = self._keyring.signing_key(KeyPurpose.TOKENS, self._algorithm)
            if len(tokens) == 1:
                return [await key.sign_jws(TYP, tokens[0][1])]
            return await key.sign_jws_many(TYP, [payload for _, payload in tokens])
        values = [new_value(OpaqueKind.ACCESS_TOKEN) for _ in tokens]
        if not values:
            return []
        await self._opaque.insert(
            [
                (digest_of_new(value), payload, float(token.expire_time))
                for value, (token, payload) in zip(values, tokens, strict=True)
            ]
        )
        return values

    def _decided(
        self, call: Call, client: Client, request: TokenRequest | GatewayError, now: int
    ) -> tuple[AccessToken, bytes] | GatewayError:
        if isinstance(request, GatewayError):
            return request
        try:
            return self._token(call, client, decide(client, request), now)
        except GatewayError as error:
            return error

    def _token(self, call: Call, client: Client, granted: Granted, now: int) -> tuple[AccessToken, bytes]:
        """The token to sign, and its payload."""
        lifetime = client.access_token_lifetime
        seconds = self._lifetime if lifetime is None else int(lifetime.total_seconds())
        token = AccessToken(
            issuer=self._issuer,
            subject=granted.subject,
            audience=granted.audience,
            client_id=client.client_id,
            issue_time=now,
            expire_time=now + seconds
            if granted.latest_expiry is None
            else min(now + seconds, granted.latest_expiry),
            token_id=secrets.token_urlsafe(_TOKEN_ID_BYTES),
            scope=granted.scope,
            binding=binding_of(call, client),
            grant_id=granted.grant_id,
            authentication=granted.authentication,
            actor=granted.actor,
        )
        payload = token.payload()
        if len(payload) > _MAX_PAYLOAD:
            raise RequestError(
                Reason.INVALID_REQUEST, "The scope and the resources make the token too large; ask for fewer."
            )
        return token, payload
