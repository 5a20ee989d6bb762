"""HTTP/1.1 for the load generator: requests are octets already, and parsing goes no further than framing."""

import asyncio
import re
import ssl

from bench.connections import CALL_TIMEOUT, Address, CallError

_HEAD_END = b"\r\n\r\n"
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+) *\r\n", re.IGNORECASE)
_OK = b"HTTP/1.1 200 "
_SHOWN = 200  # octets of a body that an error shows


class _Stream(asyncio.Protocol):
    """One connection with one request under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._body, self._end = 0, -1
        self._reply: asyncio.Future[bytes] | None = None

    # uvloop's transports are of no class of asyncio's, so that there is nothing to narrow with.
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._fail(f"The connection was closed: {exc}" if exc else "The connection was closed.")

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._end < 0 and not self._frame():
            return
        if len(self._received) < self._end or self._reply is None:
            return
        body, ok = bytes(self._received[self._body : self._end]), self._received.startswith(_OK)
        status = bytes(self._received[: self._received.index(b"\r\n")])
        self._received.clear()
        self._end = -1
        if ok and not self._reply.done():
            self._reply.set_result(body)
        else:
            self._fail(f"{status!r}: {body[:_SHOWN]!r}")

    async def call(self, request: bytes) -> bytes:
        """Send *request*; the body of its response. Raises `CallError`, for a status other than 200 too."""
        if self._transport is None:
            raise CallError("The connection was closed.")
        self._reply = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        try:
            async with asyncio.timeout(CALL_TIMEOUT):
                return await self._reply
        except TimeoutError as error:
            raise CallError(f"No response in {CALL_TIMEOUT:.0f} s.") from error

    def close(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _frame(self) -> bool:
        """Whether the head is there, and says how long the body is."""
        end = self._received.find(_HEAD_END)
        if end < 0:
            return False
        length = _LENGTH.search(self._received, 0, end + 2)
        if length is None:
            self._fail("A response does not say how long it is.")
            return False
        self._body = end + len(_HEAD_END)
        self._end = self._body + int(length[1])
        return True

    def _fail(self, reason: str) -> None:
        if self._reply is not None and not self._reply.done():
            self._reply.set_exception(CallError(reason))


class HttpsConnection:
    """As many keep-alive connections as calls are under way, opened anew for each window.

    Servers close those that are idle, some after a few seconds, so none is kept between windows.
    """

    def __init__(self, address: Address) -> None:
        self._host, _, port = address.address.rpartition(":")
        self._port = int(port)
        self._tls = ssl.create_default_context(cafile=str(address.authority))
        self._streams: list[_Stream] = []
        self._idle: list[_Stream] = []

    async def open(self, calls: int, seconds: float) -> None:
        """Connect *calls* times."""
        del seconds
        loop = asyncio.get_running_loop()
        for _ in range(calls):
            _, stream = await loop.create_connection(
                _Stream, "127.0.0.1", self._port, ssl=self._tls, server_hostname=self._host
            )
            self._streams.append(stream)
        self._idle = list(self._streams)

    async def call(self, request: bytes) -> bytes:
        """Call once on a connection that nobody uses. Raises `CallError`."""
        stream = self._idle.pop()
        reply = await stream.call(request)
        self._idle.append(stream)
        return reply

    async def close(self) -> None:
        """End the connections."""
        for stream in self._streams:
            stream.close()
        self._streams.clear()
        self._idle.clear()
