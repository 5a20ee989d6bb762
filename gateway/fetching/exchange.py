"""One HTTP/1.1 exchange on a fresh connection, by h11 (RFC 9112), with every part of the answer bounded."""

import asyncio
from dataclasses import dataclass
from typing import Final

import h11

from gateway.fetching.errors import FetchError, FetchFault
from gateway.fetching.message import FetchRequest
from gateway.fetching.urls import Target

MAX_HEADER_SIZE: Final = 32 * 1024  # octets of the status line and fields together, and of trailers
MAX_INTERIM_RESPONSES: Final = 4  # 1xx, RFC 9110 §15.2
READ_SIZE: Final = 16 * 1024  # octets

_USER_AGENT: Final = "countersign"


@dataclass(frozen=True, slots=True)
class Head:
    """Status and fields of a final response; names in lower case, in the order received."""

    status: int
    fields: list[tuple[bytes, bytes]]

    def first(self, name: bytes) -> str | None:
        """The only value of field *name*, None where it is absent or repeated."""
        values = [value for each, value in self.fields if each == name]
        return values[0].decode("latin-1") if len(values) == 1 else None

    def has(self, name: bytes) -> bool:
        """Whether field *name* is present at all."""
        return any(each == name for each, _ in self.fields)


class Exchange:
    """Sends one request and reads its response from a connected stream, which it does not close."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: Target) -> None:
        self._reader = reader
        self._writer = writer
        self._target = target
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEADER_SIZE)
        self._headed = False
        self._ended = False

    async def send(self, request: FetchRequest) -> Head:
        """Send *request* and read the head of its final response. Raises `FetchError`."""
        head = h11.Request(method=request.method, target=self._target.resource, headers=self._fields(request))
        octets = self._http.send(head) or b""
        if request.body:
            octets += self._http.send(h11.Data(data=request.body)) or b""
        octets += self._http.send(h11.EndOfMessage()) or b""
        try:
            self._writer.write(octets)
            await self._writer.drain()
        except OSError as error:
            raise self._error(FetchFault.CONNECTION_LOST, "the peer closed while we sent") from error
        return await self._head()

    async def body(self, max_size: int) -> bytes:
        """The body, refused as soon as it is known to exceed *max_size* octets. Raises `FetchError`."""
        parts: list[bytes] = []
        size = 0
        while True:
            event = await self._event()
            if isinstance(event, h11.Data):
                size += len(event.data)
                if size > max_size:
                    raise self._error(FetchFault.BODY_TOO_LARGE, f"the body exceeds {max_size} octets")
                parts.append(bytes(event.data))
            elif isinstance(event, h11.EndOfMessage):
                return b"".join(parts)
            else:
                raise self._error(FetchFault.BODY_TRUNCATED, "the connection ended within the body")

    def _fields(self, request: FetchRequest) -> list[tuple[str, str]]:
        fields = [
            ("Host", self._target.authority),
            ("User-Agent", _USER_AGENT),
            ("Accept", ", ".join(request.accept) or "*/*"),
            # Nothing is ever decompressed: a few kilobytes could stand for gigabytes.
            ("Accept-Encoding", "identity"),
            ("Connection", "close"),
        ]
        if request.method == "POST":
            fields.append(("Content-Length", str(len(request.body))))
            if request.content_type is not None:
                fields.append(("Content-Type", request.content_type))
        return [*fields, *request.headers]

    async def _head(self) -> Head:
        for _ in range(MAX_INTERIM_RESPONSES + 1):
            event = await self._event()
            if isinstance(event, h11.Response):
                self._headed = True
                return self._checked(Head(event.status_code, list(event.headers)))
            if not isinstance(event, h11.InformationalResponse):
                raise self._error(FetchFault.CONNECTION_LOST, "the connection ended before the response")
        raise self._error(FetchFault.PROTOCOL_VIOLATION, "too many interim responses")

    def _checked(self, head: Head) -> Head:
        framed = head.has(b"content-length") or head.has(b"transfer-encoding")
        # A body that ends where the connection does cannot be told from one that was cut short; http-01
        # answers of simple servers are made so, and prove nothing by their length.
        if not framed and self._target.scheme == "https" and head.status not in (204, 304):
            raise self._error(FetchFault.PROTOCOL_VIOLATION, "the body has no length of its own")
        codings = [value.lower() for name, value in head.fields if name == b"content-encoding"]
        if any(coding != b"identity" for coding in codings):
            raise self._error(FetchFault.CONTENT_ENCODING_REFUSED, "the body is in a content coding")
        return head

    async def _event(self) -> h11.Event:
        while True:
            try:
                event = self._http.next_event()
            except h11.RemoteProtocolError as error:
                raise self._violation() from error
            if isinstance(event, h11.Event):
                return event
            if event is h11.PAUSED:  # The peer went on to another protocol, which nobody asked for.
                raise self._error(FetchFault.PROTOCOL_VIOLATION, "the peer left HTTP/1.1")
            try:
                octets = await self._reader.read(READ_SIZE)
            except OSError as error:  # ssl.SSLError is one, too.
                raise self._error(FetchFault.CONNECTION_LOST, "the connection broke") from error
            self._ended = not octets
            self._http.receive_data(octets)

    def _violation(self) -> FetchError:
        if not self._ended:
            return self._error(FetchFault.PROTOCOL_VIOLATION, "the response is not valid HTTP/1.1")
        if self._headed:
            return self._error(FetchFault.BODY_TRUNCATED, "the connection ended within the body")
        return self._error(FetchFault.CONNECTION_LOST, "the connection ended before the response")

    def _error(self, fault: FetchFault, message: str) -> FetchError:
        return FetchError(fault, message, host=self._target.host)
