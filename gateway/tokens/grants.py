"""What a client asks for, and what it gets: grant type, scope and audience (RFC 6749 §3.3, RFC 8707 §2)."""

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from gateway.errors import AuthorizationError, Reason, RequestError
from gateway.principal import Call
from gateway.tokens.actor import Actor
from gateway.tokens.authorization import Authentication
from gateway.tokens.client import Client, GrantType


@dataclass(frozen=True, slots=True)
class ClientCredentialsGrant:
    """The client asks on its own behalf (RFC 6749 §4.4)."""


@dataclass(frozen=True, slots=True)
class AuthorizationCodeGrant:
    """A user authorized the client (RFC 6749 §4.1.3, RFC 7636 §4.5)."""

    code: str
    redirect_uri: str
    code_verifier: str

    def __repr__(self) -> str:
        return "AuthorizationCodeGrant(<redacted>)"


@dataclass(frozen=True, slots=True)
class RefreshTokenGrant:
    """The client asks again for what a user authorized before (RFC 6749 §6)."""

    refresh_token: str

    def __repr__(self) -> str:
        return "RefreshTokenGrant(<redacted>)"


@dataclass(frozen=True, slots=True)
class TokenExchangeGrant:
    """The client has a token for another (RFC 8693 §2.1). Empty strings stand for what is absent."""

    subject_token: str
    subject_token_type: str
    actor_token: str = ""
    actor_token_type: str = ""
    requested_token_type: str = ""

    def __repr__(self) -> str:
        return "TokenExchangeGrant(<redacted>)"


@dataclass(frozen=True, slots=True)
class JwtBearerGrant:
    """Another issuer says who the user is (RFC 7523 §2.1)."""

    assertion: str

    def __repr__(self) -> str:
        return "JwtBearerGrant(<redacted>)"


Grant: TypeAlias = (
    ClientCredentialsGrant | AuthorizationCodeGrant | RefreshTokenGrant | TokenExchangeGrant | JwtBearerGrant
)

_TYPES: dict[type[Grant], GrantType] = {
    ClientCredentialsGrant: GrantType.CLIENT_CREDENTIALS,
    AuthorizationCodeGrant: GrantType.AUTHORIZATION_CODE,
    RefreshTokenGrant: GrantType.REFRESH_TOKEN,
    TokenExchangeGrant: GrantType.TOKEN_EXCHANGE,
    JwtBearerGrant: GrantType.JWT_BEARER,
}


@dataclass(frozen=True, slots=True)
class TokenRequest:
    """One token asked for. An empty `scope` asks for all that the client may have; an empty `resource` for
    its default audience.
    """

    grant: Grant
    scope: tuple[str, ...] = ()
    resource: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """A refresh token to hand out. `expire_time`: from when on it cannot be used in any case, seconds."""

    value: str
    expire_time: float

    def __repr__(self) -> str:
        return "RefreshToken(<redacted>)"


Settle: TypeAlias = Callable[[], Awaitable[RefreshToken | None]]


@dataclass(frozen=True, slots=True)
class Granted:
    """What the token will carry: its subject, its scope in the order asked for, and its audience.

    - `authentication`: of the user, where there is one.
    - `grant_id`: what the token is revoked with, if it comes from a grant.
    - `actor`: who acts for the subject; `latest_expiry`: when the token ends at the latest, in seconds.
    - `settle`: makes the grant used, once, after the token was signed and before anybody sees it; returns the
      refresh token to hand out beside it. Raises `GatewayError`, and then the token is thrown away.
    """

    subject: str
    scope: tuple[str, ...]
    audience: tuple[str, ...]
    authentication: Authentication | None = None
    grant_id: str | None = None
    actor: Actor | None = None
    latest_expiry: int | None = None
    settle: Settle | None = None


class Decider(Protocol):
    """The rules of one grant that needs more than the client: a code, a token, an assertion."""

    async def decide(self, call: Call, client: Client, request: TokenRequest) -> Granted:
        """Grant exactly what was asked, or refuse. Raises `GatewayError`."""
        ...


def grant_type_of(request: TokenRequest) -> GrantType:
    """What *request* asks by."""
    return _TYPES[type(request.grant)]


def require_grant_type(client: Client, request: TokenRequest) -> None:
    """*client* is registered for the grant. Raises `AuthorizationError` UNAUTHORIZED_CLIENT."""
    grant_type = grant_type_of(request)
    if grant_type not in client.grant_types:
        raise AuthorizationError(
            Reason.UNAUTHORIZED_CLIENT,
            "The client is not registered for this grant.",
            metadata={"grant_type": grant_type.value},
        )


def decide(client: Client, request: TokenRequest) -> Granted:
    """The client credentials grant: exactly what was asked, or nothing; it is not narrowed silently.

    Raises `AuthorizationError` UNAUTHORIZED_CLIENT, `RequestError` (INVALID_SCOPE, INVALID_TARGET;
    UNSUPPORTED_GRANT_TYPE for any other grant, which has its own `Decider`).
    """
    if not isinstance(request.grant, ClientCredentialsGrant):
        raise RequestError(
            Reason.UNSUPPORTED_GRANT_TYPE, "Only client credentials are granted here.", field="grant"
        )
    require_grant_type(client, request)
    return Granted(client.client_id, scope_for(client, request.scope), audience_for(client, request.resource))


def scope_for(client: Client, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The scope that *client* gets where it asks for *asked*. Raises `RequestError` INVALID_SCOPE."""
    return narrowed_scope(asked, client.scopes, ()) if asked else tuple(sorted(client.scopes))


def audience_for(client: Client, asked: tuple[str, ...]) -> tuple[str, ...]:
    """The audience that *client* gets where it asks for *asked*. Raises `RequestError` INVALID_TARGET."""
    if asked:
        return narrowed_audience(asked, client.audiences, ())
    if client.default_audience is None:
        raise RequestError(
            Reason.INVALID_TARGET,
            "Name a resource: the client has no default audience.",
            field="resource",
        )
    return (client.default_audience,)


def narrowed_scope(
    asked: tuple[str, ...], allowed: Collection[str], default: tuple[str, ...]
) -> tuple[str, ...]:
    """*asked*, which must be among *allowed*, or *default* where it is empty.

    Raises `RequestError` INVALID_SCOPE.
    """
    if not asked:
        return default
    for scope in asked:
        if scope not in allowed:
            raise RequestError(
                Reason.INVALID_SCOPE,
                "A scope is not granted to this client.",
                field="scope",
                metadata={"scope": scope[:128]},
            )
    return tuple(dict.fromkeys(asked))


def narrowed_audience(
    asked: tuple[str, ...], allowed: Collection[str], default: tuple[str, ...]
) -> tuple[str, ...]:
    """As `narrowed_scope`, for resources. Raises `RequestError` INVALID_TARGET."""
    if not asked:
        return default
    for resource in asked:
        if resource not in allowed:
            raise RequestError(
                Reason.INVALID_TARGET,
                "The client may not ask for tokens for this resource.",
                field="resource",
                metadata={"resource": resource[:128]},
            )
    return tuple(dict.fromkeys(asked))


def invalid_grant(cause: str) -> RequestError:
    """The one answer to a code, token or assertion that does not hold; *cause* is for our log only."""
    return RequestError(Reason.INVALID_GRANT, "The grant is not valid.", cause=cause)
