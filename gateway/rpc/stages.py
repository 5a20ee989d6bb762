"""The stages that unary and streaming methods share; `gateway.rpc.pipeline` has their order."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import grpc

from gateway.admission import Admission, Limits, gave_way, no_place
from gateway.errors import GatewayError, Reason, RequestError
from gateway.failures import SERVER_FAULTS, cause_of
from gateway.limits.method_classes import Priority, priority_of
from gateway.limits.rate_limits import RateLimits
from gateway.principal import ANONYMOUS, Call, Principal, call_under_way
from gateway.proofs.client_certificate import ClientCertificate
from gateway.rpc.current import Metadata, current_metadata
from gateway.rpc.deadlines import Deadlines
from gateway.rpc.status import (
    DETAILS_KEY,
    MAX_TEXT,
    STATUS,
    to_gateway_error,
    to_status_octets,
    trailers_of,
)
from gateway.telemetry import request_id as request_ids
from gateway.telemetry.access_log import AccessLog, AccessRecord

logger = logging.getLogger(__name__)


class CallerResolver(Protocol):
    """Stage 6: see `gateway.rpc.caller`."""

    async def resolve(
        self, connection: Mapping[str, Sequence[bytes]], metadata: Metadata, method: str
    ) -> tuple[Principal, ClientCertificate | None]:
        """Who calls, from what TLS knows of the *connection* and from the call's *metadata*, and the call's
        one client certificate. *method* is the full name of the method called. Raises `GatewayError`.
        """
        ...

    def site(self, connection: Mapping[str, Sequence[bytes]], metadata: Metadata, peer: str) -> str:
        """What stands for a caller that has no name; *peer* is the connection's other end."""
        ...


class Stages(Protocol):
    """What the stages work with: `gateway.rpc.pipeline.Pipeline`."""

    limits: Limits
    admission: Admission
    deadlines: Deadlines
    rate_limits: RateLimits
    callers: CallerResolver
    authorize: Callable[[str, Principal], None]
    access_log: AccessLog
    on_server_fault: Callable[[Reason], None]


class Progress:
    """What is known of one call so far, for its log record and its limits.

    `limited_as` is the caller's name, or what stands for one that has none.
    """

    __slots__ = (
        "caller",
        "deadline",
        "limited_as",
        "metadata",
        "peer",
        "principal",
        "request_id",
        "started",
    )

    def __init__(self, context: grpc.aio.ServicerContext) -> None:
        self.metadata: Metadata = context.invocation_metadata()
        self.request_id = request_ids.from_metadata(self.metadata)
        self.peer: str = context.peer()  # Now, because a call that has failed knows it no longer.
        self.started = time.perf_counter()
        self.deadline: float | None = None
        self.caller = ""
        self.limited_as = ""
        self.principal = ANONYMOUS


class Method:
    """The stages that unary and streaming methods share."""

    def __init__(self, pipeline: Stages, method: str) -> None:
        self._pipeline = pipeline
        self._method = method
        self._priority = priority_of(method)
        # Health is asked when things go badly: it answers under overload and while draining.
        self._always_admitted = self._priority is Priority.HEALTH
        # Looked for once: without a rule for the method nothing is looked for in its calls.
        self._limit = pipeline.rate_limits.of(method)
        self._is_batch = False

    def _begin(self, context: grpc.aio.ServicerContext) -> Progress:
        progress = Progress(context)
        self._pipeline.admission.taken += 1
        request_ids.current_request_id.set(progress.request_id)
        context.set_trailing_metadata(((request_ids.HEADER, progress.request_id),))
        return progress

    async def _authorize(self, context: grpc.aio.ServicerContext, progress: Progress) -> None:
        pipeline = self._pipeline
        connection = context.auth_context()
        try:
            principal, certificate = await pipeline.callers.resolve(
                connection, progress.metadata, self._method
            )
        except GatewayError:
            if self._limit is not None:  # Who cannot prove a name calls as nobody.
                progress.limited_as = pipeline.callers.site(connection, progress.metadata, progress.peer)
                self._limit.take(ANONYMOUS, progress.limited_as)
            raise
        progress.principal = principal
        progress.caller = principal.name
        progress.limited_as = principal.name or pipeline.callers.site(
            connection, progress.metadata, progress.peer
        )
        if self._limit is not None:
            # How many a batch holds is known once it is parsed; it is not, where not even one is left.
            limit = self._limit.check if self._is_batch else self._limit.take
            limit(principal, progress.limited_as)
        pipeline.authorize(self._method, principal)
        call_under_way.set(Call(principal, certificate, progress.request_id))
        current_metadata.set(progress.metadata)

    def _log(self, progress: Progress, code: str, reason: str, cause: str) -> None:
        deadline = progress.deadline
        self._pipeline.access_log.record(
            AccessRecord(
                time.time(),
                self._method,
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

    async def _refuse(
        self, context: grpc.aio.ServicerContext, progress: Progress, error: BaseException
    ) -> None:
        """Answer with the status of *error*. Raises, as `abort` does, so that nothing is sent after it."""
        told = to_gateway_error(error)
        code = STATUS[told.reason]
        if told.reason is Reason.INTERNAL:
            logger.error("Internal error in %s", self._method, exc_info=error)
        if told.reason in SERVER_FAULTS:
            self._pipeline.on_server_fault(told.reason)
        self._log(progress, code.name, told.reason, cause_of(told))
        await context.abort(
            code,
            told.message[:MAX_TEXT],
            (
                (request_ids.HEADER, progress.request_id),
                (DETAILS_KEY, to_status_octets(told)),
                *trailers_of(told),
            ),
        )


async def read_message(context: grpc.aio.ServicerContext) -> bytes:
    """The next message, not parsed."""
    raw = await context.read()
    if raw is grpc.aio.EOF:
        raise no_message()
    assert isinstance(raw, bytes)  # noqa: S101 - handlers are registered without a deserializer
    return raw


def no_message() -> RequestError:
    """Where the message passed the size limit, the core has answered RESOURCE_EXHAUSTED already."""
    return RequestError(
        Reason.INVALID_REQUEST, "The call carries no message.", cause="message_missing_or_too_large"
    )


async def read_in_time(
    context: grpc.aio.ServicerContext,
    admission: Admission,
    priority: Priority,
    caller: str,
    task: asyncio.Task[object],
) -> bytes:
    """The one message of the unary call that *task* serves, not parsed. While it is on its way the call gives
    back its place.

    Raises `AvailabilityError` where no place is left once it came, or too many wait for theirs.
    """
    admission.await_message(task, caller)
    try:
        raw = await context.read()
    except asyncio.CancelledError:
        if admission.awaits_message(task):
            raise
        task.uncancel()
        raise gave_way() from None
    finally:
        has_place = admission.end_message(task, priority)
    if raw is grpc.aio.EOF:
        raise no_message()
    assert isinstance(raw, bytes)  # noqa: S101 - handlers are registered without a deserializer
    if not has_place:
        raise no_place()
    return raw


def code_name(context: grpc.aio.ServicerContext) -> str:
    """The name of the status code that the servicer set."""
    code = context.code()
    return code.name if isinstance(code, grpc.StatusCode) else "UNKNOWN"
