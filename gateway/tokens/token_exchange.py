"""The token exchange grant (RFC 8693): a token of ours for another one that carries no more.

The new token has the subject of the old, at most its scope and its time, and its grant, so that it ends with
it. Who exchanges becomes the actor, unless the client's policy lets it impersonate.
"""

from typing import Final

from gateway.errors import Reason, RequestError
from gateway.principal import Call
from gateway.tokens.access_token import AccessToken
from gateway.tokens.actor import MAX_DEPTH, Actor
from gateway.tokens.binding import held_by
from gateway.tokens.client import Client
from gateway.tokens.grants import (
    Granted,
    TokenExchangeGrant,
    TokenRequest,
    audience_for,
    narrowed_scope,
    require_grant_type,
)
from gateway.tokens.ports import ClientRepository
from gateway.tokens.revocation_status import RevocationStatus
from gateway.tokens.verification import AccessTokenVerifier, TokenInvalidError

ACCESS_TOKEN: Final = "urn:ietf:params:oauth:token-type:access_token"
_TOKEN_TYPES: Final = frozenset({ACCESS_TOKEN, "urn:ietf:params:oauth:token-type:jwt"})


class TokenExchanger:
    """Decides about exchanges."""

    def __init__(
        self, *, verifier: AccessTokenVerifier, status: RevocationStatus, clients: ClientRepository
    ) -> None:
        self._verifier = verifier
        self._status = status
        self._clients = clients

    async def decide(self, call: Call, client: Client, request: TokenRequest) -> Granted:
        """A token for the subject of the subject token.

        Raises `AuthorizationError` UNAUTHORIZED_CLIENT, `RequestError` (INVALID_REQUEST, INVALID_SCOPE,
        INVALID_TARGET), `AvailabilityError`.
        """
        require_grant_type(client, request)
        grant = request.grant
        assert isinstance(grant, TokenExchangeGrant)  # noqa: S101 - the minter chose us by it
        _require_type(grant.requested_token_type or ACCESS_TOKEN, "requested_token_type")
        subject = await self._subject(call, client, grant)
        actor = await self._actor(call, client, grant, subject)
        scope = tuple(each for each in subject.scope if each in client.scopes)
        return Granted(
            subject.subject,
            narrowed_scope(request.scope, scope, scope),
            audience_for(client, request.resource),
            authentication=subject.authentication,
            grant_id=subject.grant_id,
            actor=actor,
            latest_expiry=subject.expire_time,
        )

    async def _subject(self, call: Call, client: Client, grant: TokenExchangeGrant) -> AccessToken:
        """The subject token, which is the client's own or meant for it."""
        subject = await self._verified(grant.subject_token, grant.subject_token_type, "subject_token")
        if subject.client_id == client.client_id:
            if not held_by(subject.binding, call):
                raise _refused("subject_token", "subject_token_binding_mismatch")
        elif client.resources.isdisjoint(subject.audience):
            raise _refused("subject_token", "subject_token_of_others")
        elif subject.binding is not None and not client.token_exchange.bound_subject_tokens:
            # Its holder proved the key to the exchanger; whether that is believed is the operator's choice.
            raise _refused("subject_token", "subject_token_bound_to_another")
        return subject

    async def _actor(
        self, call: Call, client: Client, grant: TokenExchangeGrant, subject: AccessToken
    ) -> Actor | None:
        """Who acts from now on, after those who acted before (RFC 8693 §4.1)."""
        acting = client.client_id
        if grant.actor_token:
            token = await self._verified(grant.actor_token, grant.actor_token_type, "actor_token")
            if token.client_id != client.client_id:
                raise _refused("actor_token", "actor_token_of_another_client")
            if not held_by(token.binding, call):
                raise _refused("actor_token", "actor_token_binding_mismatch")
            acting = token.subject
        elif grant.actor_token_type:
            raise RequestError(
                Reason.INVALID_REQUEST, "It goes with an actor token only.", field="actor_token_type"
            )
        if subject.may_act is not None and subject.may_act.subject != acting:
            raise _refused("actor_token", "may_act_mismatch")
        if not grant.actor_token and client.token_exchange.impersonation:
            return subject.actor
        actor = Actor(acting, subject.actor)
        if actor.depth() > MAX_DEPTH:
            raise RequestError(
                Reason.INVALID_REQUEST,
                f"At most {MAX_DEPTH} actors follow each other.",
                field="subject_token",
                cause="too_many_actors",
            )
        return actor

    async def _verified(self, token: str, token_type: str, field: str) -> AccessToken:
        _require_type(token_type, f"{field}_type")
        try:
            accepted = await self._verifier.verify(token)
        except TokenInvalidError as error:
            raise _refused(field, f"{field}_{error.cause}") from error
        if await self._status.is_revoked(accepted):
            raise _refused(field, f"{field}_revoked")
        client = await self._clients.get(accepted.client_id)
        if client is None or client.disabled:
            raise _refused(field, f"{field}_of_a_disabled_client")
        return accepted


def _require_type(token_type: str, field: str) -> None:
    if token_type not in _TOKEN_TYPES:
        raise RequestError(
            Reason.INVALID_REQUEST, "Only access tokens of this gateway are exchanged.", field=field
        )


def _refused(field: str, cause: str) -> RequestError:
    """RFC 8693 §2.2.2 asks for ``invalid_request``, whatever is wrong with the token."""
    return RequestError(
        Reason.INVALID_REQUEST, "The token is not acceptable for an exchange.", field=field, cause=cause
    )
