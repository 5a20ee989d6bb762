"""The listener of metrics: ``GET /metrics`` over plain HTTP, for a scraper on this machine.

It is apart from the doors of the API, so that neither can take the other's room, and small: one request a
connection, a bounded head, a deadline, a few connections at a time.
"""

import asyncio
import errno
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from gateway.ports import ListenError

logger = logging.getLogger(__name__)

PATH: Final = b"/metrics"
MAX_HEAD: Final = 8 * 1024
"""Octets of a request's head."""
MAX_CONNECTIONS: Final = 8
TIMEOUT: Final = 5.0
"""Seconds that a connection may last."""


@asynccontextmanager
async def serving_metrics(
    address: str, write: Callable[[], bytes], content_type: str, *, ports: int = 1
) -> AsyncIterator[int]:
    """Serve what *write* returns at *address* (``host:port``) until the end of the block; yields the port.

    Where the port is taken, by another worker, the next one is, of *ports* in all. Raises `ListenError`.
    """
    host, _, first = address.rpartition(":")
    listener = _Listener(write, content_type)
    server = await _listen(listener, host.strip("[]"), int(first), ports)
    port: int = server.sockets[0].getsockname()[1]
    logger.info("Metrics are served", extra={"port": port})
    try:
        yield port
    finally:
        server.close()
        await listener.aclose()


async def _listen(listener: "_Listener", host: str, first: int, ports: int) -> asyncio.Server:
    for port in range(first, first + ports):
        try:
            return await asyncio.start_server(listener.serve, host, port, limit=MAX_HEAD)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ListenError(f"metrics.address: {host}:{port}: {error.strerror or error}.") from error
    raise ListenError(
        f"metrics.address: {host}: ports {first} to {first + ports - 1} are taken; name others."
    )


class _Listener:
    def __init__(self, write: Callable[[], bytes], content_type: str) -> None:
        self._write = write
        self._content_type = content_type
        self._tasks: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or len(self._tasks) >= MAX_CONNECTIONS:
            writer.close()
            return
        self._tasks.add(task)
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._answer(reader, writer)
        except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            logger.debug("A scrape ended early.")
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        method, _, rest = head.partition(b" ")
        target = rest.partition(b" ")[0].partition(b"?")[0]
        if target != PATH:
            _respond(writer, "404 Not Found", b"The metrics are at /metrics.\n")
        elif method not in {b"GET", b"HEAD"}:
            _respond(writer, "405 Method Not Allowed", b"Use GET.\n", extra="Allow: GET, HEAD\r\n")
        else:
            body = self._write()
            _respond(writer, "200 OK", body, self._content_type, send_body=method == b"GET")
        await writer.drain()


def _respond(
    writer: asyncio.StreamWriter,
    status: str,
    body: bytes,
    content_type: str = "text/plain; charset=utf-8",
    *,
    extra: str = "",
    send_body: bool = True,
) -> None:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {len(body)}\r\n"
        f"{extra}Connection: close\r\n\r\n"
    )
    writer.write(head.encode("ascii") + (body if send_body else b""))
