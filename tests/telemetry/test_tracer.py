"""Who is sampled, what a span may hold, and how a signature becomes one."""

import asyncio

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from gateway.telemetry.access_log import AccessRecord
from gateway.telemetry.audit import AuditedKey
from gateway.telemetry.fetch_spans import fetch_span
from gateway.telemetry.signing_spans import traced
from gateway.telemetry.spans import MAX_VALUE, allowed, current_span
from gateway.telemetry.traced_log import TracedLog
from gateway.telemetry.tracer import OtlpTracer
from signers import SignerBusyError
from signers.durations import call_stages
from tests.support.gateway import RememberingLog

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-01"
NOT_SAMPLED = f"00-{TRACE}-00f067aa0ba902b7-00"
LOW = f"00-{'0' * 31}1-00f067aa0ba902b7-01"
USED = AuditedKey("kid-1", "file:tokens.pem", "tokens", "ES256", "file")


@pytest.fixture
def ended():
    """Keeps the spans that have ended."""
    return InMemorySpanExporter()


@pytest.fixture
def tracer(ended):
    """Makes a tracer."""

    def make(ratio=1.0, *, trust_parent=False, chance=0.5):
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(ended))
        return OtlpTracer(provider, ratio=ratio, trust_parent=trust_parent, chance=lambda: chance)

    return make


@pytest.mark.parametrize(
    ("ratio", "trust", "field", "sampled"),
    [
        (0.6, False, None, True),
        (0.5, False, None, False),
        (0.6, False, NOT_SAMPLED, True),
        (0.5, False, SAMPLED, False),
        (0.5, False, LOW, False),
        (0.0, True, SAMPLED, True),
        (1.0, True, NOT_SAMPLED, False),
        (0.5, True, None, False),
        (0.6, True, None, True),
        (0.0, True, "swordfish", False),
    ],
)
def test_who_decides(tracer, ratio, trust, field, sampled):
    """Our own chance, whatever flag or trace id a caller sends; its flag only where it is trusted."""
    span = tracer(ratio, trust_parent=trust).begin("call", field, {})
    assert (span is not None) is sampled


def test_the_extremes(tracer):
    """0 samples nothing, 1 everything."""
    assert tracer(0.0, chance=0.0).begin("call", None, {}) is None
    assert tracer(1.0, chance=0.999999).begin("call", None, {}) is not None


def test_the_trace_of_the_caller_goes_on(tracer, ended):
    """Its id and its span are taken over; nothing else of it is."""
    span = tracer().begin("call", SAMPLED, {})
    assert span.trace_id == TRACE
    span.end()
    span.end()
    (found,) = ended.get_finished_spans()
    assert format(found.parent.span_id, "016x") == "00f067aa0ba902b7"
    assert not found.context.trace_state


def test_attributes_are_let_through_by_name(tracer, ended):
    """What nobody listed is left out, at every place where it could be given; so is what is no value."""
    secret = {"token": "swordfish", "db.query.text": "swordfish", "rpc.method": "Mint"}
    span = tracer().begin("call", None, secret)
    span.child("part", 1, 2, secret)
    span.describe("", {**secret, "http.route": {"swordfish": 1}})
    span.end()
    for found in ended.get_finished_spans():
        assert dict(found.attributes) == {"rpc.method": "Mint"}


def test_what_goes_on_after_a_call_is_no_part_of_it(tracer, ended):
    """A task that a call has begun and left behind does not make its trace longer and longer."""
    span = tracer().begin("call", None, {})
    span.end()
    span.child("late", 1, 2, {})
    assert [each.name for each in ended.get_finished_spans()] == ["call"]


def test_long_values_are_cut():
    """An attribute cannot be made as long as a request."""
    assert allowed({"server.address": "x" * 5000})["server.address"] == "x" * MAX_VALUE


async def test_a_signature_with_its_stages(tracer, ended):
    """Each stage after the one before; of several signatures only the sums are told."""
    span = tracer().begin("call", None, {})

    async def sign(count):
        stages = call_stages.get().of_this_thread
        stages.queue.add(0.001)
        for _ in range(count):
            stages.sign.add(0.002)
            stages.verify.add(0.003)
        return count

    assert await traced(span, USED, 1, sign(1)) == 1
    assert await traced(span, USED, 3, sign(3)) == 3
    assert call_stages.get() is None
    one, queue, made, verified, many = ended.get_finished_spans()
    assert [each.name for each in (queue, made, verified)] == ["sign.queue", "sign.sign", "sign.verify"]
    assert (queue.start_time, queue.end_time, made.end_time) == (
        one.start_time, made.start_time, verified.start_time,
    )  # fmt: skip
    assert verified.end_time - verified.start_time == 3_000_000
    assert many.attributes["countersign.signatures"] == 3
    assert many.attributes["countersign.signature.verify_seconds"] == pytest.approx(0.009)


async def test_a_signature_that_failed(tracer, ended):
    """Its class of error is told, and never its text."""
    span = tracer().begin("call", None, {})

    async def refuse():
        raise SignerBusyError("swordfish")

    with pytest.raises(SignerBusyError):
        await traced(span, USED, 1, refuse())
    (found,) = ended.get_finished_spans()
    assert found.status.status_code is StatusCode.ERROR
    assert found.attributes["error.type"] == "SignerBusyError"
    assert "swordfish" not in found.to_json()


async def test_a_request_that_was_given_up(tracer, ended):
    """A fetch that is cancelled is recorded as one that failed; outside a traced call nothing is."""
    with fetch_span("GET", "example.org"):
        pass
    assert ended.get_finished_spans() == ()
    token = current_span.set(tracer().begin("call", None, {}))
    with pytest.raises(asyncio.CancelledError), fetch_span("GET", "example.org"):
        raise asyncio.CancelledError
    current_span.reset(token)
    (found,) = ended.get_finished_spans()
    assert found.attributes["error.type"] == "CancelledError"


@pytest.mark.parametrize(
    ("code", "route", "failed"),
    [
        ("OK", None, False),
        ("INVALID_ARGUMENT", None, False),
        ("UNAVAILABLE", None, True),
        ("INTERNAL", None, True),
        ("200", "POST /oauth2/token", False),
        ("404", "", False),
        ("503", "POST /oauth2/token", True),
    ],
)
def test_what_is_a_failure(tracer, ended, code, route, failed):
    """Ours is; what a caller did wrong is not."""
    log = RememberingLog()
    span = tracer().begin("call", None, {})
    token = current_span.set(span)
    record = AccessRecord(0.0, "/a.B/C", code, "", "", "alice", "abc", "peer", 1.0, None, route)
    TracedLog(log).record(record)
    current_span.reset(token)
    span.end()
    (found,) = ended.get_finished_spans()
    assert (found.status.status_code is StatusCode.ERROR) is failed
    assert log.records == [record._replace(trace_id=span.trace_id)]
    assert "alice" not in found.to_json()


def test_a_call_without_a_span_is_logged_as_it_is():
    """Most are."""
    log = RememberingLog()
    record = AccessRecord(0.0, "/a.B/C", "OK", "", "", "alice", "abc", "peer", 1.0, None)
    TracedLog(log).record(record)
    assert log.records == [record]
