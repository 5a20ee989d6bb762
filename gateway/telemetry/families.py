"""Every metric of a worker: name, type, labels, meaning. docs/observability.md has the same table.

Labels have few values, all of them ours: methods and routes that exist, reasons, statements, configured
names. What a caller chooses is never one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final, Literal, TypeAlias

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from signers.durations import BOUNDS, Histogram

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

_BOUNDS: Final = (*(format(bound, "g") for bound in BOUNDS), "+Inf")


class Samples:
    """One family at one scrape: samples are added to it, then `metric` is given out."""

    def __init__(self, family: "Family") -> None:
        self._metric: CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily
        if family.kind == "counter":
            self._metric = CounterMetricFamily(
                family.name.removesuffix("_total"), family.meaning, labels=family.labels
            )
        elif family.kind == "gauge":
            self._metric = GaugeMetricFamily(family.name, family.meaning, labels=family.labels)
        else:
            self._metric = HistogramMetricFamily(family.name, family.meaning, labels=family.labels)

    @property
    def metric(self) -> Metric:
        """The family with its samples."""
        return self._metric

    def add(self, labels: Sequence[str], value: float) -> None:
        """One value of a counter or a gauge; *labels* in the order of the family."""
        assert not isinstance(self._metric, HistogramMetricFamily)  # noqa: S101 - a slip of ours
        self._metric.add_metric(labels, value)

    def add_histogram(self, labels: Sequence[str], histogram: Histogram) -> None:
        """One histogram; *labels* as in `add`."""
        assert isinstance(self._metric, HistogramMetricFamily)  # noqa: S101 - a slip of ours
        buckets = list(zip(_BOUNDS, accumulate(histogram.counts), strict=True))
        self._metric.add_metric(labels, buckets, histogram.seconds)


@dataclass(frozen=True, slots=True)
class Family:
    """*name* as a query has it, so that a counter's ends in ``_total``; histograms are of seconds."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    meaning: str

    def samples(self) -> Samples:
        """A new scrape of it."""
        return Samples(self)


_KEY: Final = ("key_id", "purpose", "algorithm", "backend")

CALLS: Final = Family(
    "countersign_calls_total",
    "counter",
    ("door", "method", "code", "reason"),
    "Calls that have ended, refused ones included. door: grpc or https. method: of gRPC its full name, of"
    " HTTP the method and the route, or 'other' where there is no route. code: of gRPC, or the HTTP status."
    " reason: as in docs/errors.md, empty for a success.",
)
CALL_SECONDS: Final = Family(
    "countersign_call_seconds", "histogram", ("door", "method"), "How long calls took, streams included."
)
CALLS_UNDER_WAY: Final = Family(
    "countersign_calls_under_way", "gauge", (), "Calls under way, of both doors; streams are not among them."
)
CALLS_LIMIT: Final = Family(
    "countersign_calls_limit", "gauge", (), "How many may be: server.max_concurrent_calls."
)
CALLS_WAIT: Final = Family(
    "countersign_calls_wait_seconds",
    "gauge",
    (),
    "How long new calls wait before they are taken, estimated ten times a second; see limits.queue_target.",
)
CALLS_ADMITTED: Final = Family(
    "countersign_calls_admitted_ratio",
    "gauge",
    (),
    "The part of minting, enrolling, verifying and reading metadata that is not refused for that wait.",
)
STREAMS_UNDER_WAY: Final = Family("countersign_streams_under_way", "gauge", (), "gRPC streams under way.")
HTTPS_CONNECTIONS: Final = Family(
    "countersign_https_connections", "gauge", (), "Connections of the HTTPS edge that are open."
)
CONNECTIONS_CLOSED: Final = Family(
    "countersign_connections_closed_total",
    "counter",
    ("reason",),
    "gRPC connections that the guard closed.",
)
ADDRESS_BLOCKS: Final = Family(
    "countersign_address_blocks_total",
    "counter",
    ("reason",),
    "How often new gRPC connections of an address were dropped for some seconds.",
)
ADDRESSES_BLOCKED: Final = Family(
    "countersign_addresses_blocked", "gauge", (), "Addresses whose new gRPC connections are dropped now."
)
DRAINING: Final = Family("countersign_draining", "gauge", (), "1 once the worker takes no new calls.")
LOOP_LAG: Final = Family(
    "countersign_event_loop_lag_seconds",
    "histogram",
    (),
    "How much later than asked for the event loop ran a timer, measured twice a second.",
)
WORKER_RESTARTS: Final = Family(
    "countersign_worker_restarts_total",
    "counter",
    ("worker",),
    "How often the supervisor started this worker anew after its end. worker: its number, from 0.",
)
INFO: Final = Family("countersign_info", "gauge", ("version",), "1, for the version that runs.")
LOG_LINES_DROPPED: Final = Family(
    "countersign_log_lines_dropped_total", "counter", (), "Log lines that the reader of stderr did not take."
)
TRACE_SPANS: Final = Family(
    "countersign_trace_spans_total",
    "counter",
    ("result",),
    "Spans by what became of them: exported, failed (the collector did not take them), dropped (no room).",
)
STATEMENT_SECONDS: Final = Family(
    "countersign_database_statement_seconds",
    "histogram",
    ("statement",),
    "How long statements took, by module and name in gateway/store; 'transaction' is a unit of work as a"
    " whole, with the wait for a connection or a turn, and its commit.",
)
STATEMENT_ERRORS: Final = Family(
    "countersign_database_errors_total",
    "counter",
    ("statement", "reason"),
    "Statements that failed, by the reason that the call was given, or the class of the error.",
)
CONNECTIONS: Final = Family(
    "countersign_database_connections",
    "gauge",
    ("state",),
    "PostgreSQL connections, in_use or idle; none for SQLite.",
)
CONNECTIONS_LIMIT: Final = Family(
    "countersign_database_connections_limit", "gauge", (), "How many there may be: store.pool_size."
)
DATABASE_WAITING: Final = Family(
    "countersign_database_waiting",
    "gauge",
    (),
    "Calls that wait for a PostgreSQL connection, or writes that wait for their commit to SQLite.",
)
CONNECTION_WAIT: Final = Family(
    "countersign_database_connection_wait_seconds",
    "histogram",
    (),
    "How long calls waited for a PostgreSQL connection, where none was free.",
)
PURGED_ROWS: Final = Family(
    "countersign_purged_rows_total", "counter", ("table",), "Expired rows that this worker deleted."
)
FEED_LAG: Final = Family(
    "countersign_revocation_feed_lag_seconds",
    "histogram",
    (),
    "From a revocation to the moment at which this worker read it for its watchers, by the clocks of both"
    " replicas; counted while somebody watches.",
)
CERTIFICATE_NOT_AFTER: Final = Family(
    "countersign_certificate_not_after_seconds",
    "gauge",
    ("use", "name"),
    "When a certificate expires, Unix time. use: listener, client_root (the first of them to expire),"
    " issuing_ca (name: the provisioner), key (of the configuration; name: its purpose and algorithm) or"
    " chain (imported for a key that signs; name: its key_id).",
)
SIGNATURE_SECONDS: Final = Family(
    "countersign_signature_seconds",
    "histogram",
    (*_KEY, "stage"),
    "Time of calls that sign. stage: total, and apart where the backend tells them: queue, sign, verify.",
)
SIGNATURES: Final = Family("countersign_signatures_total", "counter", _KEY, "Signatures handed out.")
SIGNATURE_ERRORS: Final = Family(
    "countersign_signature_errors_total",
    "counter",
    (*_KEY, "error"),
    "Signatures not made, by class of error.",
)
KEY_STATE: Final = Family(
    "countersign_key_state", "gauge", (*_KEY, "state"), "1 for the state that the key is in."
)
KEY_HEALTHY: Final = Family(
    "countersign_key_healthy", "gauge", _KEY, "Whether a prepared or active key is open and signed last."
)
KEY_SIGN_UNTIL: Final = Family(
    "countersign_key_sign_until_seconds", "gauge", _KEY, "When a delegated key stops signing, Unix time."
)
SIGNER_AVAILABLE: Final = Family(
    "countersign_signer_available", "gauge", ("provider",), "Whether the backend answers."
)
SIGNER_QUEUED: Final = Family(
    "countersign_signer_queued", "gauge", ("provider",), "Signatures that wait for it."
)
SIGNER_STUCK_THREADS: Final = Family(
    "countersign_signer_stuck_threads", "gauge", ("provider",), "Threads that hang in it."
)
SIGNER_BUDGET_LEFT: Final = Family(
    "countersign_signer_budget_left", "gauge", ("provider",), "Requests that its quota allows now."
)
AUDIT_RECORDS: Final = Family(
    "countersign_audit_records_total",
    "counter",
    ("event",),
    "Records of the audit log that this worker made durable, by their event; none where it is off.",
)
AUDIT_FAILED: Final = Family(
    "countersign_audit_records_failed_total",
    "counter",
    (),
    "Records that could not be written: what they were of was refused with AUDIT_UNAVAILABLE.",
)
AUDIT_COMMIT: Final = Family(
    "countersign_audit_commit_seconds",
    "histogram",
    (),
    "How long this worker's commits of records took, failed ones included; a call waits for one or two.",
)
AUDIT_SEGMENT: Final = Family(
    "countersign_audit_sequence_number",
    "gauge",
    (),
    "The last segment of the audit log of all replicas, as of the last look, once a second.",
)
AUDIT_CHECKPOINT: Final = Family(
    "countersign_audit_checkpoint_sequence_number",
    "gauge",
    (),
    "The last segment that a signed checkpoint covers; 0 where none was signed.",
)
AUDIT_CHECKPOINT_TIME: Final = Family(
    "countersign_audit_checkpoint_time_seconds",
    "gauge",
    (),
    "When the last checkpoint was signed, Unix time; 0 where none was.",
)

FAMILIES: Final = (
    CALLS,
    CALL_SECONDS,
    CALLS_UNDER_WAY,
    CALLS_LIMIT,
    CALLS_WAIT,
    CALLS_ADMITTED,
    STREAMS_UNDER_WAY,
    HTTPS_CONNECTIONS,
    CONNECTIONS_CLOSED,
    ADDRESS_BLOCKS,
    ADDRESSES_BLOCKED,
    DRAINING,
    LOOP_LAG,
    WORKER_RESTARTS,
    INFO,
    LOG_LINES_DROPPED,
    TRACE_SPANS,
    STATEMENT_SECONDS,
    STATEMENT_ERRORS,
    CONNECTIONS,
    CONNECTIONS_LIMIT,
    DATABASE_WAITING,
    CONNECTION_WAIT,
    PURGED_ROWS,
    FEED_LAG,
    CERTIFICATE_NOT_AFTER,
    SIGNATURE_SECONDS,
    SIGNATURES,
    SIGNATURE_ERRORS,
    KEY_STATE,
    KEY_HEALTHY,
    KEY_SIGN_UNTIL,
    SIGNER_AVAILABLE,
    SIGNER_QUEUED,
    SIGNER_STUCK_THREADS,
    SIGNER_BUDGET_LEFT,
    AUDIT_RECORDS,
    AUDIT_FAILED,
    AUDIT_COMMIT,
    AUDIT_SEGMENT,
    AUDIT_CHECKPOINT,
    AUDIT_CHECKPOINT_TIME,
)
"""All of them. Beside these a scrape has ``process_*`` and ``python_gc_*`` of the Prometheus client."""
