"""LISTEN: a connection of its own on which PostgreSQL tells what other processes commit.

Whoever changes something says so by NOTIFY within its transaction (`Transaction.notify`), so it is told with
the commit and not without. What is told wakes those who would else look by the clock. Whether it is told at
all has to be found out: behind a pooler that gives each transaction another server connection, LISTEN
succeeds and nothing ever comes. So each listener sends itself a probe now and then, the way that changes go,
and what it listens for is certain only as long as its probes arrive.
"""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from gateway.errors import GatewayError
from gateway.store.change_news import ChangeNews
from gateway.store.database import Database, Transaction
from gateway.store.failures import StoreError
from gateway.store.postgresql_driver import import_asyncpg

logger = logging.getLogger(__name__)

CHANNEL: Final = "countersign"
"""Databases are apart: those of other gateways on the same server hear nothing."""
PROBE_INTERVAL: Final = 5.0
"""Seconds between two probes."""
ANSWER_TIMEOUT: Final = 2.0
"""Seconds within which a probe must arrive."""
_FIRST_PAUSE: Final = 0.25
_MAX_PAUSE: Final = 60.0
"""Seconds before it is tried again, doubled each time; behind a pooler it is always in vain."""
_PROBE: Final = "probe-"


class PostgresqlListener:
    """Keeps *news* of one process; use `running`. *connect* opens a connection outside the pool."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[Any]],
        database: Database,
        news: ChangeNews,
        *,
        probe_interval: float = PROBE_INTERVAL,
        answer_timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self._connect = connect
        self._database = database
        self._news = news
        self._probe_interval = probe_interval
        self._answer_timeout = answer_timeout
        self._probe = ""
        self._answered = asyncio.Event()
        self._pause = _FIRST_PAUSE
        asyncpg = import_asyncpg()
        self._failures = (
            *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
            *(OSError, TimeoutError, GatewayError, StoreError),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Listen until the block ends."""
        task = asyncio.create_task(self._run(), name="store-listener")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            cause = "its probe did not arrive, as behind a transaction pooler"
            try:
                await self._listen()
            except self._failures as error:
                cause = f"{type(error).__name__}: {error}"
            except Exception as error:
                # A fault of ours must not end the task for good; the log shows it each time.
                logger.exception("Listening for changes failed")
                cause = type(error).__name__
            self._news.become(certain=False)
            logger.info(
                "Changes are not told by NOTIFY and are looked for",
                extra={"cause": cause, "next_attempt_s": self._pause},
            )
            await asyncio.sleep(self._pause)
            self._pause = min(self._pause * 2, _MAX_PAUSE)

    async def _listen(self) -> None:
        """Listen until the connection is lost or a probe does not arrive."""
        connection = await self._connect()
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        try:
            # Behind a pooler only a transaction keeps the two steps of a statement on one server connection.
            async with connection.transaction():
                await connection.add_listener(CHANNEL, self._heard)
            while await self._is_heard():
                self._news.become(certain=True)
                self._pause = _FIRST_PAUSE
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._probe_interval):
                        await lost.wait()
                        return
        finally:
            # Not closed in order: behind a pooler that could wait, and the server notices either way.
            connection.terminate()

    async def _is_heard(self) -> bool:
        """Whether a probe that takes the way of changes arrives. Raises `AvailabilityError`."""
        self._probe = _PROBE + secrets.token_hex(8)
        self._answered.clear()
        await self._database.transaction(self._send_probe)
        try:
            async with asyncio.timeout(self._answer_timeout):
                await self._answered.wait()
        except TimeoutError:
            return False
        return True

    async def _send_probe(self, transaction: Transaction) -> None:
        transaction.notify(self._probe)

    def _heard(self, _connection: object, _pid: int, _channel: str, message: str) -> None:
        if message == self._probe:
            self._answered.set()
        elif not message.startswith(_PROBE):
            self._news.tell(message)
