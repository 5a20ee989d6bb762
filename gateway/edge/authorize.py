"""/oauth2/authorize and /oauth2/callback: a user goes to the upstream provider, and comes back with a code.

Until the redirect URI is known to be the client's, an error is a page (RFC 6749 §4.1.2.1); from then on the
client hears of it.
"""

from collections.abc import Sequence
from functools import partial
from typing import Final

from gateway.edge.authorization import draft_of
from gateway.edge.browser import WayBack, page, redirect, remember, remembered
from gateway.edge.exchange import EdgeRequest, Route
from gateway.edge.form import Form
from gateway.edge.oauth_errors import HttpError
from gateway.edge.response import Response
from gateway.errors import GatewayError, Reason, RequestError
from gateway.login.delegated import DelegatedLogin
from gateway.tokens.authorization_requests import AcceptedRequest
from gateway.tokens.metadata import AUTHORIZATION_PATH, CALLBACK_PATH

MAX_PARAMETERS_SIZE: Final = 16 * 1024
"""Octets of a query, or of a form in its place."""
_UNTRUSTED: Final = frozenset({"client_id", "redirect_uri"})
"""Fields at fault whose errors are never redirected."""


class AuthorizeEndpoint:
    """RFC 6749 §3.1, with PKCE, RFC 9126 and RFC 9207. *issuer*: ours."""

    def __init__(self, login: DelegatedLogin, issuer: str) -> None:
        self._login = login
        self._authorizations = login.authorizations
        self._issuer = issuer

    async def __call__(self, request: EdgeRequest) -> Response:
        """Send the user to the provider."""
        form = request.form() if request.method == "POST" else _query(request)
        client_id, request_uri = form.require("client_id"), form.get("request_uri")
        if request_uri is not None:
            return await self._depart(request, await self._pushed(client_id, request_uri, form))
        back = WayBack(client_id, form.require("redirect_uri"), form.get("state"), self._issuer)
        await self._authorizations.require_redirect_uri(client_id, back.redirect_uri)
        try:
            accepted = await self._authorizations.accept(client_id, draft_of(form))
        except GatewayError as error:
            return _told(back, error)
        return await self._depart(request, accepted)

    async def _pushed(self, client_id: str, request_uri: str, form: Form) -> AcceptedRequest:
        """What was pushed; no other parameter counts beside it (RFC 9126 §4)."""
        if form.get("request") is not None:
            raise HttpError(400, "Send a request URI or a request, not both.")
        accepted = await self._authorizations.accept(client_id, request_uri)
        await self._authorizations.require_redirect_uri(client_id, accepted.request.redirect_uri)
        return accepted

    async def _depart(self, request: EdgeRequest, accepted: AcceptedRequest) -> Response:
        try:
            departure = await self._login.begin(accepted, remembered(request))
        except GatewayError as error:
            return _told(WayBack.of(accepted.request, self._issuer), error)
        response = redirect(departure.url)
        remember(response, departure.browser)
        return response


class CallbackEndpoint:
    """The redirect URI of our own client at the provider. *issuer*: ours."""

    def __init__(self, login: DelegatedLogin, issuer: str) -> None:
        self._login = login
        self._issuer = issuer

    async def __call__(self, request: EdgeRequest) -> Response:
        """Send the user back to the client with a code, or with what the provider said."""
        form = _query(request)
        pending = await self._login.take(form.require("state"), remembered(request))
        back = WayBack.of(pending.accepted.request, self._issuer)
        try:
            issued = await self._login.finish(pending, _pairs(form))
        except GatewayError as error:
            return _told(back, error)
        return back.with_code(issued.code)


def login_routes(login: DelegatedLogin | None, issuer: str) -> list[Route]:
    """Both endpoints; none without an upstream provider. HEAD is refused, as it would begin a login."""
    if login is None:
        return []
    like = "/countersign.v1.AuthorizationService/CreateAuthorizationCode"
    route = partial(Route, policy=None, max_body=MAX_PARAMETERS_SIZE, refuse=page, like=like)
    return [
        route(AUTHORIZATION_PATH, frozenset({"GET", "POST"}), AuthorizeEndpoint(login, issuer)),
        route(CALLBACK_PATH, frozenset({"GET"}), CallbackEndpoint(login, issuer)),
    ]


def _told(back: WayBack, error: GatewayError) -> Response:
    """The client hears of *error*, unless it is about where the client is; then *error* is raised."""
    if isinstance(error, RequestError) and error.field in _UNTRUSTED:
        raise error
    return back.with_error(error)


def _query(request: EdgeRequest) -> Form:
    if len(request.query) > MAX_PARAMETERS_SIZE:
        raise RequestError(
            Reason.INVALID_REQUEST, f"At most {MAX_PARAMETERS_SIZE} octets.", cause="query_too_large"
        )
    return Form.parse(request.query)


def _pairs(form: Form) -> Sequence[tuple[str, str]]:
    return [(name, value) for name, values in form.values.items() for value in values]
