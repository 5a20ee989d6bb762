"""Behind a PgBouncer that gives each transaction another server connection; `statement_cache` is off."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import asyncpg
import pytest

from gateway.introspection.feed import RevocationFeed
from gateway.store import Store, StoreOptions, check_revision, open_store, upgrade
from gateway.store import counters as store_counters
from gateway.store.change_news import ChangeNews
from gateway.store.postgresql_driver import connect
from gateway.store.postgresql_listener import PostgresqlListener
from gateway.store.tables import counters, metadata
from gateway.tokens.ports import Revocation
from tests.contract.test_enrollment_store_contract import TestCertificates as CertificatesContract
from tests.contract.test_grant_store_contract import TestCodes as CodesContract
from tests.contract.test_grant_store_contract import TestRefreshTokens as RefreshTokensContract
from tests.contract.test_store_contract import Replicas
from tests.contract.test_store_contract import TestKeys as KeysContract
from tests.contract.test_store_contract import TestReplay as ReplayContract
from tests.contract.test_store_contract import TestRevocations as RevocationsContract
from tests.support.pgbouncer import Pooler, running_pooler
from tests.support.postgres import PostgresServer
from tests.support.stores import NOW, SettableClock, shared_postgres

POOLED = StoreOptions(prepared_statements=False)


@pytest.fixture(scope="module")
def server() -> PostgresServer:
    """The server behind the pooler."""
    return shared_postgres()


@pytest.fixture(scope="module")
def pooler(server: PostgresServer) -> Iterator[Pooler]:
    """A pooler for the module."""
    with running_pooler(server) as running:
        yield running


@pytest.fixture(scope="module")
def migrated(server: PostgresServer, pooler: Pooler) -> Iterator[str]:
    """The URL, without the pooler, of a database that was migrated through it."""
    with server.new_database() as url:
        asyncio.run(upgrade(pooler.through(url), options=POOLED))
        asyncio.run(check_revision(url))
        yield url


@pytest.fixture
def direct(migrated: str) -> Iterator[str]:
    """The same, emptied afterwards: that costs less than a database for each test."""
    yield migrated
    asyncio.run(_empty(migrated))


async def _empty(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for table in metadata.sorted_tables:
            if not table.name.startswith("audit_") and table is not counters:
                await connection.execute(f'DELETE FROM "{table.name}"')  # noqa: S608 - a name of ours
        await connection.execute("UPDATE counters SET value = 0")
    finally:
        await connection.close()


@pytest.fixture
def url(pooler: Pooler, direct: str) -> str:
    """Its URL through the pooler."""
    return pooler.through(direct)


@pytest.fixture
async def replicas(url: str) -> AsyncIterator[Replicas]:
    """Two replicas behind the pooler."""
    clock = SettableClock()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_store(url, options=POOLED, clock=clock))
        two = await stack.enter_async_context(open_store(url, options=POOLED, clock=clock))
        yield Replicas(one, two, clock)


@pytest.fixture
def stores(replicas: Replicas) -> tuple[Store, Store]:
    """The same, as the contract of grants wants them."""
    return replicas.one, replicas.two


class TestRevocations(RevocationsContract):
    """`RevocationRepository`: sequences by row locks."""


class TestReplay(ReplayContract):
    """`ReplayRepository`: ON CONFLICT."""

    test_processes_share_the_decision = None  # type: ignore[assignment]  # Its process opens its own store.


class TestKeys(KeysContract):
    """`KeyRepository`: units of work that read, decide and write."""


class TestCodes(CodesContract):
    """`CodeRepository`."""


class TestRefreshTokens(RefreshTokensContract):
    """`RefreshTokenRepository`."""


class TestCertificates(CertificatesContract):
    """`CertificateRepository`: leases and row locks."""


async def test_transactions_move_between_server_connections(replicas):
    """The pooler does what poolers are feared for: two transactions run on two server connections."""
    database = replicas.one.database

    async def backend(transaction):
        return await transaction._connection.fetchval("SELECT pg_backend_pid()")

    barrier = asyncio.Barrier(2)

    async def held(transaction):
        pid = await backend(transaction)
        await barrier.wait()
        return pid

    first, second = await asyncio.gather(database.transaction(held), database.transaction(held))
    assert first != second


async def test_settings_stay_in_their_transaction(replicas):
    """What a transaction sets for itself is not there for the next client of the same server connection."""
    database = replicas.one.database

    async def setting(transaction):
        return await transaction._connection.fetchval("SHOW lock_timeout")

    assert await database.transaction(setting) == "2s"
    connection = await database._pool.acquire()
    try:
        assert await connection.fetchval("SHOW lock_timeout") == "0"
    finally:
        database._pool.release(connection)


async def test_deaf_ears_are_found_out(url):
    """LISTEN through the pooler succeeds and no probe arrives: the news is never certain, and it tries on."""
    attempts = asyncio.Queue[None]()

    async def opening() -> object:
        attempts.put_nowait(None)
        return await connect(url, POOLED)

    news = ChangeNews(store_counters.TOLD)
    async with open_store(url, options=POOLED) as pooled:
        listener = PostgresqlListener(opening, pooled.database, news, answer_timeout=0.2)
        async with listener.running(), asyncio.timeout(30):
            for _ in range(3):
                await attempts.get()
            assert not any(topic.certain for topic in news.topics.values())


async def test_a_feed_behind_a_pooler_looks_often(url, direct):
    """It sees what others revoke, without being told."""
    async with (
        open_store(url, options=POOLED) as pooled,
        pooled.listening(),
        open_store(direct) as other,
        asyncio.timeout(30),
        RevocationFeed(pooled.revocation_feed, news=pooled.revocation_news) as feed,
    ):
        batches = feed.watch("")
        await anext(batches)
        await other.revocations.revoke(Revocation("t1", None, NOW, NOW + 60))
        batch = await anext(batches)
        await batches.aclose()
        assert [item.token_id for item in batch.items] == ["t1"]


async def test_what_is_committed_through_a_pooler_is_told(url, direct):
    """NOTIFY is part of the transaction: who listens without the pooler hears it."""
    async with (
        open_store(url, options=POOLED) as pooled,
        open_store(direct) as listening,
        listening.listening(),
        asyncio.timeout(30),
    ):
        told = asyncio.Event()
        listening.revocation_news.listen(told.set)
        await told.wait()  # It has become certain.
        told.clear()
        await pooled.revocations.revoke(Revocation("t1", None, NOW, NOW + 60))
        await told.wait()
