"""PostgreSQL, or what speaks its protocol, as a `Database`: a bounded pool of asyncpg connections."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from gateway.store.counters import WRITE_CHECKS, advance
from gateway.store.database import Row, Transaction, Work
from gateway.store.failures import from_postgresql, overloaded
from gateway.store.options import StoreOptions
from gateway.store.postgresql_driver import connect_arguments, import_asyncpg, opening
from gateway.store.statement import Statement

T = TypeVar("T")
logger = logging.getLogger(__name__)

_ATTEMPTS = 4
_ROLLBACK_TIMEOUT = 1.0  # seconds


class PostgresqlTransaction:
    """A `Transaction` on one connection of the pool."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

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


class PostgresqlDatabase:
    """One server, shared by all replicas. Use `open_postgresql`.

    Transactions are READ COMMITTED: each rule here is one statement that decides by itself, or holds the lock
    of `gateway.store.counters`. Cancelling a caller rolls its transaction back, unless COMMIT was on its way.
    """

    def __init__(self, pool: Any, options: StoreOptions) -> None:
        self._asyncpg = import_asyncpg()
        self._pool = pool
        self._options = options
        self._users = 0
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
        if not self._options.prepared_statements:
            return await self.transaction(lambda transaction: transaction.fetch_one(statement, **parameters))

        async def work(connection: Any) -> Row | None:
            return await PostgresqlTransaction(connection).fetch_one(statement, **parameters)

        return await self._retrying(lambda: self._connected(work))

    async def transaction(self, work: Work[T]) -> T:
        """See `Database.transaction`. Runs again after a deadlock or a serialization failure."""
        return await self._retrying(
            lambda: self._connected(lambda connection: self._commit(connection, work))
        )

    async def check_writable(self) -> None:
        """See `Database.check_writable`."""
        await self.transaction(_check)

    async def aclose(self) -> None:
        """See `Database.aclose`. Connections that do not end within the command timeout are cut."""
        try:
            async with asyncio.timeout(self._options.command_timeout):
                await self._pool.close()
        except (TimeoutError, OSError, self._asyncpg.InterfaceError, self._asyncpg.PostgresError):
            logger.warning("The database connections did not close in time", exc_info=True)
            self._pool.terminate()

    async def _read(self, read: Work[T]) -> T:
        if not self._options.prepared_statements:
            # Behind a pooler only a transaction keeps the two steps of a query on one server connection.
            return await self.transaction(read)

        async def run(connection: Any) -> T:
            return await read(PostgresqlTransaction(connection))

        async def attempt() -> T:
            try:
                return await self._connected(run)
            except self._lost:
                # The server went away under this connection and may be back; a read can be asked again.
                return await self._connected(run)

        return await self._retrying(attempt)

    async def _retrying(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Await *attempt* again after a conflict in which the server undid it, a bounded number of times."""
        again = (self._asyncpg.SerializationError, self._asyncpg.DeadlockDetectedError)
        for left in range(_ATTEMPTS - 1, -1, -1):
            try:
                return await attempt()
            except again as error:
                if not left:
                    raise from_postgresql(error, self._asyncpg) from error
                # Spread the contenders, so that they do not meet again.
                await asyncio.sleep(random.uniform(0, 0.02 * (_ATTEMPTS - left)))  # noqa: S311  # Not a secret.
            except self._asyncpg.ReadOnlySQLTransactionError as error:
                # The server was demoted; whoever is the primary now is found by connecting anew.
                await self._pool.expire_connections()
                raise from_postgresql(error, self._asyncpg) from error
            except Exception as error:
                raised = from_postgresql(error, self._asyncpg)
                if raised is error:
                    raise
                raise raised from error
        raise AssertionError("unreachable")

    async def _connected(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """Run *work* with a connection of the pool. Raises what asyncpg raises, and OVERLOADED."""
        if self._users >= self._options.pool_max_size + self._options.pool_queue_size:
            raise overloaded()
        self._users += 1
        try:
            async with self._pool.acquire(timeout=self._options.command_timeout) as connection:
                try:
                    return await work(connection)
                except self._lost:
                    # What happened to this one happened to the idle ones: all are opened anew when used.
                    connection.terminate()
                    await self._pool.expire_connections()
                    raise
        finally:
            self._users -= 1

    async def _commit(self, connection: Any, work: Work[T]) -> T:
        await connection.execute(self._begin)
        try:
            result = await work(PostgresqlTransaction(connection))
        except BaseException:
            await self._rollback(connection)
            raise
        try:
            status = await connection.execute("COMMIT")
        except BaseException:
            # Whether it was committed is not known; the connection must not be used again.
            connection.terminate()
            raise
        if status != "COMMIT":
            # A transaction that failed inside and whose error was swallowed is rolled back by COMMIT.
            raise RuntimeError("A unit of work went on after a statement of it had failed.")
        return result

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


async def _keep_session(_: Any) -> None:
    """Spare the round trip in which asyncpg resets a released session; nothing here changes a session."""


@asynccontextmanager
async def open_postgresql(dsn: str, options: StoreOptions) -> AsyncIterator[PostgresqlDatabase]:
    """The database at *dsn*, migrated. Raises `MissingDriverError`, `StoreUrlError`, `AvailabilityError`."""
    asyncpg = import_asyncpg()
    try:
        pool = await opening(
            asyncpg.create_pool(
                dsn,
                min_size=options.pool_min_size,
                max_size=options.pool_max_size,
                reset=_keep_session,
                **connect_arguments(options),
            )
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise from_postgresql(error, asyncpg) from error
    database = PostgresqlDatabase(pool, options)
    try:
        yield database
    finally:
        await database.aclose()
