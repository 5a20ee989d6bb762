"""What a client asks for, and what it gets: grant type, scope and audience (RFC 6749 §3.3, RFC 8707 §2)."""

from dataclasses import dataclass
from typing import TypeAlias

from gateway.errors import AuthorizationError, Reason, RequestError
from gateway.tokens.client import Client, GrantType


@dataclass(frozen=True, slots=True)
class ClientCredentialsGrant:
    """The client asks on its own behalf (RFC 6749 §4.4)."""


Grant: TypeAlias = ClientCredentialsGrant

_TYPES = {ClientCredentialsGrant: GrantType.CLIENT_CREDENTIALS}


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One token asked for. An empty `scope` asks for all that the client may have; an empty `resource` for
    its default audience.
    """

    grant: Grant
    scope: tuple[str, ...] = ()
    resource: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Granted:
    """What the token will carry: its subject, its scope in the order asked for, and its audience."""

    subject: str
    scope: tuple[str, ...]
    audience: tuple[str, ...]


def decide(client: Client, request: TokenRequest) -> Granted:
    """Grant exactly what was asked, or refuse: nothing is narrowed silently.

    Raises `AuthorizationError` UNAUTHORIZED_CLIENT, `RequestError` INVALID_SCOPE or INVALID_TARGET.
    """
    grant_type = _TYPES[type(request.grant)]
    if grant_type not in client.grant_types:
        raise AuthorizationError(
            Reason.UNAUTHORIZED_CLIENT,
            "The client is not registered for this grant.",
            metadata={"grant_type": grant_type.value},
        )
    return Granted(client.client_id, _scope(client, request.scope), _audience(client, request.resource))


def _scope(client: Client, asked: tuple[str, ...]) -> tuple[str, ...]:
    if not asked:
        return tuple(sorted(client.scopes))
    refused = [scope for scope in asked if scope not in client.scopes]
    if refused:
        raise RequestError(
            Reason.INVALID_SCOPE,
            "A scope is not granted to this client.",
            field="scope",
            metadata={"scope": refused[0][:128]},
        )
    return tuple(dict.fromkeys(asked))


def _audience(client: Client, asked: tuple[str, ...]) -> tuple[str, ...]:
    if not asked:
        if client.default_audience is None:
            raise RequestError(
                Reason.INVALID_TARGET,
                "Name a resource: the client has no default audience.",
                field="resource",
            )
        return (client.default_audience,)
    refused = [resource for resource in asked if resource not in client.audiences]
    if refused:
        raise RequestError(
            Reason.INVALID_TARGET,
            "The client may not ask for tokens for this resource.",
            field="resource",
            metadata={"resource": refused[0][:128]},
        )
    return tuple(dict.fromkeys(asked))
