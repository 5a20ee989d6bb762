"""The span of a request to somebody else's server: its host, never its path, and no trace is told to it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.telemetry.spans import SpanKind, current_span


@contextmanager
def fetch_span(method: str, host: str) -> Iterator[None]:
    """Record what the block does as a *method* request to *host*, where the call under way has a span."""
    span = current_span.get()
    if span is None:
        yield
        return
    started, error = time.time_ns(), ""
    try:
        yield
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        attributes = {"http.request.method": method, "server.address": host}
        span.child("fetch", started, time.time_ns(), attributes, kind=SpanKind.CLIENT, error=error)
