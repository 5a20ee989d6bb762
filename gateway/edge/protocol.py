"""One HTTPS connection: uvicorn's HTTP/1.1 over llhttp, bounded in size, number and time.

What uvicorn leaves open is closed here: the head of a request has a limit and must arrive in time, a
connection ends after a while, trailers never become headers, and nothing is upgraded. Header values that go
on in a next line are refused (RFC 9112 §5.2), but from trusted terminators: nginx writes a certificate so.
"""

import asyncio
import re
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from gateway.edge.tls import presented_chain

CLIENT_CHAIN: Final = "countersign.client_chain"
"""The key of the ASGI scope under which the presented certificates lie, DER, the leaf first."""

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

MAX_PIPELINED: Final = 16
"""Requests of one connection that may wait for the one before."""

_REFUSALS: Final = {
    400: b"HTTP/1.1 400 Bad Request",
    408: b"HTTP/1.1 408 Request Timeout",
    431: b"HTTP/1.1 431 Request Header Fields Too Large",
}


class ConnectionLimits(ServerState):
    """What the connections of one worker share; times in seconds.

    - *head_bytes*: a request line with its headers.
    - *request_timeout*: within which the head of a request must arrive, and again its body.
    - *keep_alive*: for which a connection may be idle.
    - *max_age*: after which a connection ends with its next response.
    - *max_connections*: at the same time.
    - *is_terminator*: whether what a peer presented, DER, is a trusted terminator's. Must not raise.
    """

    def __init__(
        self,
        *,
        head_bytes: int,
        request_timeout: float,
        keep_alive: float,
        max_age: float,
        max_connections: int,
        is_terminator: Callable[[Sequence[bytes]], bool],
    ) -> None:
        super().__init__()
        self.head_bytes = head_bytes
        self.request_timeout = request_timeout
        self.keep_alive = keep_alive
        self.max_age = max_age
        self.max_connections = max_connections
        self.is_terminator = is_terminator
        self.idle = asyncio.Event()
        """Set whenever the last connection has gone."""


class EdgeProtocol(HttpToolsProtocol):
    """One connection. uvicorn parses, queues and writes; this decides what is let through."""

    def __init__(self, config: Config, limits: ConnectionLimits) -> None:
        super().__init__(config, limits, {})
        self.access_log = False  # The edge's own pipeline logs each call.
        self._limits = limits
        self._chain: tuple[bytes, ...] = ()
        self._started = time.monotonic()
        self._head_size = 0
        self._head_complete = False
        self._refused = 0
        self._head_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The handshake is over. Beyond the limit the connection ends at once."""
        super().connection_made(transport)
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is not None:
            self._chain = presented_chain(ssl_object)
        if self._chain and self._limits.is_terminator(self._chain):
            # Only this leniency is wanted of those that go with it; `on_header` takes the others back.
            self.parser.set_dangerous_leniencies(lenient_headers=True, lenient_data_after_close=True)
        if len(self.connections) > self._limits.max_connections:
            transport.abort()
            return
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, with its timers."""
        self._forget_timer()
        self._unset_keepalive_if_required()
        super().connection_lost(exc)
        if not self.connections:
            self._limits.idle.set()

    def data_received(self, data: bytes) -> None:
        """Parse *data*; answer and close where it is not HTTP or too large."""
        if self._refused or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        if not self._head_complete:
            self._head_size += len(data)
            if self._head_timer is None and not self._serving():
                self._expect_head()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The request is answered as any other; what follows it is in no protocol that we speak.
            self.cycle.keep_alive = False
            self.flow.pause_reading()
        except httptools.HttpParserError:
            self._refused = max(self._refused, 400)
        # Where the head is complete its own size counted; before that, all that came of it.
        if not self._refused and not self._head_complete and self._head_size > self._limits.head_bytes:
            self._refused = 431
        if self._refused:
            self._refuse()

    def on_message_begin(self) -> None:
        """A request line begins."""
        self._head_complete = False
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: those are dropped, as a terminator that removes a header from the head may
        let the same name pass behind the body.
        """
        if self._head_complete:
            return
        if _CONTROL.search(value):
            self._refused = 400
            raise ValueError("a control character in a header")  # As below.
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there: check its size, and serve."""
        self._head_complete = True
        self._head_size = 0
        self._forget_timer()
        size = len(self.url) + sum([len(name) + len(value) + 4 for name, value in self.headers])
        if size > self._limits.head_bytes:
            self._refused = 431
        elif len(self.pipeline) >= MAX_PIPELINED:
            self._refused = 400
        if self._refused:
            raise ValueError("the request is refused")  # Ends the parsing; the text is told to nobody.
        scope: Any = self.scope
        scope[CLIENT_CHAIN] = self._chain
        super().on_headers_complete()
        if time.monotonic() - self._started > self._limits.max_age:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        """The body is there. The next head may begin in the same data."""
        super().on_message_complete()
        self._head_complete = False
        self._head_size = 0

    def _serving(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle
        return cycle is not None and not cycle.response_complete

    def _should_upgrade(self) -> bool:
        return False

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(self._limits.request_timeout, self._head_is_late)

    def _forget_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self._head_size:
            self._refused = 408
            self._refuse()
        else:
            self.transport.close()

    def _refuse(self) -> None:
        """Answer with `_refused` and close; where an earlier request is still served, only close."""
        self._forget_timer()
        if not self._serving():
            self.transport.write(
                _REFUSALS[self._refused] + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            )
        self.transport.close()
