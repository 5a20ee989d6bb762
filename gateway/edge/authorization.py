"""POST /oauth2/par: pushed authorization requests (RFC 9126)."""

import json
from typing import Final

from gateway.edge.credentials import client_claim
from gateway.edge.dpop import ProvenRequests
from gateway.edge.exchange import EdgeRequest
from gateway.edge.form import Form
from gateway.edge.grants import scope_of
from gateway.edge.oauth_errors import NO_STORE, HttpError
from gateway.edge.response import Response
from gateway.errors import Reason, RequestError
from gateway.tokens.authorization_requests import AuthorizationDraft, AuthorizationRequests
from gateway.tokens.dpop import DpopDoor
from gateway.tokens.metadata import PAR_PATH
from gateway.tokens.pkce import METHOD

_RESPONSE_TYPE: Final = "code"
_RESPONSE_MODE: Final = "query"


class PushedRequestEndpoint:
    """RFC 9126 §2. The client authenticates as at the token endpoint."""

    def __init__(self, authorizations: AuthorizationRequests, dpop: DpopDoor) -> None:
        self._authorizations = authorizations
        self._proven = ProvenRequests(dpop, PAR_PATH)

    async def __call__(self, request: EdgeRequest) -> Response:
        """Keep one request."""
        form = request.form()
        claim = client_claim(request.basic, form)
        client_id, draft = claim.require_client_id(), draft_of(form)
        call = self._proven.call(request)
        pushed = await self._authorizations.push(call, client_id, claim.credential, draft)
        document = {"request_uri": pushed.request_uri, "expires_in": pushed.expires_in}
        response = Response(json.dumps(document), 201, NO_STORE, "application/json")
        self._proven.give_nonce(call, response)
        return response


def draft_of(form: Form) -> AuthorizationDraft:
    """The authorization request of *form* (RFC 6749 §4.1.1, RFC 7636 §4.3).

    Raises `RequestError` (MISSING_FIELD, INVALID_REQUEST), `HttpError`.
    """
    if form.get("request_uri") is not None:
        # RFC 9126 §2.1: a pushed request is not itself a reference.
        raise _invalid("Push the request itself, not a reference.", "request_uri")
    if form.get("request") is not None:
        raise HttpError(400, "Request objects are not taken.", error="request_not_supported")
    if form.require("response_type") != _RESPONSE_TYPE:
        raise HttpError(400, "Ask for a code.", error="unsupported_response_type")
    if form.get("response_mode") not in {None, _RESPONSE_MODE}:
        raise _invalid("Codes come back in the query.", "response_mode")
    if form.require("code_challenge_method") != METHOD:
        raise _invalid("Make the challenge with S256.", "code_challenge_method")
    return AuthorizationDraft(
        redirect_uri=form.require("redirect_uri"),
        code_challenge=form.require("code_challenge"),
        scope=scope_of(form),
        resource=form.all("resource"),
        dpop_jkt=form.get("dpop_jkt") or "",
        state=form.get("state") or "",
        prompt=form.get("prompt") or "",
        max_age=form.get("max_age") or "",
    )


def _invalid(message: str, field: str) -> RequestError:
    return RequestError(Reason.INVALID_REQUEST, message, field=field)
