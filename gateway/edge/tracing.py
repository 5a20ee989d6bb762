"""The span of an HTTPS request, around all of its stages."""

from gateway.edge.http_request import HttpRequest
from gateway.edge.protocol import Application
from gateway.telemetry.spans import Tracer, current_span
from gateway.telemetry.trace_context import TRACEPARENT


def traced(application: Application, tracer: Tracer | None) -> Application:
    """*application*, with a span for every request that *tracer* samples; None samples nothing.

    Its route, and how the request ended, is told by its access record, see `gateway.telemetry.traced_log`.
    """
    if tracer is None:
        return application

    async def serve(request: HttpRequest) -> None:
        values = request.headers.values(TRACEPARENT)
        span = tracer.begin("HTTPS request", values[0] if len(values) == 1 else None, {})
        if span is None:
            await application(request)
            return
        token = current_span.set(span)
        try:
            await application(request)
        finally:
            current_span.reset(token)
            span.end()

    return serve
