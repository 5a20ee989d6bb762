"""What happens around every HTTPS request, in this order, the same as around a gRPC call:

1. **request id**: taken from the client where well-formed, else made; it returns as a header;
2. **error mapping**: whatever is raised below becomes one response, here and nowhere else;
3. **access log**: one record for each request, refused ones included;
4. **route**: 404, 405;
5. **body**: read as a whole, bounded in size and time, with a bound for all bodies together, and not parsed.
   It comes before admission, unlike over gRPC, because clients that send slowly must not take the room of
   calls, which gRPC shares;
6. **admission**: refused at once while the server drains, has too many calls under way, or lets calls wait
   too long, by the priority of the method that does the same;
7. **deadline**;
8. **caller**: one certificate, one principal;
9. **limits** of that caller, the same as over gRPC;
10. **authorize**: by the table in `gateway.authorization`;
11. only then the endpoint parses the body and calls the use case.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import Final

from gateway.admission import Admission, Limits, shutting_down
from gateway.edge.deadlines import Deadlines
from gateway.edge.exchange import EdgeRequest, Refusal, Route
from gateway.edge.http_request import HttpRequest
from gateway.edge.oauth_errors import HttpError, oauth_error
from gateway.edge.response import Answer, rendered
from gateway.errors import AuthenticationError, AvailabilityError, GatewayError, Reason, RequestError
from gateway.failures import SERVER_FAULTS, cause_of, to_gateway_error
from gateway.limits.method_classes import Priority, priority_of
from gateway.limits.rate_limits import MethodLimit, RateLimits
from gateway.principal import ANONYMOUS, Call, Principal, call_under_way
from gateway.proofs.client_certificate import ClientCertificate
from gateway.request_callers import Metadata, RequestCallers
from gateway.telemetry import request_id as request_ids
from gateway.telemetry.access_log import AccessLog, AccessRecord

logger = logging.getLogger(__name__)

_DEFECT: Final = 500
_MAX_LOGGED_PATH: Final = 128
_MAX_AUTHORIZATION: Final = 16 * 1024


class _Progress:
    """What is known of one request so far, for its log record and its response."""

    __slots__ = (
        "caller", "close", "deadline", "refuse", "request", "request_id", "route", "scheme", "started",
    )  # fmt: skip

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        self.request_id = request_ids.from_metadata(
            [(request_ids.HEADER, value) for value in request.headers.values(request_ids.HEADER)]
        )
        self.route = ""
        self.scheme: str | None = None
        self.started = time.perf_counter()
        self.deadline: float | None = None
        self.caller = ""
        self.refuse: Refusal | None = None  # Where the route says nothing, as OAuth does.
        self.close = True  # Until the body is read: what is left of it must not be taken for a request.

    @property
    def name(self) -> str:
        """The request for the log: as it was sent, because what percent-encoding hides may be line ends."""
        return f"{self.request.method} {self.request.raw_path[:_MAX_LOGGED_PATH]}"


@dataclass(frozen=True, slots=True)
class _Served:
    """A route, with what is looked for once: its priority, and what limits its callers, if anything."""

    route: Route
    priority: Priority
    limit: MethodLimit | None


class EdgePipeline:
    """The application behind every connection.

    *admission* and *rate_limits* are those of the gRPC pipeline: both share the room for calls, and what a
    caller may do.

    *authorize* raises `GatewayError` where the caller may not call; *on_server_fault* hears the reason of
    every failure that is the gateway's own.
    *request_timeout*: seconds that a body may take; *dpop_algorithms*: what challenges name.
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
        dpop_algorithms: Sequence[str] = (),
        on_server_fault: Callable[[Reason], None] = lambda _: None,
        rate_limits: RateLimits | None = None,
    ) -> None:
        rate_limits = rate_limits or RateLimits()
        listed = [
            _Served(route, priority_of(route.counts_as), rate_limits.of(route.counts_as)) for route in routes
        ]
        self._routes = {served.route.path: served for served in listed if served.route.pattern is None}
        self._patterns = [(pattern, served) for served in listed if (pattern := served.route.pattern)]
        self._limits = limits
        self._admission = admission
        self._callers = callers
        self._authorize = authorize
        self._access_log = access_log
        self._request_timeout = request_timeout
        self._dpop_algorithms = dpop_algorithms
        self._on_server_fault = on_server_fault
        self._deadlines = Deadlines()

    async def __call__(self, request: HttpRequest) -> None:
        """Answer one request."""
        progress = _Progress(request)
        request_ids.current_request_id.set(progress.request_id)
        try:
            answer = await self._serve(progress)
        except asyncio.CancelledError:
            # Only a drain whose time is over cancels: the client learns that another replica can help.
            answer = self._refusal(progress, shutting_down())
        except Exception as error:  # noqa: BLE001 - this is the one place that answers for whatever is raised
            answer = self._refusal(progress, error)
        else:
            self._log(progress, str(answer.status_code), "", "")
        self._respond(progress, answer)

    def _respond(self, progress: _Progress, answer: Answer) -> None:
        request = progress.request
        further = {request_ids.HEADER: progress.request_id, "date": _date(int(time.time()))}
        close = progress.close or request.is_last()
        if close:
            further["connection"] = "close"
        try:
            octets = rendered(answer, further, head_only=request.method == "HEAD")
        except ValueError as error:
            octets = rendered(self._refusal(progress, error), further, head_only=False)
        request.respond(octets, close=close)

    async def _serve(self, progress: _Progress) -> Answer:
        served, parameters = self._route(progress)
        body = await self._body(progress.request, served.route.max_body)
        progress.close = False
        if served.route.always_admitted:
            return await self._answer(served, parameters, progress, body)
        self._admission.enter(served.priority)
        try:
            return await self._answer(served, parameters, progress, body)
        finally:
            self._admission.leave()

    def _route(self, progress: _Progress) -> tuple[_Served, Mapping[str, str]]:
        """The route, and the parts of the path that it names."""
        request = progress.request
        if len(request.headers.values("host")) != 1 and request.version == "1.1":
            raise HttpError(400, "Send one Host header.", cause="host_header")  # RFC 9112 §3.2
        served, parameters = self._find(request.path)
        route = served.route
        progress.refuse = route.refuse
        if request.method not in route.methods:
            raise HttpError(
                405,
                f"Use {route.allow}.",
                headers={"allow": route.allow},
                cause="method_not_allowed",
            )
        progress.route = f"{request.method} {route.path}"
        return served, parameters

    def _find(self, path: str) -> tuple[_Served, Mapping[str, str]]:
        """Raises `HttpError` 404."""
        served = self._routes.get(path)
        if served is not None:
            return served, {}
        for pattern, candidate in self._patterns:
            match = pattern.fullmatch(path)
            if match is not None:
                return candidate, match.groupdict()
        raise HttpError(404, "There is nothing at this path.", cause="path_unknown")

    async def _body(self, request: HttpRequest, limit: int) -> bytes:
        """The whole body.

        Raises `RequestError` MESSAGE_TOO_LARGE, `AvailabilityError` OVERLOADED, `HttpError` 400 and 408.
        """
        length = request.headers.values("content-length")
        if length and int(length[0]) > limit:  # llhttp lets one pass, of digits.
            raise _too_large(limit)
        if not request.complete:  # Most are by now, and need no timer.
            try:
                async with asyncio.timeout(self._request_timeout):
                    await request.wait(limit)
            except TimeoutError as error:
                raise HttpError(408, "The body did not arrive in time.", cause="body_late") from error
            if request.turned_away:
                raise AvailabilityError(
                    Reason.OVERLOADED, "Too much is being sent now; retry after a pause.", cause="body_budget"
                )
            if request.left:
                raise HttpError(400, "The request ended early.", cause="client_left")
        if request.size > limit:
            raise _too_large(limit)
        return request.body

    async def _answer(
        self, served: _Served, parameters: Mapping[str, str], progress: _Progress, body: bytes
    ) -> Answer:
        request, route = progress.request, served.route
        progress.deadline = route.deadline or self._limits.default_deadline
        with self._deadlines.within(progress.deadline):
            basic, metadata = _split_authorization(progress)
            call, limited_as = await self._identify(served, progress, metadata)
            asked = EdgeRequest(
                call=call,
                method=request.method,
                path=request.path,
                query=request.query,
                headers=request.headers,
                body=body,
                basic=basic,
                parameters=parameters,
            )
            call_under_way.set(call)
            if route.always_admitted:
                return await route.endpoint(asked)
            self._admission.enter_caller(limited_as)
            try:
                return await route.endpoint(asked)
            finally:
                self._admission.leave_caller(limited_as)

    async def _identify(self, served: _Served, progress: _Progress, metadata: Metadata) -> tuple[Call, str]:
        """Who calls, within its limits and authorized; and its name, or what stands for one without."""
        request, limit, policy = progress.request, served.limit, served.route.policy
        chain = request.chain
        transport = ClientCertificate.from_der(chain[0], chain[1:]) if chain else None
        try:
            principal, certificate = await self._callers.resolve(
                transport, metadata, path=request.path, method=request.method
            )
        except GatewayError:
            if limit is not None:  # Who cannot prove a name calls as nobody.
                limit.take(ANONYMOUS, self._callers.site(transport, metadata, request.peer))
            raise
        progress.caller = principal.name
        limited_as = principal.name or self._callers.site(transport, metadata, request.peer)
        if limit is not None:
            limit.take(principal, limited_as)
        if policy is not None:
            self._authorize(policy, principal)
        return Call(principal, certificate, progress.request_id), limited_as

    def _refusal(self, progress: _Progress, error: BaseException) -> Answer:
        told = to_gateway_error(error)
        response: Answer
        if progress.refuse is None:
            response = oauth_error(told, scheme=progress.scheme, dpop_algorithms=self._dpop_algorithms)
        else:
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
                progress.request.peer,
                (time.perf_counter() - progress.started) * 1e3,
                None if deadline is None else deadline * 1e3,
                progress.route,
            )
        )


def _split_authorization(progress: _Progress) -> tuple[str | None, Metadata]:
    """Basic credentials are a client's, for its endpoint; anything else is the caller's.

    Gives the former, and the headers that the caller is resolved from. Raises `AuthenticationError`
    INVALID_CLIENT.
    """
    headers = progress.request.headers
    values = headers.values("authorization")
    if not values:
        return None, headers.pairs
    scheme, _, rest = values[0].partition(" ")
    progress.scheme = scheme.lower()
    if progress.scheme != "basic":
        return None, headers.pairs
    if len(values) > 1 or len(rest) > _MAX_AUTHORIZATION:
        raise AuthenticationError(
            Reason.INVALID_CLIENT, "Client authentication failed.", cause="authorization_malformed"
        )
    return rest.strip(" "), headers.without("authorization")


def _too_large(limit: int) -> GatewayError:
    return RequestError(Reason.MESSAGE_TOO_LARGE, f"A request body has at most {limit} octets here.")


@lru_cache(maxsize=2)
def _date(now: int) -> str:
    """The time as RFC 9110 §6.6.1 has it; once a second."""
    return formatdate(now, usegmt=True)
