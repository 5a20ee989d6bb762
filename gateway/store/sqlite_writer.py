"""The one thread that writes to a SQLite database, several units of work to a commit.

A commit costs a flush to disk; work that waits meanwhile shares the next one. Each unit has a savepoint of
its own, so that a failed one takes nothing along. Nobody is answered before COMMIT has returned.
"""

import asyncio
import contextvars
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

from gateway.errors import AvailabilityError, Reason
from gateway.store.database import Row, Work
from gateway.store.failures import StoreCause, from_sqlite, overloaded, sqlite_cause, unavailable
from gateway.store.options import StoreOptions
from gateway.store.sqlite_file import SqliteFile
from gateway.store.sqlite_lock import SqliteLock
from gateway.store.statement import Statement

T = TypeVar("T")
logger = logging.getLogger(__name__)


class SqliteTransaction:
    """A `Transaction` on the writer's connection. Its methods never suspend."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    async def fetch_one(self, statement: Statement, **parameters: object) -> Row | None:
        """The first row, or None."""
        rows = self._run(statement, parameters).fetchall()
        return rows[0] if rows else None

    async def fetch_all(self, statement: Statement, **parameters: object) -> Sequence[Row]:
        """Every row."""
        return self._run(statement, parameters).fetchall()

    async def execute(self, statement: Statement, **parameters: object) -> int:
        """Run a change; returns how many rows it touched."""
        return self._run(statement, parameters).rowcount

    def _run(self, statement: Statement, parameters: dict[str, object]) -> sqlite3.Cursor:
        compiled = statement.sqlite
        return self._connection.execute(compiled.text, compiled.bind(parameters))


class _Job:
    """A unit of work, who waits for it, and what became of it."""

    __slots__ = ("abandoned", "context", "error", "future", "value", "work")

    def __init__(self, work: Work[Any], future: "asyncio.Future[Any]") -> None:
        self.work = work
        self.future = future
        self.context = contextvars.copy_context()
        self.value: Any = None
        self.error: BaseException | None = None
        self.abandoned = False

    def expire(self) -> None:
        """Stop waiting. Work that the writer has not taken up yet is dropped."""
        self.abandoned = True
        if not self.future.done():
            self.future.set_exception(unavailable(StoreCause.BUSY, TimeoutError("a write took too long")))

    def settle(self) -> None:
        """Tell the waiter, if it still waits."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.value)


class SqliteWriter:
    """Owns the writing connection and its thread; created and closed on the event loop's thread.

    *on_gone* is called on the event loop when the file turns out not to be usable any more.
    """

    def __init__(self, file: SqliteFile, options: StoreOptions, *, on_gone: Callable[[], None]) -> None:
        self._file = file
        self._lock = SqliteLock(file.path)
        self._options = options
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._unsettled = 0  # Changed on the event loop only.
        self._closed = False
        self._ended = False  # Changed on the writer's thread only.
        self._stopped = asyncio.Event()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        # A daemon, so that a disk that hangs for ever cannot keep the process from exiting.
        self._thread = threading.Thread(target=self._serve, name="sqlite-writer", daemon=True)
        self._thread.start()

    async def run(self, work: Work[T]) -> T:
        """Run *work* in the next commit and return what it returned.

        A caller that is cancelled or times out (`StoreOptions.write_timeout`) before the writer took the work
        up undoes nothing because nothing is done; later, the work runs to its end.
        """
        if self._closed:
            raise AvailabilityError(Reason.SHUTTING_DOWN, "The gateway is shutting down.")
        if self._unsettled >= self._options.write_queue_size:
            raise overloaded()
        job = _Job(work, self._loop.create_future())
        self._unsettled += 1
        self._queue.put(job)
        timer = self._loop.call_later(self._options.write_timeout, job.expire)
        try:
            result: T = await job.future
        except asyncio.CancelledError:
            job.abandoned = True
            raise
        finally:
            timer.cancel()
        return result

    async def aclose(self) -> None:
        """Commit what waits, then stop. A writer stuck in the operating system is left behind, and logged."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        try:
            async with asyncio.timeout(self._options.write_timeout):
                await self._stopped.wait()
        except TimeoutError:
            logger.exception("The database writer did not stop within %.0f s", self._options.write_timeout)

    # From here on, the writer's thread.

    def _serve(self) -> None:
        while not self._ended:
            batch: list[_Job] = []
            self._take(batch, wait=True)
            gone = False
            try:
                self._commit(batch)
            except BaseException as error:  # noqa: BLE001  # Whoever waits must hear of it, and the thread lives on.
                gone = self._fail(batch, error)
            self._tell(self._settle, batch, gone)
        self._disconnect()
        self._tell(self._stopped.set)

    def _take(self, batch: list[_Job], *, wait: bool) -> None:
        """Add to *batch* everything that waits, as far as it fits; with *wait*, wait for the first."""
        while not self._ended and len(batch) < self._options.write_batch_size:
            try:
                job = self._queue.get(block=wait and not batch)
            except queue.Empty:
                return
            if job is None:
                self._ended = True
            else:
                batch.append(job)

    def _commit(self, batch: list[_Job]) -> None:
        if not batch:
            return
        connection = self._connect()
        self._lock.acquire(timeout=self._options.busy_timeout)
        try:
            # Whatever came while this process waited for its turn shares the commit.
            self._take(batch, wait=False)
            # The checkpoint that COMMIT may begin ends with it, within the turn.
            self._commit_in_turn(connection, [job for job in batch if not job.abandoned])
        finally:
            self._lock.release()

    def _commit_in_turn(self, connection: sqlite3.Connection, batch: list[_Job]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            transaction = SqliteTransaction(connection)
            for job in batch:
                self._run_job(connection, transaction, job)
            self._require_same_file()
            connection.execute("COMMIT")
        except BaseException:
            # Some failures have rolled back already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _run_job(self, connection: sqlite3.Connection, transaction: SqliteTransaction, job: _Job) -> None:
        connection.execute("SAVEPOINT work")
        try:
            job.value = job.context.run(_drive, job.work(transaction))
        except BaseException as error:  # Raised again where the work was asked for.
            if not connection.in_transaction:
                raise  # The database has given up the whole transaction, everybody's part included.
            connection.execute("ROLLBACK TO work")
            job.error = job.context.run(from_sqlite, error)
        connection.execute("RELEASE work")

    def _fail(self, batch: list[_Job], error: BaseException) -> bool:
        """Give *error* to the whole batch, since none of it was committed; True where the file is lost."""
        raised = from_sqlite(error)
        for job in batch:
            job.value, job.error = None, raised
        gone = sqlite_cause(error) in {StoreCause.GONE, StoreCause.CORRUPT}
        if gone:
            # The next batch opens whatever is at the path by then.
            self._disconnect()
        return gone

    def _connect(self) -> sqlite3.Connection:
        if self._connection is None:
            identity = self._file.identity()
            self._connection = self._file.open(busy_timeout=self._options.busy_timeout)
            self._identity = identity
        return self._connection

    def _require_same_file(self) -> None:
        # SQLite goes on writing to a file that was deleted or replaced; what it acknowledges would be lost.
        if self._file.identity() != self._identity:
            raise FileNotFoundError("the database file was replaced while in use")

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:
                logger.warning("Closing the database failed", exc_info=True)
        self._lock.close()

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments)
        except RuntimeError:
            # The loop closed without aclose; nobody is left to tell.
            logger.warning("The event loop ended before the database writer")

    def _settle(self, batch: list[_Job], gone: bool) -> None:  # noqa: FBT001  # A callback's argument.
        self._unsettled -= len(batch)
        if gone:
            self._on_gone()
        for job in batch:
            job.settle()


def _drive(work: Coroutine[Any, Any, T]) -> T:
    """Run *work*, whose only awaits are of `SqliteTransaction`, to its end."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("A unit of work waited for something other than its transaction.")
