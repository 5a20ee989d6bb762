"""Introspection: is this token active, for whoever asks? (RFC 7662)

A token is active for its own client and for a resource server that its audience names. To everyone else, and
for every token that is unknown, malformed, expired, revoked or of a disabled client, the answer is the same:
inactive, and nothing more (RFC 7662 §2.2, RFC 9701 §5).
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from gateway.errors import AuthenticationError, AuthorizationError, Reason, RequestError
from gateway.introspection.refresh_tokens import ActiveRefreshToken, RefreshTokenReader
from gateway.principal import ANONYMOUS, Call, Role
from gateway.tokens.access_token import AccessToken
from gateway.tokens.client import ClientAuthenticationMethod
from gateway.tokens.client_authentication import ClientAuthenticator, ClientCredential
from gateway.tokens.opaque import OpaqueKind, is_kind
from gateway.tokens.ports import ClientRepository
from gateway.tokens.revocation_status import RevocationStatus
from gateway.tokens.verification import AccessTokenVerifier, TokenInvalidError
from signers import Algorithm

logger = logging.getLogger(__name__)

MAX_BATCH: Final = 1_000
_SLICE: Final = 50


ActiveToken: TypeAlias = AccessToken | ActiveRefreshToken


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: an OAuth client, a resource server answering to `resources`, or both.

    `authenticated` is False for a public client, which only said its name.
    """

    client_id: str | None
    resources: frozenset[str]
    signed_response_algorithm: Algorithm | None = None
    authenticated: bool = True

    def may_see(self, token: AccessToken) -> bool:
        """Whether *token* is the asker's own, or meant for it."""
        return token.client_id == self.client_id or not self.resources.isdisjoint(token.audience)


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered to whom; `token` is None for inactive."""

    asker: Asker
    token: ActiveToken | None


class Introspector:
    """Answers for every door."""

    def __init__(
        self,
        *,
        authenticator: ClientAuthenticator,
        verifier: AccessTokenVerifier,
        clients: ClientRepository,
        status: RevocationStatus,
        refresh: RefreshTokenReader,
    ) -> None:
        self._authenticator = authenticator
        self._verifier = verifier
        self._clients = clients
        self._status = status
        self._refresh = refresh

    async def introspect(
        self, call: Call, client_id: str | None, credential: ClientCredential | None, token: str
    ) -> ActiveToken | None:
        """What *token* says, or None where it is inactive for the asker.

        The asker is the client *client_id*, authenticated as for minting, or without one the caller itself.
        Raises `AuthenticationError` (CALLER_UNAUTHENTICATED, INVALID_CLIENT), `AuthorizationError`
        PERMISSION_DENIED, `AvailabilityError`.
        """
        return (await self.answer(call, client_id, credential, token)).token

    async def answer(
        self, call: Call, client_id: str | None, credential: ClientCredential | None, token: str
    ) -> Answer:
        """As `introspect`, and who asked."""
        asker = await self._asker(call, client_id, credential)
        return Answer(asker, await self._active(asker, token))

    async def _active(self, asker: Asker, token: str) -> ActiveToken | None:
        if is_kind(OpaqueKind.REFRESH_TOKEN, token):
            return await self._owned(asker, token)
        accepted = await self._visible(asker, token)
        if accepted is None or await self._status.is_revoked(accepted):
            return None
        return accepted if await self._enabled(accepted.client_id) else None

    async def introspect_many(
        self,
        call: Call,
        client_id: str | None,
        credential: ClientCredential | None,
        tokens: Sequence[str],
    ) -> list[ActiveToken | None]:
        """As `introspect`, for up to `MAX_BATCH` tokens in order, with one look at the revocations.

        Raises `RequestError` INVALID_FIELD for the size of the batch.
        """
        if not 1 <= len(tokens) <= MAX_BATCH:
            raise RequestError(Reason.INVALID_FIELD, f"A batch holds 1 to {MAX_BATCH} tokens.", field="items")
        asker = await self._asker(call, client_id, credential)
        accepted: list[AccessToken | None] = []
        for start in range(0, len(tokens), _SLICE):
            accepted += [await self._visible(asker, token) for token in tokens[start : start + _SLICE]]
            await asyncio.sleep(0)  # A long batch gives way to other calls.
        accepted = await self._status.in_force(accepted)
        issued_to = {token.client_id for token in accepted if token is not None}
        enabled = {client_id for client_id in issued_to if await self._enabled(client_id)}
        answers: list[ActiveToken | None] = [
            token if token is not None and token.client_id in enabled else None for token in accepted
        ]
        for index, token in enumerate(tokens):
            if is_kind(OpaqueKind.REFRESH_TOKEN, token):
                answers[index] = await self._owned(asker, token)
        return answers

    async def _owned(self, asker: Asker, token: str) -> ActiveRefreshToken | None:
        """A refresh token is nobody's business but its client's: a resource server never sees one."""
        found = await self._refresh.read(token)
        if found is None or found.client_id != asker.client_id:
            return None
        return found if await self._enabled(found.client_id) else None

    async def _asker(self, call: Call, client_id: str | None, credential: ClientCredential | None) -> Asker:
        if client_id is not None:
            client = await self._authenticator.authenticate(call, client_id, credential)
            return Asker(
                client.client_id,
                client.resources,
                client.introspection_signed_response_algorithm,
                authenticated=client.authentication_method is not ClientAuthenticationMethod.NONE,
            )
        if credential is not None:
            raise RequestError(
                Reason.MISSING_FIELD, "A credential needs the client id it proves.", field="client_id"
            )
        principal = call.principal
        if principal is ANONYMOUS:
            raise AuthenticationError(
                Reason.CALLER_UNAUTHENTICATED,
                "Introspection needs an authenticated caller: a trusted client certificate, an access token "
                "of this gateway, or the credentials of a registered client.",
            )
        if Role.RESOURCE_SERVER not in principal.roles and principal.client_id is None:
            raise AuthorizationError(
                Reason.PERMISSION_DENIED,
                "The caller is neither a resource server nor a registered client.",
                metadata={"caller": principal.name},
            )
        return Asker(principal.client_id, principal.resources)

    async def _visible(self, asker: Asker, token: str) -> AccessToken | None:
        try:
            accepted = await self._verifier.verify(token)
        except TokenInvalidError as error:
            logger.debug("inactive", extra={"cause": error.cause})
            return None
        return accepted if asker.may_see(accepted) else None

    async def _enabled(self, client_id: str) -> bool:
        client = await self._clients.get(client_id)
        return client is not None and not client.disabled
