"""What is particular to PostgreSQL: conflicts, cancellation, poolers, the pool's bounds, the driver."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from gateway.errors import AvailabilityError, Reason
from gateway.store import MissingDriverError, Store, StoreOptions, StoreUrlError, counters, open_store
from gateway.tokens.ports import Revocation
from tests.support.stores import NOW, client, empty_database, request_key


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database("postgresql", tmp_path) as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """A store of at most two connections, and one caller more that may wait."""
    options = StoreOptions(pool_max_size=2, pool_queue_size=1)
    async with open_store(url, options=options, migrate=True) as store:
        yield store


async def test_a_deadlock_is_resolved_by_trying_again(store):
    """Two units that wait for each other's locks both succeed in the end."""
    both_locked = asyncio.Barrier(2)
    attempts: list[str] = []

    def taking(first: str, second: str):
        async def work(transaction):
            attempts.append(first)
            await counters.lock(transaction, first)
            if len(attempts) <= 2:
                await both_locked.wait()
            return await counters.advance(transaction, second)

        return store.database.transaction(work)

    results = await asyncio.gather(
        taking(counters.CLIENTS, counters.KEYS), taking(counters.KEYS, counters.CLIENTS)
    )
    assert results == [1, 1]
    assert len(attempts) == 3


async def test_conflicts_are_tried_a_bounded_number_of_times(store):
    """A unit that conflicts for ever ends as store_busy."""
    attempts = 0

    async def work(_transaction):
        nonlocal attempts
        attempts += 1
        raise asyncpg.SerializationError("again")

    with pytest.raises(AvailabilityError) as caught:
        await store.database.transaction(work)
    assert caught.value.cause == "store_busy"
    assert attempts == 4


async def test_a_cancelled_unit_is_rolled_back(store):
    """Its locks are free and its writes undone at once, and its connection serves on."""
    inside = asyncio.Event()

    async def work(transaction):
        await counters.advance(transaction, counters.KEYS)
        inside.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(store.database.transaction(work))
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await counters.read(store.database, counters.KEYS) == 0

    async def advance(transaction):
        return await counters.advance(transaction, counters.KEYS)

    assert await store.database.transaction(advance) == 1


async def test_a_unit_that_swallows_a_failed_statement_is_no_success(store):
    """PostgreSQL answers COMMIT of such a transaction without an error; it is not taken for done."""

    async def work(transaction):
        with pytest.raises(asyncpg.PostgresError):
            await transaction._connection.execute("SELECT 1 / 0")

    with pytest.raises(RuntimeError, match="went on after a statement"):
        await store.database.transaction(work)
    await store.check_writable()


async def test_more_callers_than_may_wait_are_refused(store):
    """Two connections are taken and one caller waits: the next is told that the gateway is overloaded."""
    release = asyncio.Event()

    async def work(_transaction):
        await release.wait()

    tasks = [asyncio.create_task(store.database.transaction(work)) for _ in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(AvailabilityError) as caught:
        await store.clients.get("backend")
    assert caught.value.reason is Reason.OVERLOADED
    release.set()
    await asyncio.gather(*tasks)
    assert await store.clients.get("backend") is None


async def test_a_pooler_without_prepared_statements_is_served(url):
    """Without named prepared statements every read and write still works, each inside a transaction."""
    options = StoreOptions(prepared_statements=False)
    async with open_store(url, options=options, migrate=True) as store:
        await store.clients.create(client(), request_key("r1"))
        assert await store.clients.get("backend") == client()
        assert await store.replay.use_once("k", "v", expire_time=NOW)
        assert not await store.replay.use_once("k", "v", expire_time=NOW)
        await store.revocations.revoke(Revocation("t1", None, NOW, NOW))
        assert await store.revocations.revoked_among(["t1", "t2"]) == {"t1"}
        connection = await store.database._pool.acquire()
        assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements") == 0
        store.database._pool.release(connection)


async def test_a_missing_driver_names_the_extra(url, monkeypatch):
    """Without asyncpg the start says what to install."""
    monkeypatch.setitem(sys.modules, "asyncpg", None)
    with pytest.raises(MissingDriverError, match="'postgres' extra"):
        await open_store(url).__aenter__()


@pytest.mark.parametrize(
    "url", ["postgresql://user:pa55word@host:port/db", "postgresql://user:pa55word@host/db?sslmode=perhaps"]
)
async def test_a_url_that_asyncpg_refuses_is_not_repeated(url):
    """The error is a `StoreUrlError`, and shows nothing of a URL that may hold a password."""
    with pytest.raises(StoreUrlError) as caught:
        await open_store(url).__aenter__()
    assert "pa55word" not in str(caught.value)
    assert caught.value.__cause__ is None
