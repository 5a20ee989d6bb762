"""One connection that carries one exchange of HTTP/1.1 at a time (RFC 9112)."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import httptools

MAX_REPLY = 1024 * 1024
"""Bytes of a reply's body. 64 RSA-8192 signatures in base64 take 90 KiB."""

MAX_HEAD = 64 * 1024
"""Bytes of a reply beside its body: status, fields, and the sizes of its chunks."""

_INTERIM = range(100, 200)


class ReplyError(Exception):
    """What arrived is no reply to the request: no HTTP, too long, cut off, or more than one."""


@dataclass(frozen=True, slots=True)
class HttpReply:
    """A reply, whole.

    Header names are in lower case; values of a name that comes again are joined by ", " (RFC 9110 §5.3).
    """

    status: int
    headers: Mapping[str, str]
    body: bytes


class _Reading:
    """Collects one reply. The methods on_* are what `httptools.HttpResponseParser` calls."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._received = 0
        self._replies = 0
        self.keeps_alive = False

    @property
    def is_complete(self) -> bool:
        return self._replies > 0

    def feed(self, data: bytes) -> None:
        """Take *data* in. Raises `ReplyError`."""
        if self.is_complete:
            raise ReplyError("The service sent more than its reply.")
        self._received += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            raise ReplyError(f"The service's reply is no HTTP: {error}") from error
        if len(self._body) > MAX_REPLY or self._received - len(self._body) > MAX_HEAD:
            raise ReplyError(f"The service's reply is larger than {MAX_REPLY} bytes, or its head too large.")
        if self._replies > 1:
            raise ReplyError("The service sent more than one reply.")

    def reply(self) -> HttpReply:
        """The reply, after which nothing more is read."""
        status = self._parser.get_status_code()
        # It refers back to here: without this the garbage collector would have to find each reply.
        del self._parser
        return HttpReply(status, self._headers, bytes(self._body))

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        self._headers[key] = f"{self._headers[key]}, {text}" if key in self._headers else text

    def on_headers_complete(self) -> None:
        self.keeps_alive = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._parser.get_status_code() in _INTERIM:
            self._headers.clear()  # RFC 9110 §15.2: the final reply follows.
        else:
            self._replies += 1


class Connection(asyncio.Protocol):
    """Made by `connect`."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._reading: _Reading | None = None
        self._waiter: asyncio.Future[None] | None = None
        self.idle_since = 0.0

    @property
    def is_usable(self) -> bool:
        """Whether an exchange may begin: none is under way or has failed, and the service has not closed."""
        return self._transport is not None and not self._transport.is_closing() and self._reading is None

    async def exchange(self, request: bytes) -> HttpReply:
        """Send *request*, whole, and read its reply. Given up or failed, it closes the connection.

        Raises `OSError` and `ReplyError`.
        """
        if not self.is_usable or self._transport is None:
            raise ReplyError("The service closed the connection.")
        loop = asyncio.get_running_loop()
        reading = self._reading = _Reading()
        waiter = self._waiter = loop.create_future()
        self._transport.write(request)
        try:
            await waiter
        except BaseException:
            self.close()
            raise
        if not reading.keeps_alive:
            self.close()
        self._reading = self._waiter = None
        self.idle_since = loop.time()
        return reading.reply()

    def close(self) -> None:
        """Close at once, without waiting for the service."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._reading is None:
            # Nothing was asked: whatever this is must not become the reply to the next request.
            self.close()
            return
        try:
            self._reading.feed(data)
        except ReplyError as error:
            self._fail(error)
        else:
            if self._reading.is_complete and self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(exc or ReplyError("The service closed the connection before its reply was complete."))

    def _fail(self, error: Exception) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self.close()


async def connect(host: str, port: int, tls: ssl.SSLContext | None) -> Connection:
    """A connection to *host*, whose certificate *tls* verifies. Raises `OSError` (`ssl.SSLError` is one)."""
    _, connection = await asyncio.get_running_loop().create_connection(
        Connection, host, port, ssl=tls, server_hostname=None if tls is None else host
    )
    return connection
