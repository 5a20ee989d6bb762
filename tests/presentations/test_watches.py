"""Watching presentation requests: many watchers cost one look, whoever changes what they watch."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import AvailabilityError, Reason, StateError
from gateway.presentations.ports import MAX_REVISIONS
from gateway.presentations.request import PresentationRequest, RequestRecord, RequestStatus, ResponseMode
from gateway.presentations.requests import PresentationRequests, RequestSettings
from gateway.presentations.verifier import Verifiers
from gateway.presentations.watches import RequestWatches
from gateway.store import Store, StoreOptions, open_store
from gateway.store.leases import Leases
from gateway.store.purge import Purge
from tests.support.stores import DATABASES, NOW, SettableClock, empty_database

OWNER = "spiffe://example.org/portal"
NEVER = 3600.0
SOON = 0.01


class Counted:
    """A repository that counts its reads, and is away while `away` is set."""

    def __init__(self, store: Store) -> None:
        self._inner = store.presentation_requests
        self.looks: list[int] = []
        self.finds = 0
        self.looked = asyncio.Event()
        self.found = asyncio.Event()
        self.away = False

    def listen(self, listener: Callable[[str], None]) -> None:
        """As it is."""
        self._inner.listen(listener)

    async def find(self, request_id: str) -> RequestRecord | None:
        """As it is, counted."""
        self.finds += 1
        self.found.set()
        return await self._inner.find(request_id)

    async def revisions(self, request_ids: Sequence[str]) -> Mapping[str, int]:
        """As it is, counted, where the database is there."""
        self.looks.append(len(request_ids))
        self.looked.set()
        if self.away:
            raise AvailabilityError(Reason.STORE_UNAVAILABLE, "away", cause="test")
        return await self._inner.revisions(request_ids)

    async def more_looks(self, count: int) -> None:
        """Wait until there were *count* more."""
        end = len(self.looks) + count
        while len(self.looks) < end:
            self.looked.clear()
            await self.looked.wait()


class Watching:
    """One replica: its repository, its watches, and the watchers that a test started."""

    def __init__(self, store: Store, clock: SettableClock, interval: float) -> None:
        self.store = store
        self.repository = Counted(store)
        self.watches = RequestWatches(self.repository, interval=interval, clock=clock)
        settings = RequestSettings("https://id.example/r", "https://id.example/answers", 300, 4000)
        unused: Any = None
        self.requests = PresentationRequests(
            Verifiers({}), unused, self.repository, self.watches, settings, clock=clock
        )

    async def statuses(self, request_id: str, started: asyncio.Event | None = None) -> list[str]:
        """Every stored state that a watcher sees."""
        seen = []
        async for record in self.requests.watch(request_id, owner=OWNER):
            seen.append(record.stored.value)
            if started is not None:
                started.set()
        return seen


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def clock() -> SettableClock:
    """The clock of both replicas."""
    return SettableClock()


@pytest.fixture
async def replica(url: str, clock: SettableClock) -> AsyncIterator[Callable[[float], Any]]:
    """Opens a replica that looks at the given interval; all are closed at the end."""
    async with AsyncExitStack() as stack:

        async def opened(interval: float) -> Watching:
            store = await stack.enter_async_context(open_store(url, clock=clock, migrate=True))
            watching = Watching(store, clock, interval)
            await stack.enter_async_context(watching.watches)
            return watching

        yield opened


async def made(store: Store, number: int = 0) -> str:
    """A new request; its id."""
    request_id = f"{number:043d}"
    request = PresentationRequest(
        request_id=request_id,
        owner=OWNER,
        verifier="v",
        client_id="did:web:v.example",
        nonce=f"nonce-{number}",
        state=f"state-{number}",
        definition="{}",
        response_mode=ResponseMode.POST,
        create_time=NOW,
        expire_time=NOW + 300,
        request_uri=f"https://id.example/r/{request_id}",
        request_object="r.e.q",
    )
    assert await store.presentation_requests.insert(request, keep_until=NOW + 4000)
    return request_id


async def decline(store: Store, number: int = 0) -> None:
    """Answer the request, with an error of the wallet."""
    repository = store.presentation_requests
    assert await repository.claim(f"state-{number}", owner=None, now=NOW)
    assert await repository.settle(f"{number:043d}", result=None, wallet_error="no", now=NOW)


async def started(watching: Watching, request_ids: Sequence[str]) -> list["asyncio.Task[list[str]]"]:
    """Watchers that have seen the first state."""
    events = [asyncio.Event() for _ in request_ids]
    tasks = [
        asyncio.create_task(watching.statuses(request_id, event))
        for request_id, event in zip(request_ids, events, strict=True)
    ]
    for event in events:
        await event.wait()
    return tasks


async def test_a_thousand_watchers_cost_one_look(replica):
    """Half of them watch one request, the others one each; only who has news reads for himself."""
    one, two = await replica(SOON), await replica(NEVER)
    ids = [await made(one.store, number) for number in range(3)]
    shared, others = [ids[0]] * 500, [ids[1]] * 499
    watchers = await started(one, [*shared, *others, ids[2]])
    one.repository.finds = 0
    await one.repository.more_looks(3)
    assert set(one.repository.looks[1:]) == {3}
    assert one.repository.finds == 0
    await two.store.presentation_requests.fetch(ids[2], now=NOW)
    await decline(two.store, 2)
    assert (await watchers.pop())[-1] == "refused"
    assert 1 <= one.repository.finds <= 3
    for watcher in watchers:
        watcher.cancel()
    await asyncio.gather(*watchers, return_exceptions=True)


async def test_more_requests_than_one_statement_takes(replica):
    """They are looked at in parts, none of them larger than a statement may be."""
    one, two = await replica(SOON), await replica(NEVER)
    request_id = await made(one.store)
    seen = await one.repository.find(request_id)
    with ExitStack() as stack:
        for number in range(1, MAX_REVISIONS + 1):
            stack.enter_context(one.watches.watching(f"{number:043d}")).seen = seen
        (watcher,) = await started(one, [request_id])
        one.repository.looks.clear()
        await one.repository.more_looks(4)
        assert set(one.repository.looks) == {MAX_REVISIONS, 1}
        await decline(two.store)
        assert (await watcher)[-1] == "refused"
    with pytest.raises(ValueError, match="more than 1000"):
        await one.store.presentation_requests.revisions(["x"] * (MAX_REVISIONS + 1))
    assert await one.store.presentation_requests.revisions([]) == {}


async def test_a_change_of_this_process_needs_no_look(replica):
    """Each step is told at once to who watches that request, and to nobody else."""
    one = await replica(NEVER)
    ids = [await made(one.store, number) for number in range(2)]
    watcher, other = await started(one, ids)
    one.repository.found.clear()
    await one.store.presentation_requests.fetch(ids[0], now=NOW)
    await one.repository.found.wait()
    await decline(one.store)
    assert (await watcher)[-1] == "refused"
    assert one.repository.looks == []
    assert not other.done()
    other.cancel()
    await asyncio.gather(other, return_exceptions=True)


async def test_time_alone_ends_a_watch(replica, clock):
    """A request that nobody answers expires under its watcher."""
    one = await replica(SOON)
    request_id = await made(one.store)
    (watcher,) = await started(one, [request_id])
    clock.now = NOW + 300
    assert await watcher == ["created", "created"]
    assert (await one.requests.get(request_id, owner=OWNER)).status(clock.now) is RequestStatus.EXPIRED


async def test_a_request_that_is_gone_ends_a_watch(replica):
    """What was purged is not found."""
    one = await replica(SOON)
    (watcher,) = await started(one, [await made(one.store)])
    leases = Leases(one.store.database, "a replica")
    await Purge(one.store.database, lambda: NOW + 10_000, StoreOptions(), leases).once()
    with pytest.raises(StateError) as caught:
        await watcher
    assert caught.value.reason is Reason.PRESENTATION_REQUEST_NOT_FOUND


async def test_watchers_outlast_the_database(replica, caplog):
    """While it is away they wait, one line in the log says so, and afterwards nothing is missed."""
    one, two = await replica(SOON), await replica(NEVER)
    (watcher,) = await started(one, [await made(one.store)])
    with caplog.at_level(logging.WARNING, logger="gateway.presentations.watches"):
        one.repository.away = True
        await one.repository.more_looks(3)
        await decline(two.store)
        await one.repository.more_looks(2)
        assert not watcher.done()
        one.repository.away = False
        assert (await watcher)[-1] == "refused"
    assert [record.getMessage() for record in caplog.records] == [
        "Watched presentation requests cannot be read"
    ]


async def test_a_fault_does_not_end_the_looking(replica, monkeypatch, caplog):
    """What nobody expected is logged, and the next look is made."""
    one, two = await replica(SOON), await replica(NEVER)
    (watcher,) = await started(one, [await made(one.store)])
    inner, faults = one.repository.revisions, iter([ZeroDivisionError()])

    async def revisions(request_ids: Sequence[str]) -> Mapping[str, int]:
        for fault in faults:
            raise fault
        return await inner(request_ids)

    monkeypatch.setattr(one.repository, "revisions", revisions)
    await decline(two.store)
    assert (await watcher)[-1] == "refused"
    assert "ZeroDivisionError" in caplog.text


async def test_nobody_watches_nobody_looks(replica):
    """When the last watcher has left, the database is left alone, and nothing of them is kept."""
    one = await replica(SOON)
    request_id = await made(one.store)
    watchers = await started(one, [request_id, request_id])
    await one.repository.more_looks(1)
    await decline(one.store)
    await asyncio.gather(*watchers)
    one.repository.looks.clear()
    await asyncio.sleep(10 * SOON)
    assert len(one.repository.looks) <= 1  # One may have begun before the last of them left.
    assert vars(one.watches)["_watches"] == {}
