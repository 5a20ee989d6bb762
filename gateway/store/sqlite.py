"""SQLite as a `Database`: reads on the event loop's thread, writes on the writer's."""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NoReturn, TypeVar

from gateway.store.counters import WRITE_CHECKS, advance
from gateway.store.database import Row, Transaction, Work
from gateway.store.failures import StoreCause, from_sqlite, overloaded, raise_instead, sqlite_cause
from gateway.store.options import StoreOptions
from gateway.store.sqlite_file import SqliteFile
from gateway.store.sqlite_writer import SqliteWriter
from gateway.store.statement import CompiledStatement, Statement
from gateway.store.usage import StoreUsage
from signers.durations import Histogram

T = TypeVar("T")
logger = logging.getLogger(__name__)


class SqliteDatabase:
    """One file, shared with other processes of this machine. Use `open_sqlite`.

    A point read takes microseconds, less than a hop to a thread and back would: it runs where it is called.
    Scans, and reads that meet another process's lock, go to a thread that may wait.
    """

    def __init__(self, file: SqliteFile, options: StoreOptions) -> None:
        self._file = file
        self._options = options
        self._reader: sqlite3.Connection | None = None
        self._scan_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-reader")
        self._scans = 0
        self._writer = SqliteWriter(file, options, on_gone=self._forget_reader)

    async def fetch_one(self, statement: Statement, **parameters: object) -> Row | None:
        """See `Database.fetch_one`."""
        compiled = statement.sqlite
        values = compiled.bind(parameters)
        try:
            row: Row | None = self._connected().execute(compiled.text, values).fetchone()
        except (sqlite3.Error, OSError, UnicodeEncodeError, OverflowError) as error:
            if sqlite_cause(error) is not StoreCause.BUSY:
                self._fail(error)
        else:
            return row
        rows = await self._scan(compiled, values)
        return rows[0] if rows else None

    async def fetch_all(self, statement: Statement, **parameters: object) -> Sequence[Row]:
        """See `Database.fetch_all`."""
        compiled = statement.sqlite
        values = compiled.bind(parameters)
        if statement.scan:
            return await self._scan(compiled, values)
        try:
            return self._connected().execute(compiled.text, values).fetchall()
        except (sqlite3.Error, OSError, UnicodeEncodeError, OverflowError) as error:
            if sqlite_cause(error) is not StoreCause.BUSY:
                self._fail(error)
        return await self._scan(compiled, values)

    async def write(self, statement: Statement, **parameters: object) -> Row | None:
        """See `Database.write`."""

        async def work(transaction: Transaction) -> Row | None:
            return await transaction.fetch_one(statement, **parameters)

        return await self._writer.run(work)

    async def transaction(self, work: Work[T]) -> T:
        """See `Database.transaction`."""
        return await self._writer.run(work)

    async def check_writable(self) -> None:
        """See `Database.check_writable`."""
        await self._writer.run(_check)

    @property
    def usage(self) -> StoreUsage:
        """See `Database.usage`."""
        return StoreUsage(0, 0, 0, self._writer.waiting, Histogram())

    async def aclose(self) -> None:
        """See `Database.aclose`."""
        await self._writer.aclose()
        self._forget_reader()
        self._scan_thread.shutdown(wait=False, cancel_futures=True)

    def _connected(self) -> sqlite3.Connection:
        if self._reader is None:
            # No wait for a lock here: this is the event loop's thread.
            self._reader = self._file.open(busy_timeout=0, query_only=True)
        return self._reader

    def _fail(self, error: BaseException) -> NoReturn:
        if sqlite_cause(error) in {StoreCause.GONE, StoreCause.CORRUPT}:
            self._forget_reader()
        raise_instead(from_sqlite(error), error)

    def _forget_reader(self) -> None:
        """The next read opens whatever is at the path by then."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    async def _scan(self, compiled: CompiledStatement, values: Sequence[object]) -> Sequence[Row]:
        if self._scans >= self._options.scan_queue_size:
            raise overloaded()
        self._scans += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._scan_thread, self._scan_now, compiled, values)
        finally:
            self._scans -= 1

    def _scan_now(self, compiled: CompiledStatement, values: Sequence[object]) -> Sequence[Row]:
        try:
            connection = self._file.open(busy_timeout=self._options.busy_timeout, query_only=True)
            try:
                return connection.execute(compiled.text, values).fetchall()
            finally:
                connection.close()
        except (sqlite3.Error, OSError, UnicodeEncodeError, OverflowError) as error:
            raise_instead(from_sqlite(error), error)


async def _check(transaction: Transaction) -> None:
    await advance(transaction, WRITE_CHECKS)


@asynccontextmanager
async def open_sqlite(path: Path, options: StoreOptions) -> AsyncIterator[SqliteDatabase]:
    """The database at *path*, which exists and is migrated."""
    database = SqliteDatabase(SqliteFile(path), options)
    try:
        yield database
    finally:
        await database.aclose()
