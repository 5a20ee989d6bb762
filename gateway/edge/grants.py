"""How the parameters of each grant are read, by ``grant_type``: one row for each."""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.edge.form import Form
from gateway.errors import Reason, RequestError
from gateway.tokens.client import GrantType
from gateway.tokens.grants import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    Grant,
    JwtBearerGrant,
    RefreshTokenGrant,
    TokenExchangeGrant,
    TokenRequest,
)

_CLIENT_CREDENTIALS: Final = ClientCredentialsGrant()


def _authorization_code(form: Form) -> Grant:
    """RFC 6749 §4.1.3, RFC 7636 §4.5; the redirect URI goes with every code here."""
    return AuthorizationCodeGrant(
        form.require("code"), form.require("redirect_uri"), form.require("code_verifier")
    )


def _refresh_token(form: Form) -> Grant:
    """RFC 6749 §6."""
    return RefreshTokenGrant(form.require("refresh_token"))


def _token_exchange(form: Form) -> Grant:
    """RFC 8693 §2.1."""
    return TokenExchangeGrant(
        subject_token=form.require("subject_token"),
        subject_token_type=form.require("subject_token_type"),
        actor_token=form.get("actor_token") or "",
        actor_token_type=form.get("actor_token_type") or "",
        requested_token_type=form.get("requested_token_type") or "",
    )


def _jwt_bearer(form: Form) -> Grant:
    """RFC 7523 §2.1."""
    return JwtBearerGrant(form.require("assertion"))


GRANTS: Final[Mapping[str, Callable[[Form], Grant]]] = {
    GrantType.CLIENT_CREDENTIALS: lambda _: _CLIENT_CREDENTIALS,
    GrantType.AUTHORIZATION_CODE: _authorization_code,
    GrantType.REFRESH_TOKEN: _refresh_token,
    GrantType.TOKEN_EXCHANGE: _token_exchange,
    GrantType.JWT_BEARER: _jwt_bearer,
}


def token_request(form: Form) -> TokenRequest:
    """What the form asks for. Raises `RequestError`: MISSING_FIELD, UNSUPPORTED_GRANT_TYPE."""
    read = GRANTS.get(form.require("grant_type"))
    if read is None:
        raise RequestError(
            Reason.UNSUPPORTED_GRANT_TYPE, "The gateway does not know this grant.", field="grant_type"
        )
    # RFC 8693 §2.1 has a second parameter for the same; an audience here is a resource identifier.
    return TokenRequest(read(form), scope_of(form), form.all("resource") + form.all("audience"))


def scope_of(form: Form) -> tuple[str, ...]:
    """The scope tokens (RFC 6749 §3.3). A stray space makes an empty one, refused as any unknown one is."""
    scope = form.get("scope")
    return () if scope is None else tuple(scope.split(" "))
