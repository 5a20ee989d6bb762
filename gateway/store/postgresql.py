"""PostgreSQL, or what speaks its protocol, as a `Database`: a bounded pool of asyncpg connections."""

import asyncio
import logging
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar

from gateway.store.counters import WRITE_CHECKS, advance
from gateway.store.database import Row, Transaction, Work
from gateway.store.failures import from_postgresql, raise_instead
from gateway.store.options import StoreOptions
from gateway.store.postgresql_driver import connect, import_asyncpg
from gateway.store.postgresql_listener import CHANNEL
from gateway.store.postgresql_pool import ConnectionPool
from gateway.store.statement import Statement
from gateway.store.usage import StoreUsage

T = TypeVar("T")
logger = logging.getLogger(__name__)

_ATTEMPTS = 4
_ROLLBACK_TIMEOUT = 1.0  # seconds
_MESSAGE = re.compile(r"[a-z0-9_-]{1,64}")
"""What may stand between quotes as it is."""


class PostgresqlTransaction:
    """A `Transaction` on one connection of the pool."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.messages: tuple[str, ...] = ()

    async def fetch_one(self, statement: Statement, **parameters: object) -> Row | None:
        """The first row, or None."""
        compiled = statement.postgresql
        row: Row | None = await self._connection.fetchrow(compiled.text, *compiled.bind(parameters))
        return row

    async def fetch_all(self, statement: Statement, **parameters: object) -> Sequence[Row]:
        """Every row."""
        compiled = statement.postgresql
        rows: Sequence[Row] = await self._connection.fetch(compiled.text, *compiled.bind(parameters))
        return rows

    async def execute(self, statement: Statement, **parameters: object) -> int:
        """Run a change; returns how many rows it touched."""
        compiled = statement.postgresql
        status: str = await self._connection.execute(compiled.text, *compiled.bind(parameters))
        return int(status.rpartition(" ")[2])  # "UPDATE 3"

    def notify(self, message: str) -> None:
        """See `Transaction.notify`."""
        if _MESSAGE.fullmatch(message) is None:
            raise ValueError(f"not a message: {message!r}")
        if message not in self.messages:
            self.messages += (message,)


class PostgresqlDatabase:
    """One server, shared by all replicas. Use `open_postgresql`.

    Transactions are READ COMMITTED: each rule here is one statement that decides by itself, or holds the lock
    of `gateway.store.counters`. Cancelling a caller rolls its transaction back, unless COMMIT was on its way.
    """

    def __init__(self, pool: ConnectionPool, options: StoreOptions) -> None:
        self._asyncpg = import_asyncpg()
        self._pool = pool
        self._prepared = options.prepared_statements
        self._notifications = options.notifications
        self._lost = (
            ConnectionError,
            self._asyncpg.PostgresConnectionError,
            self._asyncpg.AdminShutdownError,
            self._asyncpg.CrashShutdownError,
            self._asyncpg.CannotConnectNowError,
            self._asyncpg.InterfaceError,
            self._asyncpg.InternalClientError,
        )
        # One round trip. A replica that is frozen inside a transaction must not hold its locks for ever.
        lock, idle = round(options.busy_timeout * 1000), round(options.command_timeout * 1000)
        self._begin = (
            "BEGIN ISOLATION LEVEL READ COMMITTED; "
            f"SET LOCAL lock_timeout = {lock}; SET LOCAL idle_in_transaction_session_timeout = {idle}"
        )

    async def fetch_one(self, statement: Statement, **parameters: object) -> Row | None:
        """See `Database.fetch_one`."""
        return await self._read(lambda transaction: transaction.fetch_one(statement, **parameters))

    async def fetch_all(self, statement: Statement, **parameters: object) -> Sequence[Row]:
        """See `Database.fetch_all`."""
        return await self._read(lambda transaction: transaction.fetch_all(statement, **parameters))

    async def write(self, statement: Statement, **parameters: object) -> Row | None:
        """See `Database.write`."""

        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(statement, **parameters)

        return await self._retrying(self._alone if self._prepared else self._commit, work)

    async def transaction(self, work: Work[T]) -> T:
        """See `Database.transaction`. Runs again after a deadlock or a serialization failure."""
        return await self._retrying(self._commit, work)

    async def check_writable(self) -> None:
        """See `Database.check_writable`."""
        await self.transaction(_check)

    @property
    def usage(self) -> StoreUsage:
        """See `Database.usage`."""
        return self._pool.usage

    async def aclose(self) -> None:
        """See `Database.aclose`."""
        await self._pool.aclose()

    async def _read(self, read: Work[T]) -> T:
        # Behind a pooler only a transaction keeps the two steps of a query on one server connection.
        how = self._alone if self._prepared else self._commit
        try:
            return await self._connected(how, read)
        except self._lost:
            # The server went away under this connection and may be back; a read can be asked again.
            return await self._retrying(how, read)
        except Exception as error:  # noqa: BLE001  # Raised again, by its reason.
            self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        if isinstance(error, self._asyncpg.ReadOnlySQLTransactionError):
            # The server was demoted; whoever is the primary now is found by connecting anew.
            self._pool.distrust()
        raise_instead(from_postgresql(error, self._asyncpg), error)

    async def _retrying(self, how: Callable[[Any, Work[T]], Awaitable[T]], work: Work[T]) -> T:
        """Do *work* again after a conflict in which the server undid it, a bounded number of times."""
        conflicts = (self._asyncpg.SerializationError, self._asyncpg.DeadlockDetectedError)
        for attempt in range(1, _ATTEMPTS):
            try:
                return await self._connected(how, work)
            except conflicts:
                # Spread the contenders, so that they do not meet again.
                await asyncio.sleep(random.uniform(0, 0.02 * attempt))  # noqa: S311  # Not a secret.
            except Exception as error:  # noqa: BLE001  # Raised again, by its reason.
                self._fail(error)
        try:
            return await self._connected(how, work)
        except Exception as error:  # noqa: BLE001  # Raised again, by its reason.
            self._fail(error)

    async def _connected(self, how: Callable[[Any, Work[T]], Awaitable[T]], work: Work[T]) -> T:
        """Do *work* on a connection of the pool. Raises what asyncpg raises, and OVERLOADED."""
        connection = await self._pool.acquire()
        try:
            return await how(connection, work)
        except self._lost:
            # What happened to this connection happened to the idle ones.
            connection.terminate()
            self._pool.distrust()
            raise
        finally:
            self._pool.release(connection)

    async def _alone(self, connection: Any, work: Work[T]) -> T:
        """Do *work*, one statement, which is a transaction by itself."""
        try:
            return await work(PostgresqlTransaction(connection))
        except (asyncio.CancelledError, TimeoutError):
            # The server may still be at it; the next user must not wait for that.
            connection.terminate()
            raise

    async def _commit(self, connection: Any, work: Work[T]) -> T:
        """Do *work* between BEGIN and COMMIT."""
        transaction = PostgresqlTransaction(connection)
        try:
            await connection.execute(self._begin)
            result = await work(transaction)
        except BaseException:
            await self._rollback(connection)
            raise
        try:
            status = await connection.execute(self._commit_with(transaction.messages))
        except BaseException:
            # Whether it was committed is not known; the connection must not be used again.
            connection.terminate()
            raise
        if status != "COMMIT":
            # A transaction that failed inside and whose error was swallowed is rolled back by COMMIT.
            raise RuntimeError("A unit of work went on after a statement of it had failed.")
        return result

    def _commit_with(self, messages: Sequence[str]) -> str:
        """COMMIT, and in the same round trip what it tells."""
        if not messages or not self._notifications:
            return "COMMIT"
        told = "".join(f"SELECT pg_notify('{CHANNEL}', '{message}'); " for message in messages)
        return told + "COMMIT"

    async def _rollback(self, connection: Any) -> None:
        if connection.is_closed():
            return
        try:
            await connection.execute("ROLLBACK", timeout=_ROLLBACK_TIMEOUT)
        except BaseException as error:
            # Cut off, the server rolls back. What made us roll back is what the caller hears.
            connection.terminate()
            if not isinstance(error, Exception):
                raise
            logger.warning("A transaction was not rolled back but cut off", exc_info=True)


async def _check(transaction: Transaction) -> None:
    await advance(transaction, WRITE_CHECKS)


@asynccontextmanager
async def open_postgresql(dsn: str, options: StoreOptions) -> AsyncIterator[PostgresqlDatabase]:
    """The database at *dsn*, migrated. Raises `MissingDriverError`, `StoreUrlError`, `AvailabilityError`."""
    asyncpg = import_asyncpg()
    pool = ConnectionPool(lambda: connect(dsn, options), options)
    try:
        pool.release(await pool.acquire())
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise_instead(from_postgresql(error, asyncpg), error)
    database = PostgresqlDatabase(pool, options)
    try:
        yield database
    finally:
        await database.aclose()
