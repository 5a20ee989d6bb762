"""What a browser gets: a redirect, or a page with one sentence; never framed, stored, or told to others."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Final, Self
from urllib.parse import urlencode

from gateway.edge.exchange import EdgeRequest
from gateway.edge.oauth_errors import NO_STORE, HttpError, oauth_row, retry_headers
from gateway.edge.response import Response
from gateway.errors import GatewayError
from gateway.failures import cause_of
from gateway.login.errors import LoginRefusedError
from gateway.oidc.authorization import LOGIN_LIFETIME
from gateway.tokens.authorization import AuthorizationRequest

logger = logging.getLogger(__name__)

COOKIE: Final = "__Host-countersign-login"
"""The prefix keeps it from other hosts, subdomains and plain HTTP (RFC 6265bis §4.1.3.2)."""

_HEADERS: Final[Mapping[str, str]] = {
    **NO_STORE,
    "referrer-policy": "no-referrer",
    "content-security-policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
}
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>The login cannot go on</title></head>'
    "<body><h1>The login cannot go on</h1><p>{}</p></body></html>\n"
)


@dataclass(frozen=True, slots=True)
class WayBack:
    """Where the client waits for the answer; its redirect URI was checked before one of these is made.

    *issuer* goes with every answer (RFC 9207 §2).
    """

    client_id: str
    redirect_uri: str
    state: str | None
    issuer: str

    @classmethod
    def of(cls, request: AuthorizationRequest, issuer: str) -> Self:
        """That of *request*."""
        return cls(request.client_id, request.redirect_uri, request.state, issuer)

    def with_code(self, code: str) -> Response:
        """RFC 6749 §4.1.2."""
        return self._answer({"code": code})

    def with_error(self, told: GatewayError) -> Response:
        """RFC 6749 §4.1.2.1. What happened is in our log; the client gets the code of it."""
        error = told.error if isinstance(told, LoginRefusedError) else oauth_row(told).error
        cause = cause_of(told) or told.message
        logger.info("%s is sent back with %s", self.client_id, error, extra={"cause": cause})
        return self._answer({"error": error})

    def _answer(self, parameters: Mapping[str, str]) -> Response:
        state = {} if self.state is None else {"state": self.state}
        query = urlencode({**parameters, **state, "iss": self.issuer})
        separator = "&" if "?" in self.redirect_uri else "?"
        return redirect(f"{self.redirect_uri}{separator}{query}")


def redirect(url: str) -> Response:
    """303, so that what was posted is not posted again (RFC 9700 §4.12)."""
    return Response(status_code=303, headers={**_HEADERS, "location": url})


def page(told: GatewayError) -> Response:
    """The error as a page: for the user alone, as nobody else is known to be entitled to it."""
    response = Response(
        _PAGE.format(escape(told.message)), oauth_row(told).status, _HEADERS, "text/html; charset=utf-8"
    )
    response.headers.update(retry_headers(told))
    if isinstance(told, HttpError):
        response.headers.update(told.headers)
    return response


def remember(response: Response, browser: str) -> None:
    """Let the browser be known by *browser* until its login expires, in requests that come by navigation."""
    attributes = f"Path=/; Max-Age={LOGIN_LIFETIME}; Secure; HttpOnly; SameSite=Lax"
    response.headers["set-cookie"] = f"{COOKIE}={browser}; {attributes}"


def remembered(request: EdgeRequest) -> str | None:
    """The value that the browser is known by; None where it has none, or several."""
    found = []
    for header in request.header_values("cookie"):
        for pair in header.split(";"):
            name, _, value = pair.strip(" ").partition("=")
            if name == COOKIE:
                found.append(value)
    return found[0] if len(found) == 1 else None
