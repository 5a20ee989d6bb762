"""Spans on their way to a collector that is slow, away or gone for good."""

import logging
import threading

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SpanExportResult

from gateway.telemetry import span_queue
from gateway.telemetry.span_queue import SpanQueue

_PATIENCE = 20


class Exporter:
    """Takes batches as it is told to, once it may."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.batches = []
        self.begun = threading.Event()
        self.may_end = threading.Event()
        self.may_end.set()
        self.closed = threading.Event()

    def export(self, spans):
        self.begun.set()
        self.batches.append(len(spans))
        while not self.may_end.wait(0.01) and not self.closed.is_set():
            pass
        outcome = self.outcomes.pop(0) if self.outcomes else SpanExportResult.SUCCESS
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def shutdown(self):
        self.closed.set()


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(span_queue, "INTERVAL", 0.01)


@pytest.fixture
def opened():
    """Makes a queue that works, and a function that ends so many spans."""
    queues = []

    def make(exporter, size=4096):
        queue = SpanQueue(exporter, size)
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(queue)
        tracer = provider.get_tracer("test")

        def end(count):
            for _ in range(count):
                tracer.start_span("span").end()

        queue.start()
        queues.append(queue)
        return queue, end

    yield make
    for queue in queues:
        queue.close(5.0)


def test_batches_are_bounded(opened, monkeypatch):
    """What waits is sent in portions, and all of it before the end."""
    monkeypatch.setattr(span_queue, "BATCH", 10)
    exporter = Exporter()
    exporter.may_end.clear()
    queue, end = opened(exporter)
    end(1)
    assert exporter.begun.wait(_PATIENCE)
    end(25)
    exporter.may_end.set()
    queue.close(_PATIENCE)
    assert exporter.batches == [1, 10, 10, 5]
    assert (queue.exported, queue.failed, queue.dropped) == (26, 0, 0)


def test_what_finds_no_room_is_dropped_and_counted(opened):
    """While the collector does not answer, nobody waits."""
    exporter = Exporter()
    exporter.may_end.clear()
    queue, end = opened(exporter, size=5)
    end(1)
    assert exporter.begun.wait(_PATIENCE)
    end(8)
    assert queue.dropped == 3
    exporter.may_end.set()
    queue.close(_PATIENCE)
    assert queue.exported == 6
    end(1)
    assert queue.dropped == 4


def test_a_collector_that_fails_is_told_once(opened, caplog):
    """And once more when it works again; its spans are counted as failed."""
    exporter = Exporter(SpanExportResult.FAILURE, ValueError("swordfish"), SpanExportResult.SUCCESS)
    with caplog.at_level(logging.INFO, "gateway.telemetry.span_queue"):
        queue, end = opened(exporter)
        for done in range(1, 4):
            exporter.begun.clear()
            end(2)
            assert exporter.begun.wait(_PATIENCE)
            while queue.failed + queue.exported < 2 * done:
                threading.Event().wait(0.001)
        queue.close(_PATIENCE)
    assert (queue.failed, queue.exported) == (4, 2)
    told = [each.getMessage() for each in caplog.records]
    assert [each.partition(" ")[2][:20] for each in told] == ["collector does not t", "collector takes span"]


def test_an_exporter_that_raises_ends_nothing(opened, caplog):
    """Its error is logged, and the next batch is tried."""
    exporter = Exporter(ValueError("odd"))
    queue, end = opened(exporter)
    end(1)
    while not queue.failed:
        threading.Event().wait(0.001)
    end(1)
    queue.close(_PATIENCE)
    assert (queue.failed, queue.exported) == (1, 1)
    assert "Sending spans failed" in caplog.text


def test_the_end_waits_no_longer_than_it_may(opened, caplog):
    """What a collector that hangs has not taken by then is given up."""
    exporter = Exporter()
    exporter.may_end.clear()
    queue, end = opened(exporter)
    end(1)
    assert exporter.begun.wait(_PATIENCE)
    end(3)
    queue.close(0.05)
    assert exporter.closed.is_set()
    assert "Spans were not sent before the end" in caplog.text


def test_a_collector_that_is_gone_does_not_hold_up_the_end(opened, monkeypatch):
    """After one request in vain, what is left is given up with it."""
    monkeypatch.setattr(span_queue, "BATCH", 2)
    exporter = Exporter(*[SpanExportResult.FAILURE] * 10)
    exporter.may_end.clear()
    queue, end = opened(exporter)
    end(1)
    assert exporter.begun.wait(_PATIENCE)
    end(9)
    closing = threading.Thread(target=queue.close, args=(_PATIENCE,))
    closing.start()
    while not queue._closing:
        threading.Event().wait(0.001)
    exporter.may_end.set()
    closing.join(_PATIENCE)
    assert exporter.batches == [1]
    assert queue.failed == 10
