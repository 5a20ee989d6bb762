"""Minting access tokens: the way of one call, from an authenticated client to a signed token."""

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.audit.events import TokenMinted
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.errors import GatewayError, Reason, RequestError
from gateway.jose import base64url
from gateway.keys.keyring import Keyring
from gateway.keys.model import KeyPurpose
from gateway.principal import Call
from gateway.telemetry.caller import current_caller
from gateway.tokens.access_token import TYP, AccessToken
from gateway.tokens.client import AccessTokenFormat, Client
from gateway.tokens.client_authentication import ClientAuthenticator, ClientCredential
from gateway.tokens.entitlements import Entitlements
from gateway.tokens.grant_ports import OpaqueTokenRepository
from gateway.tokens.grants import (
    Decider,
    Grant,
    RefreshToken,
    TokenRequest,
    grant_type_of,
)
from gateway.tokens.minted_event import minted_event
from gateway.tokens.opaque import OpaqueKind, digest_of_new, new_value
from gateway.tokens.terms import TokenTerms
from signers import Algorithm

MAX_BATCH: Final = 1_000
_TOKEN_ID_BYTES: Final = 16
_SLICE: Final = 100
_MAX_PAYLOAD: Final = 10 * 1024
"""Octets. With the largest header and signature a token then stays below what introspection reads
(`gateway.tokens.verification.MAX_TOKEN_SIZE`), so that nothing is minted that could not be used."""


@dataclass(frozen=True, slots=True)
class MintedToken:
    """An access token, a compact JWS or an opaque reference, what it says, and what comes beside it.

    Times are whole seconds since the epoch.
    """

    value: str
    terms: TokenTerms
    token_id: str
    issue_time: int
    expire_time: int
    refresh_token: RefreshToken | None = None

    @property
    def token(self) -> AccessToken:
        """All claims of the token."""
        return self.terms.token(self.token_id, self.issue_time, self.expire_time)


@dataclass(frozen=True, slots=True)
class _Draft:
    """A token that was decided upon, with the octets to sign."""

    terms: TokenTerms
    token_id: str
    issue_time: int
    expire_time: int
    payload: bytes

    def minted(self, value: str, refresh_token: RefreshToken | None = None) -> MintedToken:
        return MintedToken(value, self.terms, self.token_id, self.issue_time, self.expire_time, refresh_token)


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
        trail: AuditTrail = NO_TRAIL,
    ) -> None:
        """*lifetime*: seconds, for clients that are registered without one of their own.

        *deciders*: the rules of every grant but client credentials.
        """
        self._entitlements = Entitlements(issuer, authenticator)
        self._algorithm = algorithm
        self._lifetime = lifetime
        self._keyring = keyring
        self._authenticator = authenticator
        self._deciders = deciders
        self._opaque = opaque
        self._clock = clock
        self._trail = None if trail is NO_TRAIL else trail  # So that it costs nothing where it is off.

    async def mint(
        self, call: Call, client_id: str, credential: ClientCredential | None, request: TokenRequest
    ) -> MintedToken:
        """One token for the client that *credential*, or without one the call's certificate, proves.

        Raises `AuthenticationError` (INVALID_CLIENT, CLIENT_CERTIFICATE_REQUIRED), what the rules of the
        grant raise, `RequestError` (INVALID_DPOP_PROOF, INVALID_REQUEST for a token too large),
        `AvailabilityError`, `SignerError`.
        """
        settle, latest_expiry = None, None
        decider = self._deciders.get(type(request.grant))
        if decider is None:
            client, terms = self._entitlements.at_hand(
                call, client_id, credential, request
            ) or await self._entitlements.find(call, client_id, credential, request)
        else:
            client = await self._authenticator.authenticate(call, client_id, credential)
            granted = await decider.decide(call, client, request)
            terms = self._entitlements.terms_of(call, client, granted)
            settle, latest_expiry = granted.settle, granted.latest_expiry
        if not call.principal.name:
            current_caller.set(f"client:{client.client_id}")  # Who has this signed was not known at the door.
        draft = self._draft(client, terms, int(self._clock()), latest_expiry)
        if client.access_token_format is AccessTokenFormat.JWT:
            key = self._keyring.signing_key(KeyPurpose.TOKENS, self._algorithm)
            value = await key.sign_jws(TYP, draft.payload)
        else:
            (value,) = await self._remember([draft])
        if self._trail is None:
            return draft.minted(value, None if settle is None else await settle())
        event = _event(client, request, draft)
        if settle is None:  # Nothing is left that could fail.
            await self._trail.record(event)
            return draft.minted(value)
        async with self._trail.around(event):
            return draft.minted(value, await settle())

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
            drafts = [
                self._drafted(call, client, request, now) for request in requests[start : start + _SLICE]
            ]
            values = iter(await self._issue(client, [item for item in drafts if isinstance(item, _Draft)]))
            minted += [item.minted(next(values)) if isinstance(item, _Draft) else item for item in drafts]
            await asyncio.sleep(0)
        if self._trail is not None:
            await self._trail.record(
                *[
                    _event(client, request, token)
                    for request, token in zip(requests, minted, strict=True)
                    if isinstance(request, TokenRequest) and isinstance(token, MintedToken)
                ]
            )
        return minted

    async def _issue(self, client: Client, drafts: Sequence[_Draft]) -> list[str]:
        """What the client gets for each of *drafts*: it is signed, or else remembered."""
        if client.access_token_format is AccessTokenFormat.JWT:
            key = self._keyring.signing_key(KeyPurpose.TOKENS, self._algorithm)
            return await key.sign_jws_many(TYP, [draft.payload for draft in drafts])
        return await self._remember(drafts)

    async def _remember(self, drafts: Sequence[_Draft]) -> list[str]:
        """Opaque values, each kept with what it stands for."""
        values = [new_value(OpaqueKind.ACCESS_TOKEN) for _ in drafts]
        if not values:
            return []
        await self._opaque.insert(
            [
                (digest_of_new(value), draft.payload, float(draft.expire_time))
                for value, draft in zip(values, drafts, strict=True)
            ]
        )
        return values

    def _drafted(
        self, call: Call, client: Client, request: TokenRequest | GatewayError, now: int
    ) -> _Draft | GatewayError:
        if isinstance(request, GatewayError):
            return request
        try:
            return self._draft(client, self._entitlements.terms(call, client, request), now, None)
        except GatewayError as error:
            return error

    def _draft(self, client: Client, terms: TokenTerms, now: int, latest_expiry: int | None) -> _Draft:
        """The token to sign. Raises `RequestError` INVALID_REQUEST."""
        lifetime = client.access_token_lifetime
        expire_time = now + (self._lifetime if lifetime is None else int(lifetime.total_seconds()))
        if latest_expiry is not None:
            expire_time = min(expire_time, latest_expiry)
        token_id = base64url.encode(os.urandom(_TOKEN_ID_BYTES))
        payload = terms.payload(token_id, now, expire_time)
        if len(payload) > _MAX_PAYLOAD:
            raise RequestError(
                Reason.INVALID_REQUEST, "The scope and the resources make the token too large; ask for fewer."
            )
        return _Draft(terms, token_id, now, expire_time, payload)


def _event(client: Client, request: TokenRequest, token: MintedToken | _Draft) -> TokenMinted:
    return minted_event(
        token.terms, token.token_id, token.expire_time, client.access_token_format, grant_type_of(request)
    )
