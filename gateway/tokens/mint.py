"""Minting access tokens: the way of one call, from an authenticated client to a signed token."""

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock
from gateway.errors import GatewayError, Reason, RequestError
from gateway.keys.keyring import Keyring
from gateway.keys.model import KeyPurpose
from gateway.principal import Call
from gateway.tokens.access_token import TYP, AccessToken
from gateway.tokens.binding import binding_of
from gateway.tokens.client import Client
from gateway.tokens.client_authentication import ClientAuthenticator, ClientCredential
from gateway.tokens.grants import TokenRequest, decide
from signers import Algorithm

MAX_BATCH: Final = 1_000
_TOKEN_ID_BYTES: Final = 16
_SLICE: Final = 100
_MAX_PAYLOAD: Final = 10 * 1024
"""Octets. With the largest header and signature a token then stays below what introspection reads
(`gateway.tokens.verification.MAX_TOKEN_SIZE`), so that nothing is minted that could not be used."""


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A signed access token (compact JWS) and what it says."""

    value: str
    token: AccessToken


class TokenMinter:
    """Authenticates the client, checks the grant, and has the token signed.

    A JWT access token that is not revoked needs no row in the database, so nothing is written here except
    what single use demands of a client assertion, and that is written before the token is signed.
    """

    def __init__(
        self,
        *,
        issuer: str,
        algorithm: Algorithm,
        lifetime: int,
        keyring: Keyring,
        authenticator: ClientAuthenticator,
        clock: Clock,
    ) -> None:
        """*lifetime*: seconds, for clients that are registered without one of their own."""
        self._issuer = issuer
        self._algorithm = algorithm
        self._lifetime = lifetime
        self._keyring = keyring
        self._authenticator = authenticator
        self._clock = clock

    async def mint(
        self, call: Call, client_id: str, credential: ClientCredential | None, request: TokenRequest
    ) -> MintedToken:
        """One token for the client that *credential*, or without one the call's certificate, proves.

        Raises `AuthenticationError` (INVALID_CLIENT, CLIENT_CERTIFICATE_REQUIRED), what `grants.decide`
        raises, `RequestError` INVALID_REQUEST for a token too large, `AvailabilityError`, `SignerError`.
        """
        client = await self._authenticator.authenticate(call, client_id, credential)
        token, payload = self._token(call, client, request, int(self._clock()))
        key = self._keyring.signing_key(KeyPurpose.TOKENS, self._algorithm)
        return MintedToken(await key.sign_jws(TYP, payload), token)

    async def mint_many(
        self,
        call: Call,
        client_id: str,
        credential: ClientCredential | None,
        requests: Sequence[TokenRequest | GatewayError],
    ) -> list[MintedToken | GatewayError]:
        """One authentication and up to `MAX_BATCH` tokens; an item that is refused does not touch the others.

        An item that could not be parsed comes as its error and goes back as that. A long batch gives way to
        other calls every `_SLICE` items.

        Raises as `mint` does where the whole batch fails, `RequestError` INVALID_FIELD for its size.
        """
        if not 1 <= len(requests) <= MAX_BATCH:
            raise RequestError(Reason.INVALID_FIELD, f"A batch holds 1 to {MAX_BATCH} items.", field="items")
        client = await self._authenticator.authenticate(call, client_id, credential)
        now = int(self._clock())
        key = self._keyring.signing_key(KeyPurpose.TOKENS, self._algorithm)
        minted: list[MintedToken | GatewayError] = []
        for start in range(0, len(requests), _SLICE):
            decided = [
                self._decided(call, client, request, now) for request in requests[start : start + _SLICE]
            ]
            payloads = [item[1] for item in decided if isinstance(item, tuple)]
            signed = iter(await key.sign_jws_many(TYP, payloads))
            minted += [
                MintedToken(next(signed), item[0]) if isinstance(item, tuple) else item for item in decided
            ]
            await asyncio.sleep(0)
        return minted

    def _decided(
        self, call: Call, client: Client, request: TokenRequest | GatewayError, now: int
    ) -> tuple[AccessToken, bytes] | GatewayError:
        if isinstance(request, GatewayError):
            return request
        try:
            return self._token(call, client, request, now)
        except GatewayError as error:
            return error

    def _token(
        self, call: Call, client: Client, request: TokenRequest, now: int
    ) -> tuple[AccessToken, bytes]:
        """The token to sign, and its payload."""
        granted = decide(client, request)
        lifetime = client.access_token_lifetime
        seconds = self._lifetime if lifetime is None else int(lifetime.total_seconds())
        token = AccessToken(
            issuer=self._issuer,
            subject=granted.subject,
            audience=granted.audience,
            client_id=client.client_id,
            issue_time=now,
            expire_time=now + seconds,
            token_id=secrets.token_urlsafe(_TOKEN_ID_BYTES),
            scope=granted.scope,
            binding=binding_of(call, client),
        )
        payload = token.payload()
        if len(payload) > _MAX_PAYLOAD:
            raise RequestError(
                Reason.INVALID_REQUEST, "The scope and the resources make the token too large; ask for fewer."
            )
        return token, payload
