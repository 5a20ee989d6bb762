"""What happens around every HTTPS request, in this order, the same as around a gRPC call:

1. **request id**: taken from the client where well-formed, else made; it returns as a header;
2. **error mapping**: whatever is raised below becomes one response, here and nowhere else;
3. **access log**: one record for each request, refused ones included;
4. **route**: 404, 405;
5. **body**: read as a whole, bounded in size and time, and not parsed. It comes before admission, unlike over
   gRPC, because clients that send slowly must not take the room of calls, which gRPC shares;
6. **admission**: refused at once while the server drains or has too many calls under way;
7. **deadline**;
8. **caller**: one certificate, one principal;
9. **authorize**: by the table in `gateway.authorization`;
10. only then the endpoint parses the body and calls the use case.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from email.utils import formatdate
from functools import lru_cache
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gateway.admission import Admission, Limits, shutting_down
from gateway.edge.exchange import EdgeRequest, Headers, Refusal, Route, values_of
from gateway.edge.oauth_errors import HttpError, oauth_error
from gateway.edge.protocol import CLIENT_CHAIN
from gateway.errors import AuthenticationError, GatewayError, Reason, RequestError
from gateway.failures import SERVER_FAULTS, cause_of, to_gateway_error
from gateway.principal import Call, Principal
from gateway.proofs.client_certificate import ClientCertificate
from gateway.request_callers import RequestCallers
from gateway.telemetry import request_id as request_ids
from gateway.telemetry.access_log import AccessLog, AccessRecord

logger = logging.getLogger(__name__)

_DEFECT: Final = 500
_MAX_LOGGED_PATH: Final = 128
_MAX_AUTHORIZATION: Final = 16 * 1024


class _Progress:
    """What is known of one request so far, for its log record and its response."""

    __slots__ = (
        "caller",
        "close",
        "deadline",
        "headers",
        "method",
        "name",
        "peer",
        "refuse",
        "request_id",
        "scheme",
        "started",
    )

    def __init__(self, scope: Scope) -> None:
        self.headers: Headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
        ]
        self.request_id = request_ids.from_metadata(self.headers)
        self.method: str = scope["method"]
        # As it was sent, because what percent-encoding hides may be line ends.
        self.name = f"{self.method} {scope['raw_path'][:_MAX_LOGGED_PATH].decode('latin-1')}"
        client = scope["client"]
        self.peer = f"{client[0]}:{client[1]}" if client else ""
        self.scheme: str | None = None
        self.started = time.perf_counter()
        self.deadline: float | None = None
        self.caller = ""
        self.refuse: Refusal = lambda told: oauth_error(told, scheme=self.scheme)
        self.close = True  # Until the body is read: what is left of it must not be taken for a request.


class EdgePipeline:
    """The ASGI application. *admission* is the one of the gRPC pipeline: both share the room for calls.

    *authorize* raises `GatewayError` where the caller may not call; *on_server_fault* hears the reason of
    every failure that is the gateway's own. *request_timeout*: seconds that a body may take.
    """

    def __init__(
        self,
        *,
        routes: Iterable[Route],
        limits: Limits,
        admission: Admission,
        callers: RequestCallers,
        authorize: Callable[[str, Principal], None],
        access_log: AccessLog,
        request_timeout: float,
        on_server_fault: Callable[[Reason], None] = lambda _: None,
    ) -> None:
        listed = tuple(routes)
        self._routes = {route.path: route for route in listed if route.pattern is None}
        self._patterns = [(route.pattern, route) for route in listed if route.pattern is not None]
        self._limits = limits
        self._admission = admission
        self._callers = callers
        self._authorize = authorize
        self._access_log = access_log
        self._request_timeout = request_timeout
        self._on_server_fault = on_server_fault

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        progress = _Progress(scope)
        request_ids.current_request_id.set(progress.request_id)
        try:
            response = await self._serve(scope, receive, progress)
        except asyncio.CancelledError:
            # Only a drain whose time is over cancels: the client learns that another replica can help.
            response = self._refusal(progress, shutting_down())
        except Exception as error:  # noqa: BLE001 - this is the one place that answers for whatever is raised
            response = self._refusal(progress, error)
        else:
            self._log(progress, str(response.status_code), "", "")
        response.headers[request_ids.HEADER] = progress.request_id
        response.headers["date"] = _date(int(time.time()))
        if progress.close:
            response.headers["connection"] = "close"
        await response(scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, progress: _Progress) -> Response:
        route, parameters = self._route(scope, progress)
        body = await self._body(receive, progress.headers, route.max_body)
        progress.close = False
        if route.always_admitted:
            return await self._answer(route, parameters, scope, progress, body)
        self._admission.enter()
        try:
            return await self._answer(route, parameters, scope, progress, body)
        finally:
            self._admission.leave()

    def _route(self, scope: Scope, progress: _Progress) -> tuple[Route, Mapping[str, str]]:
        """The route, and the parts of the path that it names."""
        if len(values_of(progress.headers, "host")) != 1 and scope["http_version"] == "1.1":
            raise HttpError(400, "Send one Host header.", cause="host_header")  # RFC 9112 §3.2
        route, parameters = self._find(scope["path"])
        if route.refuse is not None:
            progress.refuse = route.refuse
        if progress.method not in route.methods:
            raise HttpError(
                405,
                f"Use {route.allow}.",
                headers={"allow": route.allow},
                cause="method_not_allowed",
            )
        return route, parameters

    def _find(self, path: str) -> tuple[Route, Mapping[str, str]]:
        """Raises `HttpError` 404."""
        route = self._routes.get(path)
        if route is not None:
            return route, {}
        for pattern, candidate in self._patterns:
            match = pattern.fullmatch(path)
            if match is not None:
                return candidate, match.groupdict()
        raise HttpError(404, "There is nothing at this path.", cause="path_unknown")

    async def _body(self, receive: Receive, headers: Headers, limit: int) -> bytes:
        """The whole body. Raises `RequestError` MESSAGE_TOO_LARGE, `HttpError` 408."""
        length = values_of(headers, "content-length")
        if length and int(length[0]) > limit:  # llhttp lets one pass, of digits.
            raise _too_large(limit)
        body = bytearray()
        try:
            async with asyncio.timeout(self._request_timeout):
                while True:
                    message: Any = await receive()
                    if message["type"] == "http.disconnect":
                        raise HttpError(400, "The request ended early.", cause="client_left")
                    body += message["body"]
                    if len(body) > limit:
                        raise _too_large(limit)
                    if not message["more_body"]:
                        return bytes(body)
        except TimeoutError as error:
            raise HttpError(408, "The body did not arrive in time.", cause="body_late") from error

    async def _answer(
        self,
        route: Route,
        parameters: Mapping[str, str],
        scope: Scope,
        progress: _Progress,
        body: bytes,
    ) -> Response:
        progress.deadline = route.deadline or self._limits.default_deadline
        async with asyncio.timeout(progress.deadline):
            basic, metadata = _split_authorization(progress)
            chain: tuple[bytes, ...] = scope[CLIENT_CHAIN]
            transport = ClientCertificate.from_der(chain[0], chain[1:]) if chain else None
            principal, certificate = await self._callers.resolve(
                transport, metadata, path=scope["path"], method=progress.method
            )
            progress.caller = principal.name
            if route.policy is not None:
                self._authorize(route.policy, principal)
            request = EdgeRequest(
                call=Call(principal, certificate, progress.request_id),
                method=progress.method,
                path=scope["path"],
                query=scope["query_string"],
                headers=progress.headers,
                body=body,
                basic=basic,
                parameters=parameters,
            )
            return await route.endpoint(request)

    def _refusal(self, progress: _Progress, error: BaseException) -> Response:
        told = to_gateway_error(error)
        response = progress.refuse(told)
        if response.status_code == _DEFECT:
            logger.error("Internal error in %s", progress.name, exc_info=error)
        if told.reason in SERVER_FAULTS:
            self._on_server_fault(told.reason)
        self._log(progress, str(response.status_code), told.reason, cause_of(told))
        return response

    def _log(self, progress: _Progress, code: str, reason: str, cause: str) -> None:
        deadline = progress.deadline
        self._access_log.record(
            AccessRecord(
                time.time(),
                progress.name,
                code,
                reason,
                cause,
                progress.caller,
                progress.request_id,
                progress.peer,
                (time.perf_counter() - progress.started) * 1e3,
                None if deadline is None else deadline * 1e3,
            )
        )


def _split_authorization(progress: _Progress) -> tuple[str | None, Headers]:
    """Basic credentials are a client's, for its endpoint; anything else is the caller's.

    Gives the former, and the headers that the caller is resolved from. Raises `AuthenticationError`
    INVALID_CLIENT.
    """
    values = values_of(progress.headers, "authorization")
    if not values:
        return None, progress.headers
    scheme, _, rest = values[0].partition(" ")
    progress.scheme = scheme.lower()
    if progress.scheme != "basic":
        return None, progress.headers
    if len(values) > 1 or len(rest) > _MAX_AUTHORIZATION:
        raise AuthenticationError(
            Reason.INVALID_CLIENT, "Client authentication failed.", cause="authorization_malformed"
        )
    others = [(name, value) for name, value in progress.headers if name != "authorization"]
    return rest.strip(" "), others


def _too_large(limit: int) -> GatewayError:
    return RequestError(Reason.MESSAGE_TOO_LARGE, f"A request body has at most {limit} octets here.")


@lru_cache(maxsize=2)
def _date(now: int) -> str:
    """The time as RFC 9110 §6.6.1 has it; once a second."""
    return formatdate(now, usegmt=True)
