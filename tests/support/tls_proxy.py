"""A proxy between a client and a TLS server, through which the network and the server's answers go wrong."""

import asyncio
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import Self

from tests.support.pki import Authority
from tests.support.scripted_server import server_context

Alter = Callable[[bytes], bytes]


class TlsProxy:
    """Ends TLS on both sides. `alter` changes what the server sends, part by part; `delay` holds it back."""

    def __init__(self, port: int, authority: Authority) -> None:
        self._target = port
        self._tls = server_context(authority.server())
        self._client_tls = ssl.create_default_context(cadata=authority.pem.decode())
        self._passing = asyncio.Event()
        self._passing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.alter: Alter = bytes
        self.delay = 0.0
        self.port = 0

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def cut(self) -> None:
        """From now on nothing passes: connections stay open, new ones are taken, and all is silent."""
        self._passing.clear()

    def mend(self) -> None:
        """Let everything pass again, with what was held back."""
        self._passing.set()

    def reset(self) -> None:
        """Break every connection."""
        for task in tuple(self._tasks):
            task.cancel()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.reset()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            # A network that is cut answers no handshake either.
            await self._passing.wait()
            await writer.start_tls(self._tls)
            await self._forward(reader, writer)
        except (OSError, ssl.SSLError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream_reader, upstream_writer = await asyncio.open_connection(
            "127.0.0.1", self._target, ssl=self._client_tls
        )
        ways = [
            asyncio.ensure_future(self._pass(reader, upstream_writer)),
            asyncio.ensure_future(self._pass_back(upstream_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            upstream_writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65536):
            await self._passing.wait()
            writer.write(part)
            await writer.drain()

    async def _pass_back(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while part := await reader.read(65536):
            await asyncio.sleep(self.delay)
            await self._passing.wait()
            writer.write(self.alter(part))
            await writer.drain()
