"""The one thread that writes to a SQLite database, several units of work to a commit.

A commit costs a flush to disk; work that waits meanwhile shares the next one. A failed unit takes nothing
along. Nobody is answered before COMMIT has returned.

The event loop gives the thread a turn when there is work and the last batch is settled, after whoever that
woke has run. So the two threads seldom want the interpreter at once, and what the woken ask for next goes
into one commit.
"""

import asyncio
import contextvars
import logging
import queue
import sqlite3
import threading
from collections import deque
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

    def notify(self, message: str) -> None:
        """Nobody listens: workers of one machine hear of each other through their supervisor."""

    def _run(self, statement: Statement, parameters: dict[str, object]) -> sqlite3.Cursor:
        compiled = statement.sqlite
        return self._connection.execute(compiled.text, compiled.bind(parameters))


class _Job:
    """A unit of work, who waits for it, and what became of it."""

    __slots__ = ("abandoned", "context", "deadline", "error", "future", "value", "work")

    def __init__(self, work: Work[Any], future: "asyncio.Future[Any]", deadline: float) -> None:
        self.work = work
        self.future = future
        self.deadline = deadline  # By the event loop's clock.
        self.context = contextvars.copy_context()
        self.value: Any = None
        self.error: BaseException | None = None
        self.abandoned = False

    def expire(self) -> None:
        """Stop waiting. Work that the writer has not begun is dropped."""
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
        self._turns: queue.SimpleQueue[None] = queue.SimpleQueue()
        # Changed on the event loop only.
        self._at_work = False  # From the moment that a turn is due until its batch is settled.
        self._unsettled = 0
        self._asked: deque[_Job] = deque()  # By deadline; some at its end are settled already.
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._ended = False  # Changed on the writer's thread only.
        self._stopped = asyncio.Event()
        self._connection: sqlite3.Connection | None = None
        self._identity: tuple[int, int] | None = None
        # A daemon, so that a disk that hangs for ever cannot keep the process from exiting.
        self._thread = threading.Thread(target=self._serve, name="sqlite-writer", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Units of work that wait for their commit."""
        return self._unsettled

    async def run(self, work: Work[T]) -> T:
        """Run *work* in the next commit and return what it returned.

        A caller that is cancelled or times out (`StoreOptions.write_timeout`) before the work has begun
        undoes nothing because nothing is done; later, the work runs to its end. *work* may be run a second
        time where the first was undone: what it does beside the transaction must not matter.
        """
        if self._closed:
            raise AvailabilityError(Reason.SHUTTING_DOWN, "The gateway is shutting down.")
        if self._unsettled >= self._options.write_queue_size:
            raise overloaded()
        job = _Job(work, self._loop.create_future(), self._loop.time() + self._options.write_timeout)
        self._unsettled += 1
        self._asked.append(job)
        if self._timer is None:
            self._timer = self._loop.call_at(job.deadline, self._expire)
        self._queue.put(job)
        if not self._at_work:
            self._give_turn()
        try:
            result: T = await job.future
        except asyncio.CancelledError:
            job.abandoned = True
            raise
        return result

    async def aclose(self) -> None:
        """Commit what waits, then stop. A writer stuck in the operating system is left behind, and logged."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            if not self._at_work:
                self._give_turn()
        try:
            async with asyncio.timeout(self._options.write_timeout):
                await self._stopped.wait()
        except TimeoutError:
            logger.exception("The database writer did not stop within %.0f s", self._options.write_timeout)
        else:
            if self._timer is not None:
                self._timer.cancel()

    def _give_turn(self) -> None:
        """Let the writer take what waits, once everybody who can run now has run."""
        self._at_work = True
        self._loop.call_soon(self._turns.put, None)

    def _expire(self) -> None:
        """One timer for all: whoever asked first is the first whose time is over."""
        self._timer = None
        now = self._loop.time()
        while self._asked and (self._asked[0].future.done() or self._asked[0].deadline <= now):
            self._asked.popleft().expire()
        if self._asked:
            self._timer = self._loop.call_at(self._asked[0].deadline, self._expire)

    # From here on, the writer's thread.

    def _serve(self) -> None:
        while not self._ended:
            self._turns.get()
            batch: list[_Job] = []
            self._take(batch)
            gone = False
            try:
                self._commit(batch)
            except BaseException as error:  # noqa: BLE001  # Whoever waits must hear of it, and the thread lives on.
                gone = self._fail(batch, error)
            self._tell(self._settle, batch, gone)
        self._disconnect()
        self._tell(self._stopped.set)

    def _take(self, batch: list[_Job]) -> None:
        """Add to *batch* everything that waits, as far as it fits."""
        while not self._ended and len(batch) < self._options.write_batch_size:
            try:
                job = self._queue.get_nowait()
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
            self._take(batch)
            # The checkpoint that COMMIT may begin ends with it, within the turn.
            self._commit_in_turn(connection, batch)
        finally:
            self._lock.release()

    def _commit_in_turn(self, connection: sqlite3.Connection, batch: list[_Job]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            # Now, after all the waiting: whoever was told meanwhile that it took too long is not served.
            wanted = [job for job in batch if not job.abandoned]
            transaction = SqliteTransaction(connection)
            if not all(self._run_job(connection, transaction, job) for job in wanted):
                # One failed half done. Seldom enough that savepoints, which cost, are set only now.
                connection.execute("ROLLBACK")
                connection.execute("BEGIN IMMEDIATE")
                for job in wanted:
                    self._run_apart(connection, transaction, job)
            self._require_same_file()
            connection.execute("COMMIT")
        except BaseException:
            # Some failures have rolled back already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def _run_job(self, connection: sqlite3.Connection, transaction: SqliteTransaction, job: _Job) -> bool:
        """Run *job*; False where it failed after it had changed something, which is left to be undone."""
        changes = connection.total_changes
        try:
            job.value = job.context.run(_drive, job.work(transaction))
        except BaseException as error:  # Raised again where the work was asked for.
            if not connection.in_transaction:
                raise  # The database has given up the whole transaction, everybody's part included.
            job.error = job.context.run(from_sqlite, error)
            return connection.total_changes == changes
        return True

    def _run_apart(self, connection: sqlite3.Connection, transaction: SqliteTransaction, job: _Job) -> None:
        """Run *job*, again, so that its failure undoes its own part only."""
        job.value = job.error = None
        connection.execute("SAVEPOINT work")
        if not self._run_job(connection, transaction, job):
            connection.execute("ROLLBACK TO work")
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
        try:
            if gone:
                self._on_gone()
            for job in batch:
                job.settle()
            while self._asked and self._asked[0].future.done():
                self._asked.popleft()
        finally:
            self._at_work = False
            if not self._queue.empty():
                self._give_turn()


def _drive(work: Coroutine[Any, Any, T]) -> T:
    """Run *work*, whose only awaits are of `SqliteTransaction`, to its end."""
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("A unit of work waited for something other than its transaction.")
