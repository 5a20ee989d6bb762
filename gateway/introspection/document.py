"""What an introspection answers as JSON members (RFC 7662 §2.2): one rendering for every door."""

from typing import Any

from gateway.introspection.introspect import ActiveToken
from gateway.introspection.refresh_tokens import ActiveRefreshToken
from gateway.tokens.access_token import AccessToken
from gateway.tokens.binding import Binding, DpopBinding


def document_of(token: ActiveToken | None) -> dict[str, Any]:
    """The members for *token*; for None, inactive, exactly ``{"active": false}``."""
    if token is None:
        return {"active": False}
    document: dict[str, Any] = {
        "active": True,
        "client_id": token.client_id,
        "exp": token.expire_time,
        "iat": token.issue_time,
        "sub": token.subject,
        "aud": token.audience[0] if len(token.audience) == 1 else list(token.audience),
        "iss": token.issuer,
    }
    if token.scope:
        document["scope"] = " ".join(token.scope)
    if token.binding is not None:
        document["cnf"] = token.binding.confirmation()
    match token:
        case AccessToken():
            document |= _access_token_members(token)
        case ActiveRefreshToken():
            pass  # It has no token_type (RFC 7662 §2.2).
    return document


def token_type_name(binding: Binding | None) -> str:
    """``token_type`` as OAuth registers it: a certificate-bound token is a bearer token too (RFC 8705 §3)."""
    return "DPoP" if isinstance(binding, DpopBinding) else "Bearer"


def _access_token_members(token: AccessToken) -> dict[str, Any]:
    members: dict[str, Any] = {"token_type": token_type_name(token.binding), "jti": token.token_id}
    if token.grant_id is not None:
        members["grant_id"] = token.grant_id
    if token.actor is not None:
        members["act"] = token.actor.members()
    authentication = token.authentication
    if authentication is not None:
        if authentication.time is not None:
            members["auth_time"] = authentication.time
        if authentication.acr is not None:
            members["acr"] = authentication.acr
        if authentication.amr:
            members["amr"] = list(authentication.amr)
    return members
