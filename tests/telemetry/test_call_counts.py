"""Calls counted from their access records, by names that no caller chooses."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.store.usage import StoreUsage
from gateway.telemetry.access_log import AccessRecord
from gateway.telemetry.call_counts import CallCounts
from gateway.telemetry.database_times import DatabaseTimes
from gateway.telemetry.exposition import exposition
from gateway.telemetry.families import FAMILIES
from gateway.telemetry.load import Load
from gateway.telemetry.worker_metrics import DatabaseMetrics, WorkerMetrics
from gateway.worker_link import WorkerIdentity
from signers.durations import Histogram
from tests.support.gateway import RememberingLog

MINT = "/countersign.v1.TokenService/MintToken"


def record(method=MINT, code="OK", reason="", route=None, milliseconds=3.0):
    """A call that has ended."""
    return AccessRecord(0.0, method, code, reason, "", "alice", "abc", "peer", milliseconds, None, route)


@pytest.fixture
def inner():
    """What the records go on to."""
    return RememberingLog()


@pytest.fixture
def counts(inner):
    """Counts in front of it."""
    return CallCounts(inner)


def samples(counts, **changes):
    """Every sample of a scrape: its labels and value, by name."""
    fields = {
        "worker": WorkerIdentity(1, 2),
        "load": lambda: Load(
            *(3, 1000, 4, 5),
            draining=True,
            wait=0.75,
            admitted=0.5,
            closed={"octets_without_messages": 7},
            blocks={"too_many_connections": 8},
            blocked=9,
        ),
        "lag": Histogram(),
        "dropped_lines": lambda: 6,
        "spans": None,
    }
    text = exposition(WorkerMetrics(calls=counts, **fields | changes))().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((sample.labels, sample.value))
    return found


def test_by_method_code_and_reason(counts, inner):
    """With the time in buckets; every record goes on to the log."""
    for each in (
        record(),
        record(milliseconds=30),
        record(code="UNAUTHENTICATED", reason="INVALID_CLIENT"),
        record("POST /oauth2/token", "401", "INVALID_CLIENT", "POST /oauth2/token"),
    ):
        counts.record(each)
    found = samples(counts)
    name = MINT.removeprefix("/")
    grpc, https = {"door": "grpc", "method": name}, {"door": "https", "method": "POST /oauth2/token"}
    assert found["countersign_calls_total"] == [
        ({**grpc, "code": "OK", "reason": ""}, 2),
        ({**grpc, "code": "UNAUTHENTICATED", "reason": "INVALID_CLIENT"}, 1),
        ({**https, "code": "401", "reason": "INVALID_CLIENT"}, 1),
    ]
    buckets = {labels["le"]: value for labels, value in found["countersign_call_seconds_bucket"][:18]}
    assert (buckets["0.0025"], buckets["0.005"], buckets["0.05"], buckets["+Inf"]) == (0, 2, 3, 3)
    assert found["countersign_call_seconds_sum"][0] == (grpc, pytest.approx(0.036))
    assert len(inner.records) == 4


def test_what_clients_try_is_no_label(counts):
    """Paths of requests that no route is for are one method."""
    for number in range(1000):
        counts.record(record(f"GET /{number}", "404", "", ""))
    found = samples(counts)
    other = {"door": "https", "method": "other", "code": "404", "reason": ""}
    assert found["countersign_calls_total"] == [(other, 1000)]


def test_what_is_under_way(counts):
    """As it is at the scrape, and which worker it is of."""
    found = samples(counts)
    names = ("calls_under_way", "calls_limit", "streams_under_way", "https_connections", "draining")
    assert [found[f"countersign_{name}"] for name in names] == [[({}, value)] for value in (3, 1000, 4, 5, 1)]
    assert found["countersign_calls_wait_seconds"] == [({}, 0.75)]
    assert found["countersign_calls_admitted_ratio"] == [({}, 0.5)]
    assert found["countersign_connections_closed_total"] == [({"reason": "octets_without_messages"}, 7)]
    assert found["countersign_address_blocks_total"] == [({"reason": "too_many_connections"}, 8)]
    assert found["countersign_addresses_blocked"] == [({}, 9)]
    assert found["countersign_worker_restarts_total"] == [({"worker": "1"}, 2)]
    assert found["countersign_log_lines_dropped_total"] == [({}, 6)]
    assert "countersign_trace_spans_total" not in found


def test_statements_and_what_they_purged():
    """By their names; a failure by its reason, and a failed purge has purged nothing."""
    times = DatabaseTimes()
    times.add("clients.find", 0.002, "", 0)
    times.add("clients.find", 0.002, "STORE_UNAVAILABLE", 0)
    times.add("purge.replays", 0.002, "", 7)
    times.add("purge.replays", 0.002, "STORE_UNAVAILABLE", 9)
    times.add("keys.store", 0.002, "", 1)
    waits = Histogram()
    waits.add(0.2)
    metrics = DatabaseMetrics(times, lambda: StoreUsage(3, 1, 8, 2, waits), Histogram())
    text = exposition(metrics)().decode()
    for line in (
        'countersign_database_statement_seconds_count{statement="clients.find"} 2.0',
        'countersign_database_errors_total{reason="STORE_UNAVAILABLE",statement="clients.find"} 1.0',
        'countersign_purged_rows_total{table="replays"} 7.0',
        'countersign_database_connections{state="in_use"} 3.0',
        'countersign_database_connections{state="idle"} 1.0',
        "countersign_database_connections_limit 8.0",
        "countersign_database_waiting 2.0",
        "countersign_database_connection_wait_seconds_count 1.0",
    ):
        assert line in text.splitlines()
    assert "keys" not in [line.partition("table=")[2] for line in text.splitlines()]


def test_names_follow_the_conventions():
    """Counters end in _total, times in _seconds, and each name is there once (Prometheus, Metric naming)."""
    names = [family.name for family in FAMILIES]
    assert len(set(names)) == len(names)
    for family in FAMILIES:
        assert family.name.startswith("countersign_")
        assert (family.kind == "counter") == family.name.endswith("_total")
        assert family.kind != "histogram" or family.name.endswith("_seconds")
        assert family.meaning.endswith(".")
