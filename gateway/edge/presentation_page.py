"""/demo/verifier: a page that asks wallets and shows every check, for development.

The page has a strict policy: its own script and style, no inline code, no other host. What it knows of a
request it has from the same use cases as gRPC callers; the browser is the owner of its requests, by a cookie,
so that whoever photographs a QR code learns nothing of the answer (SIOPv2 §15).
"""

import asyncio
import json
import secrets
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from functools import partial
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any, Final
from uuid import uuid4

from gateway.edge.exchange import EdgeRequest, Endpoint, Route
from gateway.edge.form import Form
from gateway.edge.oauth_errors import NO_STORE, HttpError
from gateway.edge.response import Response
from gateway.errors import Reason, RequestError
from gateway.jose import JoseError
from gateway.jose.strict_json import parse_object
from gateway.presentations.request import RequestRecord, RequestWish
from gateway.presentations.requests import PresentationRequests
from gateway.presentations.result import VerificationResult
from gateway.presentations.verified_employee import verified_employee_definition

PAGE: Final = "/demo/verifier"
COOKIE: Final = "__Host-countersign-verifier"
MAX_WISH: Final = 80 * 1024
"""Octets of what the page asks for: a definition, and a little around it."""
WAIT: Final = 20.0
"""Seconds that a question for the next state stays open."""

_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS: Final[Mapping[str, str]] = {
    **NO_STORE,
    "content-security-policy": _POLICY,
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
_FILES: Final = files("gateway.edge") / "verifier_page"
_LIKE: Final = "/countersign.v1.PresentationService/CreatePresentationRequest"
_DEADLINE: Final = WAIT + 10.0


class FileEndpoint:
    """A file that the page needs."""

    def __init__(self, name: str, media_type: str) -> None:
        self._text = (_FILES / name).read_text(encoding="utf-8")
        self._media_type = f"{media_type}; charset=utf-8"

    async def __call__(self, request: EdgeRequest) -> Response:
        """The file."""
        del request
        return Response(self._text, 200, _HEADERS, self._media_type)


class PageEndpoint:
    """The page itself, with the names of *verifiers* to choose from."""

    def __init__(self, verifiers: Sequence[str]) -> None:
        options = "".join(f"<option>{escape(name)}</option>" for name in verifiers)
        text = (_FILES / "page.html").read_text(encoding="utf-8")
        self._text = text.replace("{verifiers}", options)

    async def __call__(self, request: EdgeRequest) -> Response:
        """The page, and a cookie for a browser that has none."""
        response = Response(self._text, 200, _HEADERS, "text/html; charset=utf-8")
        if _browser(request) is None:
            attributes = "Path=/; Secure; HttpOnly; SameSite=Strict"
            response.headers["set-cookie"] = f"{COOKIE}={secrets.token_urlsafe(32)}; {attributes}"
        return response


class AskEndpoint:
    """POST: a request for what the page wants, as JSON."""

    def __init__(self, requests: PresentationRequests) -> None:
        self._requests = requests

    async def __call__(self, request: EdgeRequest) -> Response:
        """The request as `described`."""
        owner = _owner(request)
        record = await self._requests.create(_wish(request), owner=owner)
        return _json(described(record, self._requests.clock()))


class FollowEndpoint:
    """GET: a request as it is once its state is no longer the one that the page knows, or after `WAIT`."""

    def __init__(self, requests: PresentationRequests) -> None:
        self._requests = requests

    async def __call__(self, request: EdgeRequest) -> Response:
        """The request as `described`."""
        owner, known = _owner(request), Form.parse(request.query).get("known")
        requests, request_id = self._requests, request.parameters["request"]
        record = await requests.get(request_id, owner=owner)
        try:
            async with asyncio.timeout(WAIT), aclosing(requests.watch(request_id, owner=owner)) as states:
                async for record in states:
                    if record.status(requests.clock()) != known:
                        break
        except TimeoutError:
            pass  # The page asks again.
        return _json(described(record, requests.clock()))


def page_routes(requests: PresentationRequests, verifiers: Sequence[str]) -> list[Route]:
    """The page for *verifiers*, by their names. For development only: it asks nobody who they are."""
    read = partial(Route, methods=frozenset({"GET"}), policy=None, like=_LIKE)
    files: dict[str, Endpoint] = {
        PAGE: PageEndpoint(verifiers),
        f"{PAGE}/page.css": FileEndpoint("page.css", "text/css"),
        f"{PAGE}/page.js": FileEndpoint("page.js", "text/javascript"),
    }
    return [
        *(read(path, endpoint=endpoint) for path, endpoint in files.items()),
        read(f"{PAGE}/requests/{{request}}", endpoint=FollowEndpoint(requests), deadline=_DEADLINE),
        Route(f"{PAGE}/requests", frozenset({"POST"}), AskEndpoint(requests), None, MAX_WISH, like=_LIKE),
    ]


def described(record: RequestRecord, now: float) -> dict[str, Any]:
    """*record* as the page has it; times are seconds since the epoch."""
    request = record.request
    return {
        "id": request.request_id,
        "state": record.status(now).value,
        "authorization_request_uri": request.authorization_request_uri,
        "expire_time": request.expire_time,
        "wallet_error": record.wallet_error,
        "result": None if record.result is None else _report(record.result),
    }


def _report(result: VerificationResult) -> dict[str, Any]:
    return {
        "accepted": result.accepted,
        "holder": result.holder,
        "checks": [
            {
                "code": str(check.code),
                "outcome": check.outcome.value,
                "clause": check.clause,
                "path": check.path,
                "detail": check.detail,
                "reason": check.reason,
                "advisory": check.advisory,
            }
            for check in result.checks
        ],
        "credentials": [
            {
                "types": list(each.types),
                "issuer": each.issuer,
                "subject_claims": each.credential.get("credentialSubject", {}),
                "state": None if each.state is None else each.state.value,
                "linked_origin": each.linked_origin,
            }
            for each in result.credentials
        ],
    }


def _browser(request: EdgeRequest) -> str | None:
    """The value of the page's cookie; None where there is none, or several."""
    pairs = [pair.strip(" ") for header in request.header_values("cookie") for pair in header.split(";")]
    found = [value for name, _, value in (pair.partition("=") for pair in pairs) if name == COOKIE]
    return found[0] if len(found) == 1 and found[0] else None


def _owner(request: EdgeRequest) -> str:
    """Whose requests a browser sees. Raises `HttpError` 403."""
    browser = _browser(request)
    if browser is None:
        raise HttpError(403, "Open the page first.", error="access_denied", cause="cookie_missing")
    return f"verifier-page:{sha256(browser.encode()).hexdigest()}"


def _wish(request: EdgeRequest) -> RequestWish:
    """What the page asks for: a verifier, and a definition or none. Raises `RequestError`."""
    try:
        members = parse_object(request.body, max_size=MAX_WISH)
    except JoseError as error:
        raise RequestError(Reason.INVALID_REQUEST, "Send a JSON object.", cause=error.code) from error
    verifier, definition = members.get("verifier"), members.get("definition")
    if not isinstance(verifier, str) or not isinstance(definition, str | None):
        raise RequestError(Reason.INVALID_REQUEST, "verifier and definition are texts.", field="verifier")
    if definition is None:
        definition = verified_employee_definition(uuid4())
    return RequestWish(verifier, definition)


def _json(document: Mapping[str, Any]) -> Response:
    return Response(json.dumps(document), 200, _HEADERS, "application/json")
