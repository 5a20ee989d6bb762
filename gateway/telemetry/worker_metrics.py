"""The families of a worker's calls, of its event loop and its way to the database; read at each scrape."""

from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import version
from typing import Final, Protocol

from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from gateway.store.usage import StoreUsage
from gateway.telemetry import families
from gateway.telemetry.call_counts import CallCounts
from gateway.telemetry.database_times import DatabaseTimes
from gateway.telemetry.families import Family
from gateway.telemetry.load import Load
from gateway.worker_link import WorkerIdentity
from signers.durations import Histogram

_EXPORTED: Final = "exported"
_FAILED: Final = "failed"
_DROPPED: Final = "dropped"


class SpanCounts(Protocol):
    """What became of spans: `gateway.telemetry.span_queue.SpanQueue`."""

    exported: int
    failed: int
    dropped: int


class WorkerMetrics(Collector):
    """Makes the families from plain counts.

    *spans* is None where nothing is traced; *dropped_lines* counts those of the log.
    """

    def __init__(
        self,
        *,
        worker: WorkerIdentity,
        calls: CallCounts,
        load: Callable[[], Load],
        lag: Histogram,
        dropped_lines: Callable[[], int],
        spans: SpanCounts | None,
    ) -> None:
        self._worker = worker
        self._calls = calls
        self._load = load
        self._lag = lag
        self._dropped_lines = dropped_lines
        self._spans = spans

    def collect(self) -> Iterator[Metric]:
        """The families as they are now."""
        yield from self._ended()
        load = self._load()
        yield _one(families.CALLS_UNDER_WAY, load.calls)
        yield _one(families.CALLS_LIMIT, load.calls_limit)
        yield _one(families.CALLS_WAIT, load.wait)
        yield _one(families.CALLS_ADMITTED, load.admitted)
        yield _one(families.STREAMS_UNDER_WAY, load.streams)
        yield _one(families.HTTPS_CONNECTIONS, load.https_connections)
        yield _by_reason(families.CONNECTIONS_CLOSED, load.closed)
        yield _by_reason(families.ADDRESS_BLOCKS, load.blocks)
        yield _one(families.ADDRESSES_BLOCKED, load.blocked)
        yield _one(families.DRAINING, load.draining)
        yield _histogram(families.LOOP_LAG, self._lag)
        yield _one(families.WORKER_RESTARTS, self._worker.restarts, str(self._worker.number))
        yield _one(families.INFO, 1, version("countersign-gateway"))
        yield _one(families.LOG_LINES_DROPPED, self._dropped_lines())
        yield self._traced()

    def _ended(self) -> Iterator[Metric]:
        ended, seconds = families.CALLS.samples(), families.CALL_SECONDS.samples()
        for counts in self._calls.methods:
            names = (counts.door, counts.method)
            seconds.add_histogram(names, counts.seconds)
            for (code, reason), count in counts.ended.items():
                ended.add((*names, code, str(reason)), count)
        yield ended.metric
        yield seconds.metric

    def _traced(self) -> Metric:
        family = families.TRACE_SPANS.samples()
        spans = self._spans
        if spans is not None:
            for result, count in (
                (_EXPORTED, spans.exported),
                (_FAILED, spans.failed),
                (_DROPPED, spans.dropped),
            ):
                family.add((result,), count)
        return family.metric


class DatabaseMetrics(Collector):
    """Makes the families of the database and of the revocation feed."""

    def __init__(self, times: DatabaseTimes, usage: Callable[[], StoreUsage], feed_lag: Histogram) -> None:
        self._times = times
        self._usage = usage
        self._feed_lag = feed_lag

    def collect(self) -> Iterator[Metric]:
        """The families as they are now."""
        times, usage = self._times, self._usage()
        seconds, errors = families.STATEMENT_SECONDS.samples(), families.STATEMENT_ERRORS.samples()
        for statement, histogram in times.seconds.items():
            seconds.add_histogram((statement,), histogram)
        for (statement, reason), count in times.errors.items():
            errors.add((statement, reason), count)
        yield seconds.metric
        yield errors.metric
        connections = families.CONNECTIONS.samples()
        if usage.limit:
            connections.add(("in_use",), usage.in_use)
            connections.add(("idle",), usage.idle)
        yield connections.metric
        yield _one(families.CONNECTIONS_LIMIT, usage.limit)
        yield _one(families.DATABASE_WAITING, usage.waiting)
        yield _histogram(families.CONNECTION_WAIT, usage.waits)
        purged = families.PURGED_ROWS.samples()
        for table, rows in times.purged.items():
            purged.add((table,), rows)
        yield purged.metric
        yield _histogram(families.FEED_LAG, self._feed_lag)


def _one(family: Family, value: float, *labels: str) -> Metric:
    samples = family.samples()
    samples.add(labels, value)
    return samples.metric


def _by_reason(family: Family, counts: Mapping[str, int]) -> Metric:
    samples = family.samples()
    for reason, count in counts.items():
        samples.add((reason,), count)
    return samples.metric


def _histogram(family: Family, histogram: Histogram) -> Metric:
    samples = family.samples()
    samples.add_histogram((), histogram)
    return samples.metric
