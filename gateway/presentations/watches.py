"""Tells whoever watches presentation requests that one may have changed: one look at the database for all."""

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, Self

from gateway.clock import Clock, system_clock
from gateway.errors import GatewayError
from gateway.presentations.ports import MAX_REVISIONS, PresentationRequestRepository
from gateway.presentations.request import RequestRecord

logger = logging.getLogger(__name__)

POLL_INTERVAL: Final = 0.25
"""Seconds between looks at what is watched: another process may be the one that it changes in."""


class Watch:
    """One watcher of one request. `RequestWatches.watching` makes it."""

    def __init__(self) -> None:
        self.seen: RequestRecord | None = None
        """What the watcher has read last; None while it reads."""
        self._news = asyncio.Event()

    def before_reading(self) -> None:
        """The watcher reads the request: what is told from here on may come too late for that."""
        self.seen = None
        self._news.clear()

    def tell(self) -> None:
        """There may be more than the watcher has seen. Cheap, and never wrong."""
        self._news.set()

    async def news(self, seen: RequestRecord) -> None:
        """Wait until the request may be another than *seen*."""
        self.seen = seen
        await self._news.wait()


class RequestWatches:
    """The watchers of this process; an async context manager.

    A change that this process makes is told to its watchers at once. For what others change, and for what
    time changes, one task looks every *interval* seconds while anybody watches: one statement for each
    `MAX_REVISIONS` requests, however many watch them. While the database is away watchers wait on.
    """

    def __init__(
        self,
        repository: PresentationRequestRepository,
        *,
        interval: float = POLL_INTERVAL,
        clock: Clock = system_clock,
    ) -> None:
        self._repository = repository
        self._interval = interval
        self._clock = clock
        self._watches: dict[str, set[Watch]] = {}
        self._wanted = asyncio.Event()
        self._away = False
        self._task: asyncio.Task[None] | None = None
        repository.listen(self._changed)

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="presentation-watches")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @contextmanager
    def watching(self, request_id: str) -> Iterator[Watch]:
        """A watcher of *request_id*, until the context is left."""
        watch = Watch()
        self._watches.setdefault(request_id, set()).add(watch)
        self._wanted.set()
        try:
            yield watch
        finally:
            others = self._watches[request_id]
            others.discard(watch)
            if not others:
                del self._watches[request_id]
            if not self._watches:
                self._wanted.clear()

    def _changed(self, request_id: str) -> None:
        for watch in self._watches.get(request_id, ()):
            watch.tell()

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            await asyncio.sleep(self._interval)
            try:
                await self._look()
            except Exception:
                # A fault of our own must not leave everybody waiting for ever.
                logger.exception("Watched presentation requests could not be looked at")

    async def _look(self) -> None:
        """Tell those whose request is no longer as they have seen it."""
        watched = [
            (request_id, watch)
            for request_id, watches in self._watches.items()
            for watch in watches
            if watch.seen is not None
        ]
        revisions = await self._revisions(sorted({request_id for request_id, _ in watched}))
        now = self._clock()
        for request_id, watch in watched:
            seen = watch.seen
            if seen is None:
                continue  # It reads for itself.
            changed = revisions is not None and revisions.get(request_id) != seen.revision
            if changed or seen.status(now).final:
                watch.tell()

    async def _revisions(self, request_ids: Sequence[str]) -> Mapping[str, int] | None:
        """The revisions of those requests that are there; None while the database cannot say."""
        found: dict[str, int] = {}
        try:
            for start in range(0, len(request_ids), MAX_REVISIONS):
                found |= await self._repository.revisions(request_ids[start : start + MAX_REVISIONS])
        except GatewayError as error:
            if not self._away:
                logger.warning("Watched presentation requests cannot be read", extra={"cause": error.cause})
            self._away = True
            return None
        self._away = False
        return found
