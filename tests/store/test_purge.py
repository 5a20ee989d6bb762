"""Expired rows go, a while after they expired and a few at a time; everything else stays."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.enrollment.ports import Crl
from gateway.store import Store, StoreOptions, open_store
from gateway.store.certificates import KEPT_CRL
from gateway.store.condition import overdue_rows
from gateway.tokens.ports import Revocation
from tests.support.stores import DATABASES, NOW, SettableClock, client, empty_database, request_key

OPTIONS = StoreOptions(purge_batch_size=10, purge_grace=300, purge_interval=0.01)


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def clock() -> SettableClock:
    """The clock of the stores."""
    return SettableClock()


@pytest.fixture
async def store(url: str, clock: SettableClock) -> AsyncIterator[Store]:
    """A store that purges ten rows at a time."""
    async with open_store(url, options=OPTIONS, clock=clock, migrate=True) as store:
        yield store


async def fill(store: Store, count: int, expire_time: float) -> None:
    """*count* replays and as many revocations."""
    for number in range(count):
        await store.replay.use_once("k", f"{expire_time}-{number}", expire_time=expire_time)
        await store.revocations.revoke(Revocation(f"{expire_time}-{number}", None, NOW, expire_time))


async def test_what_expired_goes_and_the_rest_stays(store, clock):
    """More than one batch of each table, and no row that has not expired."""
    await fill(store, 25, NOW + 10)
    await fill(store, 3, NOW + 10_000)
    clock.now = NOW + 10 + 301
    assert await store.purge.once() == 50
    assert await store.purge.once() == 0
    assert await store.revocations.is_revoked(f"{NOW + 10_000}-2")
    assert not await store.replay.use_once("k", f"{NOW + 10_000}-2", expire_time=NOW)


async def test_rows_outlive_their_expiry_by_the_grace(store, clock):
    """A replica whose clock is behind still finds them."""
    await fill(store, 1, NOW + 10)
    clock.now = NOW + 10 + 299
    assert await store.purge.once() == 0


async def test_request_ids_go_after_their_lifetime(store, clock):
    """24 hours and the grace after the request."""
    await store.clients.create(client(), request_key("r1"))
    clock.now = NOW + 24 * 3600 + 299
    assert await store.purge.once() == 0
    clock.now += 2
    assert await store.purge.once() == 1
    assert await store.clients.get("backend") == client()


async def test_the_last_revocation_list_of_a_ca_stays(store, clock):
    """Its number is where the next goes on (RFC 5280 §5.2.3); it is not overdue, and those before it go."""
    for issuer, numbers in (("ca-1", range(1, 14)), ("ca-2", range(7, 8))):
        for number in numbers:
            await store.certificates.publish_crl(Crl(issuer, number, NOW, NOW + 60, b"list"))
    clock.now = NOW + 10 * KEPT_CRL
    assert await overdue_rows(store.database, now=clock.now, grace=0) == {"enrollment_crls": 12}
    assert await store.purge.once() == 12
    assert await overdue_rows(store.database, now=clock.now, grace=0) == {}
    latest = [await store.certificates.latest_crl(issuer) for issuer in ("ca-1", "ca-2")]
    assert [crl.number for crl in latest if crl is not None] == [13, 7]


async def test_replicas_purge_at_the_same_time(url, store, clock):
    """Each row goes once, and none stays."""
    await fill(store, 40, NOW + 10)
    clock.now = NOW + 1000
    async with AsyncExitStack() as stack:
        stores = [
            await stack.enter_async_context(open_store(url, options=OPTIONS, clock=clock)) for _ in range(3)
        ]
        counts = await asyncio.gather(*(each.purge.once() for each in stores))
        assert sum(counts) + await store.purge.once() == 80


async def test_the_running_purge_survives_failures_and_stops(store, clock, caplog, monkeypatch):
    """A failure is logged and tried again later; the end of the block ends the task."""
    await fill(store, 1, NOW + 10)
    clock.now = NOW + 1000
    gone = asyncio.Event()
    calls = 0
    once = store.purge.once

    async def failing_first(_purge):
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("the first time")
        assert await once() == 2
        gone.set()
        return 2

    monkeypatch.setattr("gateway.store.purge.Purge.once", failing_first)
    with caplog.at_level(logging.ERROR, "gateway.store.purge"):
        async with store.purge.running():
            async with asyncio.timeout(5):
                await gone.wait()
    assert "Purging expired rows failed" in caplog.text
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "store-purge"]
