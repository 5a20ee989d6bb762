"""The feed looks by itself as often as it has to: seldom while every revocation is told, often while not."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import pytest

from gateway.introspection import feed as feed_module
from gateway.introspection.feed import RevocationFeed, RevokedItem

ITEM = RevokedItem(1, "t1", None, 0.0, 60.0)


class Told:
    """News that a test makes."""

    def __init__(self, *, certain: bool) -> None:
        self.certain = certain
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        self._listeners.append(listener)

    def tell(self, *, certain: bool | None = None) -> None:
        """Something was committed, or certainty changed."""
        self.certain = self.certain if certain is None else certain
        for listener in self._listeners:
            listener()


class Revocations:
    """A repository whose one revocation a test makes; `looked` is set by each look."""

    def __init__(self) -> None:
        self.items: list[RevokedItem] = []
        self.looked = asyncio.Event()

    def listen(self, listener: Callable[[], None]) -> None:
        """Nothing is revoked by this process."""

    async def last_number(self) -> int:
        self.looked.set()
        return len(self.items)

    async def after(self, number: int, *, limit: int) -> list[RevokedItem]:
        return self.items[number:][:limit]


@pytest.fixture(autouse=True)
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """While news is certain no look comes by the clock in the time of a test."""
    monkeypatch.setattr(feed_module, "TOLD_INTERVAL", 3600.0)


async def test_what_is_told_is_looked_for_at_once():
    """Certain news ends the long pause."""
    repository, news = Revocations(), Told(certain=True)
    async with (
        asyncio.timeout(10),
        RevocationFeed(repository, interval=0.01, news=news) as feed,
        aclosing(feed.watch("")) as batches,
    ):
        await anext(batches)
        await settled(repository)
        repository.items.append(ITEM)
        news.tell()
        assert (await anext(batches)).items == (ITEM,)


async def test_while_news_is_certain_nobody_looks_by_the_clock():
    """What nobody tells of is not found within the short interval."""
    repository, news = Revocations(), Told(certain=True)
    async with (
        asyncio.timeout(10),
        RevocationFeed(repository, interval=0.01, news=news) as feed,
        aclosing(feed.watch("")) as batches,
    ):
        await anext(batches)
        await settled(repository)
        repository.looked.clear()
        assert not await looks_within(repository, 0.1)


async def test_news_that_becomes_uncertain_is_looked_for_again():
    """From the moment at which listening fails, what nobody tells of is found by looking."""
    repository, news = Revocations(), Told(certain=True)
    async with (
        asyncio.timeout(10),
        RevocationFeed(repository, interval=0.01, news=news) as feed,
        aclosing(feed.watch("")) as batches,
    ):
        await anext(batches)
        await settled(repository)
        news.tell(certain=False)
        repository.items.append(ITEM)
        assert (await anext(batches)).items == (ITEM,)


async def settled(repository: Revocations) -> None:
    """The feed's first looks are over: it waits for news, or for its interval."""
    quiet = False
    while not quiet:
        repository.looked.clear()
        quiet = not await looks_within(repository, 0.05)


async def looks_within(repository: Revocations, seconds: float) -> bool:
    """Whether the feed looks within that time."""
    try:
        async with asyncio.timeout(seconds):
            await repository.looked.wait()
    except TimeoutError:
        return False
    return True
