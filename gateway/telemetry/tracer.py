"""Spans by the OpenTelemetry SDK.

Who is sampled is decided here, when a call comes, and by our own chance: the sampler of the SDK would decide
by the trace id, which the caller chooses. Where a call is not sampled nothing is made of it at all.
"""

import random
from collections.abc import Callable
from typing import Final

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from gateway.telemetry.spans import Attributes, SpanKind, allowed
from gateway.telemetry.trace_context import TraceParent, parse_traceparent

SCOPE: Final = "countersign"
"""The name of the instrumentation scope."""
_KINDS: Final = {
    SpanKind.SERVER: trace.SpanKind.SERVER,
    SpanKind.CLIENT: trace.SpanKind.CLIENT,
    SpanKind.INTERNAL: trace.SpanKind.INTERNAL,
}
_FAILED: Final = Status(StatusCode.ERROR)


class OtlpSpan:
    """A `gateway.telemetry.spans.ServerSpan`, or a child of one, which is over."""

    __slots__ = ("_context", "_over", "_span", "_tracer", "trace_id")

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span
        self._context = trace.set_span_in_context(span)
        self._over = False
        self.trace_id = trace.format_trace_id(span.get_span_context().trace_id)

    def child(
        self,
        name: str,
        started: int,
        ended: int,
        attributes: Attributes,
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        error: str = "",
    ) -> "OtlpSpan":
        """See `Span.child`. Nothing is recorded of what a call has left behind that goes on after its end."""
        if self._over:
            return self
        span = self._tracer.start_span(
            name,
            context=self._context,
            kind=_KINDS[kind],
            attributes=allowed(attributes),
            start_time=started,
            record_exception=False,
            set_status_on_exception=False,
        )
        _fail(span, error)
        span.end(ended)
        return OtlpSpan(self._tracer, span)

    def describe(self, name: str, attributes: Attributes, *, error: str = "") -> None:
        """See `ServerSpan.describe`."""
        if name:
            self._span.update_name(name)
        self._span.set_attributes(allowed(attributes))
        _fail(self._span, error)

    def end(self) -> None:
        """See `ServerSpan.end`."""
        if not self._over:
            self._over = True
            self._span.end()


class OtlpTracer:
    """A `gateway.telemetry.spans.Tracer`.

    - *ratio*: the part of calls that are sampled, 0 to 1.
    - *trust_parent*: whether a caller that sends a ``traceparent`` decides in place of the ratio.
    """

    def __init__(
        self,
        provider: TracerProvider,
        *,
        ratio: float,
        trust_parent: bool,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._tracer = provider.get_tracer(SCOPE)
        self._ratio = ratio
        self._trust_parent = trust_parent
        self._chance = chance

    def begin(self, name: str, traceparent: str | None, attributes: Attributes) -> OtlpSpan | None:
        """See `Tracer.begin`."""
        if self._trust_parent:
            parent = parse_traceparent(traceparent)
            sampled = self._chance() < self._ratio if parent is None else parent.sampled
            if not sampled:
                return None
        elif self._chance() >= self._ratio:
            return None  # Before the field is parsed: most calls end here.
        else:
            parent = parse_traceparent(traceparent)
        span = self._tracer.start_span(
            name,
            # Nothing but the two ids: `tracestate` and baggage are texts of the caller.
            context=None if parent is None else trace.set_span_in_context(_remote(parent)),
            kind=trace.SpanKind.SERVER,
            attributes=allowed(attributes),
            record_exception=False,
            set_status_on_exception=False,
        )
        return OtlpSpan(self._tracer, span)


def _remote(parent: TraceParent) -> NonRecordingSpan:
    flags = TraceFlags(TraceFlags.SAMPLED)
    return NonRecordingSpan(SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags))


def _fail(span: trace.Span, error: str) -> None:
    if error:
        span.set_attribute("error.type", error)
        span.set_status(_FAILED)
