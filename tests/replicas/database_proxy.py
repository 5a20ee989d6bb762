"""A network between one replica and PostgreSQL that can be cut, or go silent.

PostgreSQL listens on a Unix socket; so does this, in a folder of its own, and passes octets on.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, urlsplit

_SOCKET: Final = ".s.PGSQL.5432"
_CHUNK: Final = 65536  # octets


class DatabaseProxy:
    """Use `database_proxy`. `url` leads through it."""

    def __init__(self, upstream: Path, url: str) -> None:
        self.url = url
        self._upstream = upstream
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False

    def cut(self) -> None:
        """End every connection, and refuse new ones."""
        self._refusing = True
        for writer in self._writers:
            writer.transport.abort()

    def silence(self) -> None:
        """Pass nothing on, and end nothing: what a network does that loses every packet."""
        self._flowing.clear()

    def mend(self) -> None:
        """Pass on again, also what was held back."""
        self._refusing = False
        self._flowing.set()

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one connection of the replica."""
        task = asyncio.create_task(self._serve(reader, writer), name="database-proxy")
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def aclose(self) -> None:
        """End every connection."""
        self.cut()
        self._flowing.set()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_unix_connection(self._upstream)
        except OSError:
            writer.transport.abort()
            return
        pair = {writer, up_writer}
        self._writers |= pair
        try:
            await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer))
        finally:
            self._writers -= pair
            for each in pair:
                each.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while octets := await reader.read(_CHUNK):
                await self._flowing.wait()
                writer.write(octets)
                await writer.drain()
        writer.transport.abort()


@asynccontextmanager
async def database_proxy(folder: Path, url: str) -> AsyncIterator[DatabaseProxy]:
    """A proxy in front of the database *url*, whose host is the folder of its socket."""
    (host,) = parse_qs(urlsplit(url).query)["host"]
    # A socket's path may have about 100 characters.
    own = folder / "pg"
    own.mkdir()
    proxy = DatabaseProxy(Path(host) / _SOCKET, url.replace(host, str(own)))
    server = await asyncio.start_unix_server(proxy.serve, own / _SOCKET)
    try:
        yield proxy
    finally:
        server.close()
        await proxy.aclose()
        await server.wait_closed()
