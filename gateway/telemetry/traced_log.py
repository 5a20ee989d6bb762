"""How a call ended, told to its span; and its trace, told to its access record."""

from typing import Final

from gateway.telemetry.access_log import AccessLog, AccessRecord
from gateway.telemetry.spans import AttributeValue, current_span

_CODES: Final = {
    name: number
    for number, name in enumerate(
        (
            "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND",
            "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED",
            "OUT_OF_RANGE", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
        )
    )
}  # fmt: skip
"""The canonical codes (google.rpc.Code), by name."""
_OUR_FAULT: Final = frozenset(
    {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
)
"""What makes the span of a server one that failed (OpenTelemetry, Semantic Conventions for gRPC)."""
_SERVER_ERROR: Final = 500


class TracedLog:
    """An `AccessLog` in front of *inner*."""

    def __init__(self, inner: AccessLog) -> None:
        self._inner = inner

    def record(self, record: AccessRecord) -> None:
        """See `AccessLog.record`."""
        span = current_span.get()
        if span is None:
            self._inner.record(record)
            return
        attributes: dict[str, AttributeValue] = {"countersign.request_id": record.request_id}
        if record.reason:
            attributes["countersign.reason"] = str(record.reason)
        if record.route is None:
            attributes["rpc.grpc.status_code"] = _CODES.get(record.code, _CODES["UNKNOWN"])
            error = record.code if record.code in _OUR_FAULT else ""
        else:
            status = int(record.code)
            attributes["http.response.status_code"] = status
            method, _, route = record.route.partition(" ")
            if route:
                attributes |= {"http.request.method": method, "http.route": route}
            error = record.code if status >= _SERVER_ERROR else ""
        span.describe(record.route or "", attributes, error=error)
        self._inner.record(record._replace(trace_id=span.trace_id))
