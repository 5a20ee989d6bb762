"""Finished spans on their way to the collector: a bounded queue, and a thread that empties it.

No call waits for it. What does not fit is dropped and counted, and so is what the collector did not take: it
may be gone for days, and callers notice nothing.
"""

import logging
import threading
from collections import deque
from typing import Final, Protocol

from opentelemetry.context import Context
from opentelemetry.sdk.trace import ReadableSpan, Span, SpanProcessor
from opentelemetry.sdk.trace.export import SpanExportResult

logger = logging.getLogger(__name__)

BATCH: Final = 512
"""Spans of one request to the collector."""
INTERVAL: Final = 1.0
"""Seconds in which spans are gathered before they are sent, unless a batch is full earlier."""


class Exporter(Protocol):
    """What sends a batch: an `opentelemetry.sdk.trace.export.SpanExporter`. Blocks; called by one thread."""

    def export(self, spans: list[ReadableSpan]) -> SpanExportResult:
        """Send *spans*, within a time of its own."""
        ...

    def shutdown(self) -> None:
        """Give up what is under way."""
        ...


class SpanQueue(SpanProcessor):
    """Takes spans from every thread, at most *size* at a time. `start` and `close` it once."""

    def __init__(self, exporter: Exporter, size: int) -> None:
        self._exporter = exporter
        self._size = size
        self._waiting: deque[ReadableSpan] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._failing = False
        self._thread = threading.Thread(target=self._run, name="traces", daemon=True)
        self.exported = 0
        """Spans that the collector took."""
        self.failed = 0
        """Spans that it did not take."""
        self.dropped = 0
        """Spans that found no room here."""

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Nothing is done before a span has ended."""

    def on_end(self, span: ReadableSpan) -> None:
        """Keep *span* until it is sent. Never blocks, never raises."""
        waiting = len(self._waiting)
        if self._closing or waiting >= self._size:
            self.dropped += 1
            return
        self._waiting.append(span)
        if waiting + 1 >= BATCH and not self._wake.is_set():
            self._wake.set()

    def close(self, timeout: float) -> None:
        """Send what is left within *timeout* seconds, and give up the rest. Blocks. Idempotent."""
        self._closing = True
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        if self._thread.is_alive():
            logger.warning("Spans were not sent before the end", extra={"count": len(self._waiting)})
        self._exporter.shutdown()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(INTERVAL)
            self._wake.clear()
            self._send_all()
        self._send_all()

    def _send_all(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            if self._send(batch):
                self.exported += len(batch)
            else:
                self.failed += len(batch)
                if self._closing:
                    # It did not take these in the time that one request has; there is no time for more.
                    self.failed += len(self._waiting)
                    self._waiting.clear()

    def _send(self, batch: list[ReadableSpan]) -> bool:
        try:
            taken = self._exporter.export(batch) is SpanExportResult.SUCCESS
        except Exception:
            # Whatever an exporter raises must not end the thread; it is told once, as below.
            taken = False
            if not self._failing:
                logger.exception("Sending spans failed")
        if taken == self._failing:
            self._failing = not taken
            if taken:
                logger.info("The collector takes spans again")
            else:
                logger.warning("The collector does not take spans; they are lost until it does")
        return taken
