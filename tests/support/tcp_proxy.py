"""What stands between clients and gateways at the level of TCP: spreads connections, and may go silent."""

import asyncio
import itertools
from collections.abc import Sequence
from types import TracebackType
from typing import Self


class TcpProxy:
    """Forwards each connection to the next of *ports* on 127.0.0.1. `port` is where it listens, and
    `connections` how many it took.
    """

    def __init__(self, *ports: int) -> None:
        self._ports: Sequence[int] = ports
        self._next = itertools.cycle(ports)
        self._passing = asyncio.Event()
        self._passing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0

    def cut(self) -> None:
        """From now on nothing passes on any connection, and none ends: the network drops every packet."""
        self._passing.clear()

    def mend(self) -> None:
        """Let what comes from now on pass again; what was under way is lost."""
        for task in tuple(self._tasks):
            task.cancel()
        self._passing.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.create_task(self._forward(reader, writer, next(self._next)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        beyond_reader, beyond = await asyncio.open_connection("127.0.0.1", port)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, beyond))
                group.create_task(self._pass(beyond_reader, writer))
        except* OSError:
            pass
        finally:
            writer.transport.abort()
            beyond.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while octets := await reader.read(65_536):
            await self._passing.wait()
            writer.write(octets)
            await writer.drain()
        writer.write_eof()
