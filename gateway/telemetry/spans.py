"""Spans as the rooms of the gateway see them: a call may have one, and gives it children that are over.

    span = current_span.get()
    if span is not None:
        span.child("fetch", started, time.time_ns(), {"server.address": host})

Nothing here knows OpenTelemetry, and where tracing is off, or a call is not sampled, there is no span: what
is left then is to look at one variable. A child is told when it is over, with both of its times, so that no
context has to be changed and restored around what it measures.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from enum import StrEnum
from typing import Final, Protocol, TypeAlias

AttributeValue: TypeAlias = str | int | float | bool
Attributes: TypeAlias = Mapping[str, AttributeValue]

MAX_VALUE: Final = 256
"""Characters of an attribute; what is longer is cut."""
MAX_CHILDREN: Final = 32
"""Statements of one transaction that get a span each."""


class SpanKind(StrEnum):
    """Which side of a conversation a span is of (OpenTelemetry, Trace API, SpanKind)."""

    SERVER = "server"
    CLIENT = "client"
    INTERNAL = "internal"


ATTRIBUTES: Final = frozenset(
    {
        "countersign.algorithm",
        "countersign.backend",
        "countersign.key_id",
        "countersign.purpose",
        "countersign.reason",
        "countersign.request_id",
        "countersign.rows",
        "countersign.signature.queue_seconds",
        "countersign.signature.sign_seconds",
        "countersign.signature.verify_seconds",
        "countersign.signatures",
        "countersign.statements",
        "db.query.summary",
        "db.system.name",
        "error.type",
        "http.request.method",
        "http.response.status_code",
        "http.route",
        "rpc.grpc.status_code",
        "rpc.method",
        "rpc.service",
        "rpc.system",
        "server.address",
    }
)
"""Names of attributes that leave this process. What has another name is left out, whoever set it: no
parameter of a statement, no token, no name of a caller or of a user has one."""


def allowed(attributes: Attributes) -> dict[str, AttributeValue]:
    """*attributes* as they may be exported: listed names, plain values, nothing long."""
    return {
        name: value[:MAX_VALUE] if isinstance(value, str) else value
        for name, value in attributes.items()
        if name in ATTRIBUTES and isinstance(value, str | int | float | bool)
    }


class Span(Protocol):
    """What is recorded of one piece of work. Times are nanoseconds since the epoch."""

    @property
    def trace_id(self) -> str:
        """32 hexadecimal digits: what all spans of one trace share (W3C Trace Context §3.2.2.3)."""
        ...

    def child(
        self,
        name: str,
        started: int,
        ended: int,
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        error: str = "",
    ) -> "Span":
        """Record work that is over, as a part of this; *error* is the class of what ended it, if it failed.

        Never blocks, never raises. The span that it gives takes children of its own.
        """
        ...


class ServerSpan(Span, Protocol):
    """The span of a call or request: begun when it comes, and told how it ended before `end`."""

    def describe(self, name: str, attributes: Attributes, *, error: str = "") -> None:
        """Name it, and say what became of it. An empty *name* leaves the one that it began with."""
        ...

    def end(self) -> None:
        """It is over now. Idempotent."""
        ...


class Tracer(Protocol):
    """Begins the spans of calls: `gateway.telemetry.tracer.OtlpTracer`."""

    def begin(self, name: str, traceparent: str | None, attributes: Attributes) -> ServerSpan | None:
        """The span of a call that comes now; None where it is not sampled.

        *traceparent* is the field of the caller (W3C Trace Context §3.2), as it was sent.
        """
        ...


current_span: Final[ContextVar[ServerSpan | None]] = ContextVar("span", default=None)
"""The span of the call under way on this task; None outside a call, and where it is not sampled."""
