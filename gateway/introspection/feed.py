"""Revocations as they happen, for resource servers that verify tokens offline.

A watcher holds a cursor, the number of the last revocation that it has seen. Numbers are in the order of
commits (`gateway.store.counters`), so that whoever resumes at a cursor, on any replica and after any restart,
misses nothing. What is kept until the tokens have expired is all that a new watcher needs.
"""

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

from gateway.errors import GatewayError, Reason, RequestError
from gateway.news import News, NoNews

logger = logging.getLogger(__name__)

TOLD_INTERVAL: Final = 1.0
"""Seconds between looks while the database tells every revocation as it is committed. It bounds how late one
is seen when that has just ended."""
PAGE: Final = 500
"""Revocations of one batch."""
_PAUSE: Final = 0.005
"""Seconds between two looks, however much news there is."""
_CURSOR: Final = re.compile(r"r1\.(0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class RevokedItem:
    """A token, or everything of a grant: exactly one of `token_id` and `grant_id` is set.

    `number` is its place in the sequence. Times are seconds since the epoch; after `expire_time` nothing that
    it concerns can be valid, and it can be forgotten.
    """

    number: int
    token_id: str | None
    grant_id: str | None
    revoke_time: float
    expire_time: float


@dataclass(frozen=True, slots=True)
class FeedBatch:
    """Revocations in order, none for a heartbeat, and the cursor after them."""

    items: tuple[RevokedItem, ...]
    cursor: str


class RevocationFeedRepository(Protocol):
    """What the feed reads. Raises `AvailabilityError`."""

    def listen(self, listener: Callable[[], None]) -> None:
        """Call *listener* after each revocation that this process commits; other processes' are not told."""
        ...

    async def last_number(self) -> int:
        """The number of the last revocation that was committed; 0 where there was none."""
        ...

    async def after(self, number: int, *, limit: int) -> Sequence[RevokedItem]:
        """Up to *limit* revocations whose numbers follow *number*, in order."""
        ...


class RevocationFeed:
    """Tells watchers of this process when there is something new; an async context manager.

    One task looks at the sequence's number for all watchers, while there are any: when somebody says that
    there is news (`wake`, *news*), and every *interval* seconds, or `TOLD_INTERVAL` while news is certain.
    A watcher reads its batches itself, as fast as its client takes them: nothing is queued.
    """

    def __init__(
        self,
        repository: RevocationFeedRepository,
        *,
        interval: float = 0.1,
        heartbeat: float = 15.0,
        news: News | None = None,
    ) -> None:
        """*heartbeat*: after how many seconds without news a batch without items is sent.

        *news*: what other processes revoke, where that is told.
        """
        self._repository = repository
        self._news_of_others = news or NoNews()
        self._interval = interval
        self._heartbeat = heartbeat
        self._watchers = 0
        self._last = 0
        self._changed = asyncio.Condition()
        self._wanted = asyncio.Event()
        self._news_told = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        repository.listen(self.wake)
        self._news_of_others.listen(self.wake)

    def listen(self, listener: Callable[[], None]) -> None:
        """Call *listener* after each revocation that this process commits."""
        self._repository.listen(listener)

    def wake(self) -> None:
        """Something was revoked, here or by a neighbor: look at once. Cheap, and never wrong."""
        self._news_told.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._look(), name="revocation-feed")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def watch(self, cursor: str) -> AsyncGenerator[FeedBatch, None]:
        """Every revocation after *cursor*, or every one that is kept where it is empty, then each new one.

        The first batch is sent at once, even without items, so that a watcher knows that it is connected.
        Endless. Raises `RequestError` INVALID_FIELD for a cursor that was not given out here,
        `AvailabilityError`.
        """
        number = _number(cursor)
        last = await self._repository.last_number()
        if number > last:
            raise _unknown_cursor()
        self._watchers += 1
        self._wanted.set()
        try:
            first = True
            while True:
                items = tuple(await self._repository.after(number, limit=PAGE))
                if items:
                    number = items[-1].number
                if len(items) < PAGE:
                    # Read before the items were: all up to it have been seen, or are purged.
                    number = max(number, last)
                if items or first:
                    yield FeedBatch(items, _cursor(number))
                    first = False
                    if len(items) == PAGE:
                        continue
                if not await self._news(number):
                    yield FeedBatch((), _cursor(number))
                last = await self._repository.last_number()
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._wanted.clear()

    async def _news(self, number: int) -> bool:
        """Wait until something follows *number*; False after a heartbeat without news."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._heartbeat), self._changed:
                await self._changed.wait_for(lambda: self._last > number)
                return True
        return False

    async def _look(self) -> None:
        while True:
            await self._wanted.wait()
            # Before the look: what is told from here on may come too late for it.
            self._news_told.clear()
            try:
                last = await self._repository.last_number()
            except GatewayError as error:
                # Watchers wait on, and their next read fails where the database stays away.
                logger.warning("The revocation feed cannot look", extra={"cause": error.cause})
                last = self._last
            if last > self._last:
                async with self._changed:
                    self._last = last
                    self._changed.notify_all()
            # Many revocations in a short time share a look, and a batch of every watcher.
            await asyncio.sleep(min(_PAUSE, self._interval))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._news_told.wait()

    def _pause(self) -> float:
        """Seconds until the next look where nothing is told."""
        return max(self._interval, TOLD_INTERVAL) if self._news_of_others.certain else self._interval


def _cursor(number: int) -> str:
    return f"r1.{number}"


def _number(cursor: str) -> int:
    if not cursor:
        return 0
    match = _CURSOR.fullmatch(cursor)
    if match is None:
        raise _unknown_cursor()
    return int(match[1])


def _unknown_cursor() -> RequestError:
    return RequestError(
        Reason.INVALID_FIELD,
        "The cursor is not one of this gateway's; leave it empty to begin anew.",
        field="cursor",
    )
