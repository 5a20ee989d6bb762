"""Grants, codes and requests as the JSON documents that their rows hold. Times are microseconds."""

import json
from typing import Any

from gateway.store.database import to_microseconds, to_seconds
from gateway.store.failures import StoreCause, unavailable
from gateway.tokens.authorization import (
    Authentication,
    Authorization,
    AuthorizationCode,
    AuthorizationRequest,
)
from gateway.tokens.binding import Binding, CertificateBinding, DpopBinding


def to_grant(authorization: Authorization) -> str:
    """The document of a grant; its id and its client are columns."""
    return _dumped(
        {
            "subject": authorization.subject,
            "scope": authorization.scope,
            "audience": authorization.audience,
            "authentication": _authentication_members(authorization.authentication),
            "binding": _binding_members(authorization.binding),
        }
    )


def from_grant(grant_id: str, client_id: str, document: str) -> Authorization:
    """The grant that *document* holds; `AvailabilityError` (``store_corrupt``) where it holds none."""
    try:
        members = json.loads(document)
        return Authorization(
            grant_id=grant_id,
            client_id=client_id,
            subject=members["subject"],
            scope=tuple(members["scope"]),
            audience=tuple(members["audience"]),
            authentication=_authentication(members["authentication"]),
            binding=_binding(members["binding"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise unavailable(StoreCause.CORRUPT, error) from error


def to_request(request: AuthorizationRequest) -> str:
    """The document of a pushed request."""
    return _dumped(_request_members(request))


def from_request(document: str) -> AuthorizationRequest:
    """The request that *document* holds; `AvailabilityError` (``store_corrupt``) where it holds none."""
    try:
        return _request(json.loads(document))
    except (KeyError, TypeError, ValueError) as error:
        raise unavailable(StoreCause.CORRUPT, error) from error


def to_code(code: AuthorizationCode) -> str:
    """The document of a code."""
    return _dumped(
        {
            "request": _request_members(code.request),
            "subject": code.subject,
            "authentication": _authentication_members(code.authentication),
            "expire_time": to_microseconds(code.expire_time),
        }
    )


def from_code(document: str) -> AuthorizationCode:
    """The code that *document* holds; `AvailabilityError` (``store_corrupt``) where it holds none."""
    try:
        members = json.loads(document)
        return AuthorizationCode(
            request=_request(members["request"]),
            subject=members["subject"],
            authentication=_authentication(members["authentication"]),
            expire_time=to_seconds(members["expire_time"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise unavailable(StoreCause.CORRUPT, error) from error


def _request_members(request: AuthorizationRequest) -> dict[str, Any]:
    return {
        "client_id": request.client_id,
        "redirect_uri": request.redirect_uri,
        "scope": request.scope,
        "audience": request.audience,
        "code_challenge": request.code_challenge,
        "dpop_jkt": request.dpop_jkt,
        "state": request.state,
        "prompt": request.prompt,
        "max_age": request.max_age,
    }


def _request(members: dict[str, Any]) -> AuthorizationRequest:
    return AuthorizationRequest(
        client_id=members["client_id"],
        redirect_uri=members["redirect_uri"],
        scope=tuple(members["scope"]),
        audience=tuple(members["audience"]),
        code_challenge=members["code_challenge"],
        dpop_jkt=members["dpop_jkt"],
        state=members["state"],
        # A row of an earlier release, written while replicas are exchanged, has neither.
        prompt=members.get("prompt"),
        max_age=members.get("max_age"),
    )


def _authentication_members(authentication: Authentication) -> dict[str, Any]:
    return {"time": authentication.time, "acr": authentication.acr, "amr": authentication.amr}


def _authentication(members: dict[str, Any]) -> Authentication:
    return Authentication(members["time"], members["acr"], tuple(members["amr"]))


def _binding_members(binding: Binding | None) -> dict[str, Any] | None:
    return None if binding is None else binding.confirmation()


def _binding(members: dict[str, Any] | None) -> Binding | None:
    if members is None:
        return None
    return DpopBinding(members["jkt"]) if "jkt" in members else CertificateBinding(members["x5t#S256"])


def _dumped(members: dict[str, Any]) -> str:
    # With ASCII escapes, text that PostgreSQL cannot hold (NUL, a lone surrogate) is held all the same.
    return json.dumps(members, separators=(",", ":"))
