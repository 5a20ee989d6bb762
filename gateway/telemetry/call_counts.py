"""Calls by method, code and reason, and how long they took: counted from their access records.

It is no part of `call_metrics`, which makes the families, so that a worker loads the Prometheus client only
where metrics are on.
"""

from typing import Final

from gateway.telemetry.access_log import AccessLog, AccessRecord
from signers.durations import Histogram

GRPC: Final = "grpc"
HTTPS: Final = "https"
OTHER: Final = "other"
"""The method of requests that no route is for: their paths are whatever clients try."""


class MethodCounts:
    """What is counted of one method of one door."""

    __slots__ = ("door", "ended", "method", "seconds")

    def __init__(self, door: str, method: str) -> None:
        self.door = door
        self.method = method
        self.seconds = Histogram()
        self.ended: dict[tuple[str, str], int] = {}
        """Calls by code and reason."""


class CallCounts:
    """An `AccessLog` in front of *inner*."""

    def __init__(self, inner: AccessLog) -> None:
        self._inner = inner
        self._methods: dict[str, MethodCounts] = {}

    @property
    def methods(self) -> tuple[MethodCounts, ...]:
        """Every method that was called."""
        return tuple(self._methods.values())

    def record(self, record: AccessRecord) -> None:
        """See `AccessLog.record`. About 1 µs."""
        route = record.route
        # No two doors share a name: of gRPC it begins with a slash, of HTTP with a method, or is empty.
        counts = self._methods.get(record.method if route is None else route)
        if counts is None:
            counts = self._begin(record)
        counts.seconds.add(record.duration_ms / 1e3)
        how = (record.code, record.reason)
        counts.ended[how] = counts.ended.get(how, 0) + 1
        self._inner.record(record)

    def _begin(self, record: AccessRecord) -> MethodCounts:
        if record.route is None:
            name, counts = record.method, MethodCounts(GRPC, record.method.removeprefix("/"))
        else:
            name, counts = record.route, MethodCounts(HTTPS, record.route or OTHER)
        self._methods[name] = counts
        return counts
