"""Structured logs on stderr, written by a thread of their own, so that no call waits for a slow reader.

    with logs.open_log(settings.log) as log:
        ...            # the logging module goes there now; `log` takes access records and signatures

What waits to be written is bounded. Where the reader does not keep up, what is neither an error nor the
record of a signature is dropped and counted, and the count is written as soon as there is room; the others
have room of their own.
"""

import logging
import os
import select
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from gateway.settings.operation import LogSettings
from gateway.telemetry.access_log import AccessRecord
from gateway.telemetry.audit import SignatureRecord
from gateway.telemetry.log_format import LogFormat, access_line, event_fields, line, signature_line

MAX_WAITING: Final = 10_000
"""Lines that may wait; errors and signatures may wait up to twice as many."""
BATCH_DELAY: Final = 0.05
"""Seconds in which lines are gathered before they are written; an error is written at once."""
CLOSE_TIMEOUT: Final = 2.0
"""Seconds that closing waits for what is left to be written."""
ATOMIC: Final = select.PIPE_BUF
"""Bytes that a write to a pipe keeps together: worker processes share one stderr."""

STDERR: Final = 2
_LEVELS: Final = {
    "INTERNAL": logging.ERROR,
    "UNKNOWN": logging.ERROR,
    "DATA_LOSS": logging.ERROR,
    "UNAVAILABLE": logging.WARNING,
}


class LogWriter:
    """Takes log events and access records, and writes them to *descriptor*. Safe from every thread."""

    def __init__(self, settings: LogSettings, descriptor: int = STDERR) -> None:
        self._form: LogFormat = settings.format
        self._level = logging.getLevelNamesMapping()[settings.level]
        self._access_level = max(self._level, logging.INFO if settings.access else logging.WARNING)
        self._descriptor = descriptor
        self._audit = settings.audit
        self._waiting: deque[bytes | AccessRecord | SignatureRecord] = deque()
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._closing = False
        self._dropped = 0
        self._reported = 0
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)

    @property
    def dropped(self) -> int:
        """Lines dropped so far."""
        return self._dropped

    def start(self) -> None:
        """Begin to write."""
        self._thread.start()

    def close(self, timeout: float = CLOSE_TIMEOUT) -> None:
        """Write what is left, within *timeout* seconds. What comes later is dropped. Idempotent."""
        self._closing = True
        self._urgent.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def record(self, record: AccessRecord) -> None:
        """Keep an access record. It is formatted by the writer's thread: here it costs a comparison."""
        level = _LEVELS.get(record.code, logging.INFO)
        if level >= self._access_level:
            self._put(record, keep=level >= logging.ERROR, urgent=level >= logging.ERROR)

    def signed(self, record: SignatureRecord) -> None:
        """Keep the record of a signature; formatted by the writer's thread, whatever the level."""
        if self._audit:
            self._put(record, keep=True, urgent=False)

    def event(self, record: logging.LogRecord) -> None:
        """Keep a log event; formatted now, because its arguments may change."""
        error = record.levelno >= logging.ERROR
        self._put(line(event_fields(record), self._form), keep=error, urgent=error)

    def _put(self, item: bytes | AccessRecord | SignatureRecord, *, keep: bool, urgent: bool) -> None:
        if self._closing or len(self._waiting) >= (2 * MAX_WAITING if keep else MAX_WAITING):
            self._dropped += 1
            return
        self._waiting.append(item)
        if urgent:
            self._urgent.set()
        if not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            if not self._closing:
                self._urgent.wait(BATCH_DELAY)
            self._wake.clear()
            if not self._closing:
                self._urgent.clear()
            try:
                self._write_all()
            except Exception:  # noqa: BLE001 - one line that cannot be written must not end all logging
                self._dropped += 1
            if self._closing and not self._waiting:
                return

    def _write_all(self) -> None:
        chunk = bytearray()
        while self._waiting:
            item = self._waiting.popleft()
            text = self._line(item)
            if len(chunk) + len(text) > ATOMIC:
                self._write(chunk)
                chunk.clear()
            chunk += text
        if self._dropped != self._reported:
            dropped, self._reported = self._dropped - self._reported, self._dropped
            chunk += self._dropped_line(dropped)
        self._write(chunk)

    def _line(self, item: bytes | AccessRecord | SignatureRecord) -> bytes:
        if isinstance(item, AccessRecord):
            level = logging.getLevelName(_LEVELS.get(item.code, logging.INFO))
            return access_line(item, level, self._form)
        return signature_line(item, self._form) if isinstance(item, SignatureRecord) else item

    def _dropped_line(self, count: int) -> bytes:
        event = logging.makeLogRecord(
            {
                "name": __name__,
                "levelno": logging.WARNING,
                "levelname": "WARNING",
                "msg": "Log lines were dropped: the reader of the log does not keep up",
                "count": count,
            }
        )
        return line(event_fields(event), self._form)

    def _write(self, chunk: bytearray) -> None:
        view = memoryview(bytes(chunk))
        while view:
            try:
                view = view[os.write(self._descriptor, view) :]
            except BlockingIOError:
                select.select([], [self._descriptor], [])
            except OSError:
                # Nobody reads any more. There is no place left to say so.
                self._dropped += 1
                return


class _Handler(logging.Handler):
    def __init__(self, writer: LogWriter) -> None:
        super().__init__()
        self._writer = writer

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._writer.event(record)
        except Exception:  # noqa: BLE001 - logging's own rule: a line that cannot be formatted ends no call
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Say where, and nothing of what: the arguments may be the secret that could not be formatted."""
        failed = logging.makeLogRecord(
            {
                "name": record.name,
                "levelno": logging.ERROR,
                "levelname": "ERROR",
                "msg": f"A log event could not be formatted: {record.pathname}:{record.lineno}",
            }
        )
        self._writer.event(failed)


@contextmanager
def open_log(settings: LogSettings, descriptor: int = STDERR) -> Iterator[LogWriter]:
    """Send the logging module to *descriptor* until the end of the block, then write what is left."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    writer = LogWriter(settings, descriptor)
    writer.start()
    root.handlers[:] = [_Handler(writer)]
    root.setLevel(settings.level)
    logging.captureWarnings(capture=True)
    try:
        yield writer
    finally:
        logging.captureWarnings(capture=False)
        root.handlers[:] = handlers
        root.setLevel(level)
        writer.close()
