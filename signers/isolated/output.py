"""Writing frames from the signer process: several answers in one system call, log records among them."""

import logging
import socket
import threading
import time

from signers.isolated.frames import Kind, frame, json_payload

MAX_HELD = 16
"""Answers that are collected before they are written."""

MAX_HOLD = 0.002
"""Seconds that an answer waits for others."""


class Output:
    """The writing half of the socket. `hold` and `flush` belong to the reading thread, `send` to any."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._held: list[bytes] = []
        self._held_since = 0.0

    def hold(self, kind: Kind, request: int, payload: bytes) -> None:
        """Write a frame, together with those that follow soon."""
        now = time.monotonic()
        if not self._held:
            self._held_since = now
        self._held.append(frame(kind, request, payload))
        if len(self._held) >= MAX_HELD or now - self._held_since > MAX_HOLD:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        if self._held:
            held, self._held = b"".join(self._held), []
            self._write(held)

    def send(self, kind: Kind, request: int, payload: bytes) -> None:
        """Write a frame at once."""
        self._write(frame(kind, request, payload))

    def _write(self, data: bytes) -> None:
        with self._lock:
            try:
                self._connection.sendall(data)
            except OSError:
                # The gateway is gone, and the reading thread is about to see it.
                return


class LogToGateway(logging.Handler):
    """Hands log records to the gateway, which writes them in its own form."""

    def __init__(self, output: Output) -> None:
        super().__init__(logging.INFO)
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        members = {"name": record.name, "level": record.levelno, "text": self.format(record)[:16_384]}
        self._output.send(Kind.LOG, 0, json_payload(members))
