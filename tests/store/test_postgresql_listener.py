"""What one process commits is told to the others, and whether that works is known."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from gateway.introspection.feed import RevocationFeed
from gateway.news import News
from gateway.store import Store, StoreOptions, counters, open_store
from gateway.store.change_news import ChangeNews
from gateway.store.postgresql_driver import connect
from gateway.store.postgresql_listener import PostgresqlListener
from gateway.tokens.ports import Revocation
from tests.support.stores import NOW, empty_database, key_record, shared_postgres

NEVER = 3600.0  # seconds: only news ends such a wait


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database("postgresql", tmp_path) as url:
        yield url


@pytest.fixture
async def stores(url: str) -> AsyncIterator[tuple[Store, Store]]:
    """Two replicas' stores; the first listens and is certain."""
    async with (
        open_store(url, migrate=True) as one,
        open_store(url) as two,
        one.listening(),
        asyncio.timeout(20),
    ):
        await until(one.revocation_news, certain=True)
        yield one, two


async def until(news: News, *, certain: bool) -> None:
    """Wait until *news* is as certain as that."""
    changed = asyncio.Event()
    news.listen(changed.set)
    while news.certain is not certain:
        await changed.wait()
        changed.clear()


def heard(news: News) -> asyncio.Event:
    """Set when something is told."""
    event = asyncio.Event()
    news.listen(event.set)
    return event


async def test_a_revocation_elsewhere_wakes_the_feed(stores):
    """A watcher here is sent what another replica revokes, without a look by the clock."""
    one, two = stores
    async with RevocationFeed(one.revocation_feed, interval=NEVER, news=one.revocation_news) as feed:
        batches = feed.watch("")
        await anext(batches)
        await two.revocations.revoke(Revocation("t1", None, NOW, NOW + 60))
        batch = await anext(batches)
        await batches.aclose()
    assert [item.token_id for item in batch.items] == ["t1"]


async def test_a_key_change_elsewhere_is_told(stores):
    """The topics are apart: a key wakes nobody who waits for revocations."""
    one, two = stores
    keys, revocations = heard(one.key_news), heard(one.revocation_news)
    await two.keys.insert(key_record("k1"), None)
    await keys.wait()
    assert not revocations.is_set()


async def test_what_is_undone_is_not_told(stores):
    """A transaction that fails tells nothing: what is told next is of the one after it."""
    one, two = stores
    keys, revocations = heard(one.key_news), heard(one.revocation_news)

    async def failing(transaction):
        await counters.advance(transaction, counters.REVOCATIONS)
        raise RuntimeError("undone")

    with pytest.raises(RuntimeError, match="undone"):
        await two.database.transaction(failing)
    await two.keys.insert(key_record("k1"), None)
    await keys.wait()
    assert not revocations.is_set()


async def test_a_lost_connection_is_noticed_and_made_anew(stores):
    """News is uncertain at once, and certain again by itself; both wake who waits."""
    one, two = stores
    cut = heard(one.key_news)
    await terminate_listeners(two)
    await cut.wait()
    assert one.key_news.certain is False
    await until(one.key_news, certain=True)
    again = heard(one.key_news)
    await two.keys.insert(key_record("k1"), None)
    await again.wait()


async def terminate_listeners(store: Store) -> None:
    """End every connection to the database that has said LISTEN last."""
    connection = await store.database._pool.acquire()
    try:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    finally:
        store.database._pool.release(connection)


async def test_a_connection_that_hears_nothing_is_found_out(url):
    """LISTEN succeeds and no probe arrives: news stays uncertain, and nothing fails."""
    options = StoreOptions()
    elsewhere = shared_postgres().url()  # Another database: what is told here is not heard there.
    attempts = 0
    tried_twice = asyncio.Event()

    async def deaf() -> object:
        nonlocal attempts
        attempts += 1
        if attempts == 2:
            tried_twice.set()
        return await connect(elsewhere, options)

    news = ChangeNews(counters.TOLD)
    async with open_store(url, migrate=True) as store:
        listener = PostgresqlListener(deaf, store.database, news, answer_timeout=0.05)
        async with listener.running(), asyncio.timeout(10):
            await tried_twice.wait()
            assert not any(topic.certain for topic in news.topics.values())
            assert await store.revocations.revoke(Revocation("t1", None, NOW, NOW + 60))


async def test_a_database_that_refuses_is_asked_again(url):
    """While no connection can be made news is uncertain; when one can, it is certain."""
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(open_store(url, migrate=True))
        opening = partial(connect, url, StoreOptions())
        failures = [ConnectionRefusedError(), asyncpg.CannotConnectNowError("starting up")]

        async def flaky() -> object:
            if failures:
                raise failures.pop()
            return await opening()

        news = ChangeNews(counters.TOLD)
        await stack.enter_async_context(PostgresqlListener(flaky, store.database, news).running())
        await stack.enter_async_context(asyncio.timeout(10))
        await until(news.topics[counters.KEYS], certain=True)
    assert not failures


async def test_it_can_be_turned_off(url):
    """Nothing is sent and nobody listens; who waits looks by the clock."""
    quiet = StoreOptions(notifications=False)
    async with (
        open_store(url, migrate=True) as listening,
        listening.listening(),
        open_store(url, options=quiet) as store,
        store.listening(),
        asyncio.timeout(10),
    ):
        await until(listening.key_news, certain=True)
        revocations, keys = heard(listening.revocation_news), heard(listening.key_news)
        await store.revocations.revoke(Revocation("t1", None, NOW, NOW + 60))
        await listening.keys.insert(key_record("k1"), None)
        await keys.wait()
        assert not revocations.is_set()
        assert store.revocation_news.certain is False


async def test_only_plain_words_are_told(stores):
    """What is told stands in a statement, so anything but a plain word is refused."""
    one, _ = stores

    async def work(transaction):
        transaction.notify("it's")

    with pytest.raises(ValueError, match="not a message"):
        await one.database.transaction(work)
