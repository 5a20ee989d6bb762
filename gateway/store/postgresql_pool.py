"""A bounded pool of asyncpg connections whose common case costs nothing.

asyncpg's own pool wraps each connection and takes as long per call as a point read does.
"""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from gateway.store.failures import overloaded
from gateway.store.options import StoreOptions
from gateway.store.usage import StoreUsage
from signers.durations import Histogram

IDLE_LIFETIME = 300.0
"""Seconds after which an unused connection is not trusted any more: firewalls forget it silently."""


class ConnectionPool:
    """Up to `StoreOptions.pool_max_size` connections, opened when needed; used on the event loop's thread.

    Every connection that `acquire` gives must come back through `release`, closed or not.
    """

    def __init__(self, connect: Callable[[], Awaitable[Any]], options: StoreOptions) -> None:
        self._connect = connect
        self._options = options
        self._idle: list[tuple[Any, float]] = []  # The most recently used last, with the time of its release.
        self._trusted: set[Any] = set()
        self._size = 0  # Open, or being opened.
        self._waiting: deque[asyncio.Future[Any]] = deque()
        self._waits = Histogram()

    @property
    def usage(self) -> StoreUsage:
        """How much of it is taken."""
        idle = len(self._idle)
        limit = self._options.pool_max_size
        return StoreUsage(self._size - idle, idle, limit, len(self._waiting), self._waits)

    async def acquire(self) -> Any:
        """An open connection.

        Raises what connecting raises, `TimeoutError` where none came free within the command timeout, and
        `AvailabilityError` with OVERLOADED where too many wait already.
        """
        while self._idle:
            connection, since = self._idle.pop()
            if not connection.is_closed() and time.monotonic() - since < IDLE_LIFETIME:
                return connection
            self._drop(connection)
        if self._size < self._options.pool_max_size:
            return await self._open()
        if len(self._waiting) >= self._options.pool_queue_size:
            raise overloaded()
        return await self._wait()

    def release(self, connection: Any) -> None:
        """Give *connection* back. One that is closed or not trusted any more makes room for a new one."""
        if connection.is_closed() or connection not in self._trusted:
            self._drop(connection)
        elif not self._hand_over(connection):
            self._idle.append((connection, time.monotonic()))

    def distrust(self) -> None:
        """Use no connection again that is open now; those in use end when they are released."""
        self._trusted.clear()
        while self._idle:
            self._drop(self._idle.pop()[0])

    async def aclose(self) -> None:
        """Say goodbye to the server, for no longer than the command timeout."""
        self._trusted.clear()
        connections, self._idle = [connection for connection, _ in self._idle], []
        farewells = (each.close(timeout=self._options.command_timeout) for each in connections)
        await asyncio.gather(*farewells, return_exceptions=True)
        for each in connections:
            self._drop(each)

    async def _open(self) -> Any:
        self._size += 1
        try:
            connection = await self._connect()
        except BaseException:
            self._size -= 1
            self._hand_over(None)
            raise
        self._trusted.add(connection)
        return connection

    async def _wait(self) -> Any:
        turn: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        started = time.perf_counter()
        try:
            async with asyncio.timeout(self._options.command_timeout):
                connection = await turn
        except BaseException:
            with suppress(ValueError):
                self._waiting.remove(turn)
            if turn.done() and not turn.cancelled():
                # It came at the very moment at which nobody wanted it any more.
                self._pass_on(turn.result())
            raise
        finally:
            self._waits.add(time.perf_counter() - started)
        # None: there is room for a new one.
        return connection if connection is not None else await self.acquire()

    def _pass_on(self, connection: Any) -> None:
        if connection is None:
            self._hand_over(None)
        else:
            self.release(connection)

    def _hand_over(self, connection: Any) -> bool:
        """Give *connection*, or with None the room for one, to who waits longest; False where nobody does."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(connection)
                return True
        return False

    def _drop(self, connection: Any) -> None:
        self._trusted.discard(connection)
        connection.terminate()
        self._size -= 1
        self._hand_over(None)
