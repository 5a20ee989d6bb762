"""The pool: bounded, first come first served, and no connection lost or used after it went bad."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway.errors import AvailabilityError, Reason
from gateway.store.options import StoreOptions
from gateway.store.postgresql_driver import connect
from gateway.store.postgresql_pool import IDLE_LIFETIME, ConnectionPool
from tests.support.stores import empty_database

OPTIONS = StoreOptions(pool_max_size=1, pool_queue_size=2, command_timeout=5)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database("postgresql", tmp_path) as url:
        yield url


@pytest.fixture
async def pool(url: str) -> AsyncIterator[ConnectionPool]:
    """A pool of one connection, for which two may wait."""
    pool = ConnectionPool(lambda: connect(url, OPTIONS), OPTIONS)
    yield pool
    await pool.aclose()


async def waiting(pool: ConnectionPool) -> "asyncio.Task[object]":
    """A task that waits for a connection."""
    task = asyncio.create_task(pool.acquire())
    await asyncio.sleep(0)
    return task


async def test_a_connection_is_used_again(pool):
    """Released, it is what the next call gets."""
    first = await pool.acquire()
    pool.release(first)
    assert await pool.acquire() is first
    pool.release(first)


async def test_who_waits_longest_is_next(pool):
    """A released connection goes to the first in the queue; more than may wait are refused."""
    connection = await pool.acquire()
    first, second = await waiting(pool), await waiting(pool)
    with pytest.raises(AvailabilityError) as caught:
        await pool.acquire()
    assert caught.value.reason is Reason.OVERLOADED
    pool.release(connection)
    assert await first is connection
    assert not second.done()
    pool.release(connection)
    assert await second is connection
    pool.release(connection)


async def test_a_wait_ends_with_the_command_timeout(url):
    """Nobody waits for ever, and the connection is not lost to the one that gave up."""
    options = StoreOptions(pool_max_size=1, command_timeout=0.02)
    pool = ConnectionPool(lambda: connect(url, StoreOptions()), options)
    connection = await pool.acquire()
    with pytest.raises(TimeoutError):
        await pool.acquire()
    pool.release(connection)
    assert await pool.acquire() is connection
    pool.release(connection)
    await pool.aclose()


async def test_a_connection_given_to_a_cancelled_caller_comes_back(pool):
    """Cancelled in the moment of being served, a caller takes nothing with it."""
    connection = await pool.acquire()
    task = await waiting(pool)
    pool.release(connection)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert await pool.acquire() is connection
    pool.release(connection)


@pytest.mark.parametrize("fault", ["closed", "distrusted", "too long idle"])
async def test_a_connection_that_is_no_good_is_replaced(pool, monkeypatch, fault):
    """It makes room for a new one, for who waits as for who comes."""
    connection = await pool.acquire()
    if fault == "closed":
        connection.terminate()
    elif fault == "distrusted":
        pool.distrust()
    task = await waiting(pool)
    pool.release(connection)
    replaced = await task
    assert (replaced is connection) == (fault == "too long idle")
    pool.release(replaced)
    if fault == "too long idle":
        idle, since = pool._idle.pop()
        pool._idle.append((idle, since - IDLE_LIFETIME))
        replaced = await pool.acquire()
        assert replaced is not connection
        pool.release(replaced)
    assert await replaced.fetchval("SELECT 1") == 1


async def test_a_failed_attempt_leaves_room_for_the_next(url):
    """Each of those that wait tries to connect for itself."""
    failures = 2

    async def connect_at_last():
        nonlocal failures
        await asyncio.sleep(0)
        if failures:
            failures -= 1
            raise ConnectionRefusedError
        return await connect(url, OPTIONS)

    pool = ConnectionPool(connect_at_last, OPTIONS)
    results = await asyncio.gather(*(pool.acquire() for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results[:2]] == [ConnectionRefusedError] * 2
    assert await results[2].fetchval("SELECT 1") == 1
    pool.release(results[2])
    await pool.aclose()
