"""One HTTPS connection: HTTP/1.1 over llhttp, bounded in size, number and time.

The head of a request has a limit and must arrive in time, a connection ends after a while, trailers never
become headers, and nothing is upgraded. Header values that go on in a next line are refused (RFC 9112 §5.2),
but from trusted terminators: nginx writes a certificate so.

A request is served once what came with its head is parsed, so that most are complete by then, and its
response is one write: system calls and TLS records cost more here than all of HTTP.
"""

import asyncio
import logging
import re
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeAlias

import httptools

from gateway.edge.body_budget import SMALL_BODY
from gateway.edge.connection_limits import ConnectionLimits
from gateway.edge.exchange import Headers
from gateway.edge.http_request import HttpRequest
from gateway.edge.request_target import request_target
from gateway.edge.tls import presented_chain

logger = logging.getLogger(__name__)

Application: TypeAlias = Callable[[HttpRequest], Coroutine[Any, Any, None]]

MAX_PIPELINED: Final = 16
"""Requests of one connection that may wait for the one before."""

MAX_FRAMING: Final = 256 * 1024
"""Octets of chunk sizes, chunk extensions and trailers of one request, which are no part of its body. What
comes in one piece with the head does not count."""

_CONTROL: Final = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")

_REFUSALS: Final = {
    400: b"HTTP/1.1 400 Bad Request",
    408: b"HTTP/1.1 408 Request Timeout",
    431: b"HTTP/1.1 431 Request Header Fields Too Large",
}


class EdgeProtocol(asyncio.Protocol):
    """One connection: parses requests, has *application* serve one after the other, and writes responses.

    `site`: what `ConnectionLimits` counts it under.
    """

    def __init__(self, application: Application, limits: ConnectionLimits) -> None:
        self._application = application
        self._limits = limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._chain: tuple[bytes, ...] = ()
        self._lenient = False
        self._peer = ""
        self.site: str | None = None
        self._ends_at = self._loop.time() + limits.max_age
        # The request that is parsed, those that wait, and the one that is served.
        self._arriving: HttpRequest | None = None
        self._waiting: deque[HttpRequest] = deque()
        self._served: HttpRequest | None = None
        self._reading = True
        self._writable = True
        self._last = False
        self._refused = 0
        # Of the head that is parsed.
        self._in_head = False
        self._head_size = 0
        self._url = b""
        self._headers: list[tuple[str, str]] = []
        self._expects_continue = False
        self._head_is_timed = True
        self._framing = 0  # What came behind the head, without the body.
        # When the connection ends unless something comes; None while a request is served. The one timer is
        # set once in a while and looks then: to renew it with every request would cost more than parsing.
        self._patience: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        # From `connection_made` to `connection_lost`: it refers back to this protocol, and a circle waits for
        # the collector with all that hangs on it, TLS and its buffers included.
        self._parser: httptools.HttpRequestParser | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """The handshake is over. Beyond the limits the connection ends at once."""
        self._transport = transport
        self._parser = parser = httptools.HttpRequestParser(self)
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        peer = transport.get_extra_info("peername")
        self._peer = f"{peer[0]}:{peer[1]}" if peer else ""
        ssl_object = transport.get_extra_info("ssl_object")
        if ssl_object is not None:
            self._chain = presented_chain(ssl_object)
        if self._chain and self._limits.is_terminator(self._chain):
            # Only this leniency is wanted of those that go with it; `on_header` takes the others back.
            self._lenient = True
            parser.set_dangerous_leniencies(lenient_headers=True, lenient_data_after_close=True)
        if not self._limits.enter(self, peer[0] if peer else "", terminator=self._lenient):
            transport.abort()
            return
        self._be_patient(self._limits.request_timeout)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone, with its timer; what is under way goes on, and is told to nobody."""
        del exc
        if self._timer is not None:
            self._timer.cancel()
        self._patience = None
        for request in self._waiting:
            request.release()
        self._waiting.clear()
        if self._served is not None:
            self._served.abandon()
        self._limits.leave(self)
        self._transport = self._parser = self._arriving = None

    def data_received(self, data: bytes) -> None:
        """Parse *data*, and serve what is in it; answer and close where it is not HTTP or too large."""
        parser = self._parser
        if parser is None or not self._listens():
            return
        if self._in_head or self._arriving is None:
            self._head_size += len(data)
        else:
            self._framing += len(data)
        try:
            parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # The request is answered as any other; what follows it is in no protocol that we speak.
            self._last = True
        except httptools.HttpParserError:
            self._refuse(400)
        # Where the head is complete its own size counted; before that, all that came of it.
        if self._in_head and self._head_size > self._limits.head_bytes:
            self._refuse(431)
        if self._framing > MAX_FRAMING:
            # Without an answer: to end TLS in good order is to decrypt what such a peer goes on to send.
            self.abort()
            return
        if self._refused:
            self._turn_away()
        elif self._in_head and not self._head_is_timed and self._served is None:
            self._head_is_timed = True
            self._be_patient(self._limits.request_timeout)
        self._serve()

    def pause_writing(self) -> None:
        """The peer does not take its responses: no more requests of it are served."""
        self._writable = False

    def resume_writing(self) -> None:
        """It does again."""
        self._writable = True
        self._serve()

    def on_message_begin(self) -> None:
        """A request line begins."""
        self._in_head = True
        self._url = b""
        self._headers = []
        self._expects_continue = False

    def on_url(self, url: bytes) -> None:
        """A part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer: those are dropped, as a terminator that removes a header from the head may
        let the same name pass behind the body.
        """
        if not self._in_head:
            return
        if self._lenient and _CONTROL.search(value):
            raise ValueError("a control character in a header")  # Ends the parsing; told to nobody.
        text = name.decode("latin-1").lower()
        if text == "expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        self._headers.append((text, value.decode("latin-1")))

    def on_headers_complete(self) -> None:
        """The head is there: check its size, and keep the request."""
        size = len(self._url) + sum([len(name) + len(value) + 4 for name, value in self._headers])
        if size > self._limits.head_bytes:
            self._refuse(431)
        elif len(self._waiting) >= MAX_PIPELINED:
            self._refuse(400)
        if self._refused:
            raise ValueError("the request is refused")  # As above.
        parser = self._parser
        assert parser is not None  # noqa: S101 - it is what calls this
        version = parser.get_http_version()
        self._arriving = HttpRequest(
            self,
            self._limits.bodies,
            # One small body of a connection is free, and not one more for each request that waits.
            SMALL_BODY if self._served is None and not self._waiting else 0,
            method=parser.get_method().decode("ascii"),
            version=version,
            target=request_target(self._url),
            headers=Headers(self._headers),
            chain=self._chain,
            peer=self._peer,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            expects_continue=self._expects_continue,
        )
        self._in_head = self._head_is_timed = False
        self._head_size = self._framing = 0
        self._patience = None
        self._waiting.append(self._arriving)

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        if self._arriving is not None:
            self._framing -= len(body)
            self._arriving.arrived(body)

    def on_message_complete(self) -> None:
        """The body is there. The next head may begin in the same data."""
        if self._arriving is not None:
            self._arriving.end()
        self._arriving = None
        self._head_size = self._framing = 0

    def write(self, octets: bytes) -> None:
        """Send *octets*; nothing where the connection has ended."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(octets)

    def may_go_on(self) -> bool:
        """Whether the connection may take another request."""
        return not (self._last or self._refused) and self._loop.time() < self._ends_at

    def answered(self, *, close: bool) -> None:
        """The response of the request under way was written; go on with the next, or end."""
        self._served = None
        if close or self._transport is None or self._transport.is_closing():
            self.end()
            return
        if not self._waiting:
            self._head_is_timed = self._in_head
            limits = self._limits
            self._be_patient(limits.request_timeout if self._in_head else limits.keep_alive)
        self._serve()

    def shutdown(self) -> None:
        """End now where nothing is under way, and otherwise with the response of what is."""
        self._last = True
        if self._served is None:
            self.end()

    def end(self) -> None:
        """Close, when what was written has been sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def _listens(self) -> bool:
        """Whether what arrives counts. Of the last request the rest of the body does."""
        transport = self._transport
        if self._refused or transport is None or transport.is_closing():
            return False
        return not self._last or self._arriving is not None

    def _serve(self) -> None:
        """Begin with the request that waits longest, if its turn has come; read on if none waits then."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._waiting and self._served is None and self._writable:
            self._served = self._waiting.popleft()
            self._limits.tasks.add(self._loop.create_task(self._run(self._served)))
        read_on = not self._waiting
        if read_on is not self._reading:
            self._reading = read_on
            if read_on:
                transport.resume_reading()
            else:
                transport.pause_reading()

    async def _run(self, request: HttpRequest) -> None:
        try:
            await self._application(request)
        except Exception:
            # The application answers for everything but its own defects.
            logger.exception("A request was not answered")
            self.abort()
        finally:
            request.release()
            # Not by a callback of the task: that would be one more turn of the loop for each request.
            task = asyncio.current_task(self._loop)
            if task is not None:
                self._limits.tasks.discard(task)

    def _be_patient(self, seconds: float) -> None:
        """Let the connection end unless something has come within *seconds*."""
        self._patience = self._loop.time() + seconds
        if self._timer is None or self._timer_at > self._patience:
            self._set_timer(self._patience)

    def _set_timer(self, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = when
        self._timer = self._loop.call_at(when, self._look)

    def _look(self) -> None:
        """The timer's turn: has what was waited for come meanwhile?"""
        self._timer = None
        if self._patience is None or self._transport is None or self._transport.is_closing():
            return
        if self._loop.time() < self._patience:
            self._set_timer(self._patience)
        elif self._in_head:
            self._refuse(408)
            self._turn_away()
        else:
            self.end()

    def _refuse(self, status: int) -> None:
        """Parse no further, for a reason that may become *status*; the first one counts."""
        if not self._refused:
            self._refused = status

    def _turn_away(self) -> None:
        """Answer with `_refused` and close; behind a request, close with the response to that."""
        if self._arriving is not None:
            self._arriving.abandon()
        if self._served is not None or self._waiting:
            return  # `may_go_on` says no from now on.
        self.write(_REFUSALS[self._refused] + b"\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        self.end()
