"""One process at a time does the background work of all, and another takes over when it ends or dies."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.store import Store, StoreOptions, open_store
from gateway.store.leases import PURGE, Leases
from tests.support.stores import DATABASES, NOW, SettableClock, empty_database

OPTIONS = StoreOptions(purge_batch_size=1, purge_interval=0.6)


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
async def stores(url: str) -> AsyncIterator[list[Store]]:
    """Three replicas' stores, whose own clocks differ by hours."""
    async with AsyncExitStack() as stack:
        opened = []
        for number in range(3):
            clock = SettableClock()
            clock.now = NOW + 3600 * number
            opening = open_store(url, options=OPTIONS, clock=clock, migrate=True)
            opened.append(await stack.enter_async_context(opening))
        yield opened


def leases(stores: list[Store]) -> list[Leases]:
    """Those that each replica asks for."""
    return [Leases(store.database, f"replica-{number}") for number, store in enumerate(stores)]


async def test_one_of_many_has_it(stores):
    """However many ask at once, one gets it, and may renew it; the clocks of the replicas do not matter."""
    asking = leases(stores)
    taken = await asyncio.gather(*(each.take("work", seconds=60) for each in asking))
    assert sum(taken) == 1
    holder = asking[taken.index(True)]
    assert await holder.take("work", seconds=60)
    assert [await each.take("work", seconds=60) for each in asking if each is not holder] == [False, False]


async def test_works_are_apart(stores):
    """Whoever has one lease keeps nobody from another."""
    one, two, _ = leases(stores)
    assert await one.take("one", seconds=60)
    assert await two.take("two", seconds=60)


async def test_it_is_free_when_released(stores):
    """By its holder; what another releases stays as it is."""
    one, two, _ = leases(stores)
    assert await one.take("work", seconds=60)
    await two.release("work")
    assert not await two.take("work", seconds=60)
    await one.release("work")
    assert await two.take("work", seconds=60)


async def test_it_is_taken_over_from_one_that_died(stores):
    """Once it is over by the database's clock one of the others has it, and who comes back does not."""
    dead, *others = leases(stores)
    assert await dead.take("work", seconds=0.3)
    async with asyncio.timeout(20):
        while True:
            taken = await asyncio.gather(*(each.take("work", seconds=60) for each in others))
            if any(taken):
                break
            await asyncio.sleep(0.02)
    assert sum(taken) == 1
    assert not await dead.take("work", seconds=60)


async def purging(store: Store, purged: list[Store], changed: asyncio.Event) -> None:
    """Have each purge of *store* written down, and nothing deleted."""

    async def once() -> int:
        purged.append(store)
        changed.set()
        return 0

    # Slots: the instance cannot be changed, its class is shared.
    store.purge.once = once  # type: ignore[method-assign]  # A witness in its place.


async def test_one_replica_purges_and_another_takes_over(stores):
    """While all run one purges; when it stops another does, within some intervals."""
    purged: list[Store] = []
    changed = asyncio.Event()
    for store in stores:
        await purging(store, purged, changed)
    running = {id(store): AsyncExitStack() for store in stores}
    async with asyncio.timeout(20):
        for store in stores:
            await running[id(store)].enter_async_context(store.purge.running())
        while len(purged) < 3:
            changed.clear()
            await changed.wait()
        first = purged[0]
        assert all(store is first for store in purged)
        await running[id(first)].aclose()
        purged.clear()
        while not purged:
            changed.clear()
            await changed.wait()
        assert purged[0] is not first
        for stack in running.values():
            await stack.aclose()
    # Whoever ended last gave it up too.
    assert await leases(stores)[0].take(PURGE, seconds=1)


async def test_a_purge_that_lost_its_lease_ends(stores):
    """One that was frozen for long stops after a batch when it sees that another has taken over."""
    frozen, other, _ = stores
    for number in range(5):
        await frozen.replay.use_once("k", str(number), expire_time=NOW - 3600)
    await leases([other])[0].take(PURGE, seconds=600)
    frozen.purge._renew_at = 0.0
    assert await frozen.purge.once() == 1
    assert await other.purge.once() == 4
