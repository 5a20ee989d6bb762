"""The one writer: shared commits, separate failures, bounded waits."""

import asyncio
import contextvars
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gateway.errors import AvailabilityError, Reason
from gateway.store import Store, StoreCause, StoreOptions, counters, open_store
from gateway.store.replays import _USE
from tests.support.stores import NOW

URL = "sqlite:///{}/state.db"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A store whose queue holds three and whose callers wait for a second."""
    options = StoreOptions(write_queue_size=3, write_timeout=1.0, busy_timeout=5.0)
    async with open_store(URL.format(tmp_path), options=options, migrate=True) as store:
        yield store


@contextmanager
def held(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """The write lock, held by another connection; released at the end unless it was before."""
    with closing(sqlite3.connect(tmp_path / "state.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other
        if other.in_transaction:
            other.execute("ROLLBACK")


def using(store: Store, value: str) -> "asyncio.Task[bool]":
    """Use *value* once, in a task."""
    return asyncio.create_task(store.replay.use_once("k", value, expire_time=NOW))


async def taken_up(store: Store) -> None:
    """Wait until the writer has taken up everything that was asked."""
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        # The writer's thread tells nobody what it takes.
        while not store.database._writer._queue.empty():  # noqa: ASYNC110  # See above.
            await asyncio.sleep(0.001)


async def test_work_that_waits_shares_a_commit(store, tmp_path):
    """What queues up while a commit is under way is committed together, and all of it is answered."""
    statements: list[str] = []

    async def trace(transaction):
        transaction._connection.set_trace_callback(statements.append)

    await store.database.transaction(trace)
    with held(tmp_path) as other:
        first = using(store, "a")
        await taken_up(store)
        second, third = using(store, "b"), using(store, "c")
        await asyncio.sleep(0)
        other.execute("ROLLBACK")
        assert await asyncio.gather(first, second, third) == [True, True, True]
    assert statements.count("COMMIT") == 3  # Of the trace itself, of the first, and of the other two.
    assert "SAVEPOINT work" not in statements


async def test_what_the_woken_ask_for_next_shares_a_commit(store):
    """Callers that were answered together and go on at once are served by one commit."""
    statements: list[str] = []

    async def trace(transaction):
        transaction._connection.set_trace_callback(statements.append)

    async def twice(value: str) -> None:
        assert await store.replay.use_once("first", value, expire_time=NOW)
        assert await store.replay.use_once("second", value, expire_time=NOW)

    await store.database.transaction(trace)
    statements.clear()
    await asyncio.gather(*map(twice, "abc"))
    assert statements.count("COMMIT") == 2


async def test_work_that_fails_before_it_changes_anything_is_not_undone(store):
    """There is nothing to take back, and nobody else's part is done twice."""
    runs: list[str] = []

    async def good(transaction):
        runs.append("good")
        return await transaction.fetch_one(_USE, digest=b"good", expire_time=1)

    async def fail(transaction):
        raise LookupError("of its own")

    outcomes = await asyncio.gather(
        store.database.transaction(good), store.database.transaction(fail), return_exceptions=True
    )
    assert outcomes[0] is not None
    assert isinstance(outcomes[1], LookupError)
    assert runs == ["good"]


async def test_failing_work_takes_nothing_along(store, tmp_path):
    """A unit that raises is undone alone; those that share its commit are done."""

    async def fail(transaction):
        await transaction.fetch_one(_USE, digest=b"mine", expire_time=1)
        raise LookupError("of its own")

    with held(tmp_path) as other:
        blocker = using(store, "a")
        await taken_up(store)
        failing = asyncio.create_task(store.database.transaction(fail))
        good = using(store, "b")
        await asyncio.sleep(0)
        other.execute("ROLLBACK")
        with pytest.raises(LookupError, match="of its own"):
            await failing
        assert await asyncio.gather(blocker, good) == [True, True]
        digests = other.execute("SELECT count(*) FROM replays").fetchone()[0]
    assert digests == 2


async def test_work_that_waits_for_something_else_is_refused(store):
    """A unit may only await its transaction; one that would stop the writer is undone and reported."""

    async def wait(transaction):
        await transaction.fetch_one(_USE, digest=b"x", expire_time=1)
        await asyncio.sleep(0)

    with pytest.raises(RuntimeError, match="waited for something other"):
        await store.database.transaction(wait)
    assert await using(store, "after")


async def test_a_full_queue_refuses(store, tmp_path):
    """One more than may wait is told at once that the gateway is overloaded; later there is room again."""
    with held(tmp_path) as other:
        tasks = [using(store, str(number)) for number in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(AvailabilityError) as caught:
            await store.replay.use_once("k", "more", expire_time=NOW)
        assert caught.value.reason is Reason.OVERLOADED
        assert caught.value.retry_after is not None
        other.execute("ROLLBACK")
        assert await asyncio.gather(*tasks) == [True] * 3
    assert await using(store, "more")


async def test_a_cancelled_caller_whose_work_had_not_begun_changes_nothing(store, tmp_path):
    """Work that waits, for its turn or for the lock, is dropped; the values can still be used."""
    with held(tmp_path) as other:
        first = using(store, "a")
        await taken_up(store)
        second = using(store, "b")
        await asyncio.sleep(0)
        for task in (first, second):
            task.cancel()
        await asyncio.gather(first, second, return_exceptions=True)
        other.execute("ROLLBACK")
    assert await using(store, "a")
    assert await using(store, "b")


async def test_a_cancelled_caller_whose_work_had_begun_changes_what_it_asked(store):
    """Work that has begun runs to its end."""
    begun, go_on = threading.Event(), threading.Event()

    async def work(transaction):
        begun.set()
        go_on.wait(5)
        return await counters.advance(transaction, counters.WRITE_CHECKS)

    before = await counters.read(store.database, counters.WRITE_CHECKS)
    task = asyncio.create_task(store.database.transaction(work))
    assert await asyncio.to_thread(begun.wait, 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    go_on.set()
    assert await using(store, "a")
    assert await counters.read(store.database, counters.WRITE_CHECKS) == before + 1


async def test_a_caller_waits_no_longer_than_the_timeout(store, tmp_path):
    """Queue and lock together are bounded; what had not begun by then is not done afterwards."""
    with held(tmp_path) as other:
        first = using(store, "a")
        await taken_up(store)
        second = using(store, "b")
        for task in (first, second):
            with pytest.raises(AvailabilityError) as caught:
                await task
            assert caught.value.cause == StoreCause.BUSY
        other.execute("ROLLBACK")
    assert await using(store, "a")
    assert await using(store, "b")


async def test_closing_commits_what_waits_and_refuses_more(tmp_path):
    """What was asked before the end is answered; what is asked after it is refused."""
    async with open_store(URL.format(tmp_path), migrate=True) as store:
        tasks = [using(store, str(number)) for number in range(10)]
        await asyncio.sleep(0)
    assert await asyncio.gather(*tasks) == [True] * 10
    with pytest.raises(AvailabilityError) as caught:
        await store.replay.use_once("k", "late", expire_time=NOW)
    assert caught.value.reason is Reason.SHUTTING_DOWN


async def test_work_knows_the_callers_context(store):
    """Context variables, such as the request id of log lines, reach the unit of work."""
    variable = contextvars.ContextVar("variable", default="none")
    variable.set("mine")

    async def read(_transaction):
        return variable.get()

    assert await store.database.transaction(read) == "mine"
