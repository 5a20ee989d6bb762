"""Following the gateway's revocations, so that tokens verified offline end when they are revoked."""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Final, Protocol, Self, cast

from countersign.errors import CountersignError, InvalidRequestError
from countersign.resource_server._revoked import RevokedSet
from countersign.resource_server.errors import Fault, InvalidTokenError, VerificationUnavailableError
from countersign.resource_server.token import VerifiedToken
from countersign.tokens import RevocationBatch

logger = logging.getLogger(__name__)

FULL_BATCH: Final = 500
"""Revocations of a batch behind which there may be more at once; a smaller one is all there was."""
MARGIN: Final = timedelta(minutes=10)
"""How long a revocation is kept beyond its end, for clocks that differ."""


class RevocationSource(Protocol):
    """Where revocations come from: `GatewayClient`, as a caller with the role resource-server."""

    def watch_revocations(self, cursor: str = "") -> AsyncIterator[RevocationBatch]:
        """Batches after *cursor*, one without revocations every few seconds where there is no news."""
        ...


class RevocationFollower:
    """Knows what was revoked; use it as ``async with RevocationFollower(client) as revocations``.

    A task follows the stream until the block ends, and comes back at the last cursor wherever it breaks off.
    While the last complete answer is older than *max_staleness*, as it is before the first one, all tokens
    are refused with `VerificationUnavailableError`: what was revoked meanwhile is not known.

    - *max_staleness*: the gateway repeats every 15 seconds that there is no news. A stream that is silent for
      half of *max_staleness* is opened anew, which brings an answer at once.
    - *max_entries*: how many revocations are kept. Where there are more, all tokens are refused until the
      stream has been read again from its beginning without that.
    - *max_backoff*: the longest pause before the stream is opened again, in seconds.
    - *clock*: seconds since the epoch; *monotonic*: seconds from anywhere, never backward.
    """

    def __init__(
        self,
        source: RevocationSource,
        *,
        max_staleness: timedelta = timedelta(seconds=60),
        max_entries: int = 1_000_000,
        max_backoff: float = 5.0,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if max_staleness <= timedelta(0) or max_entries < 1 or max_backoff <= 0:
            raise ValueError("max_staleness, max_entries and max_backoff must be above 0.")
        self._source = source
        self._max_staleness = max_staleness.total_seconds()
        self._max_entries = max_entries
        self._max_backoff = max_backoff
        self._clock = clock
        self._monotonic = monotonic
        self._revoked = self._empty()
        self._cursor = ""
        self._current_at: float | None = None
        self._heard = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Begin to follow; `caught_up` waits for the first complete answer."""
        self._task = asyncio.create_task(self._follow(), name="revocation-follower")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop following. From now on the follower grows stale."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    @property
    def staleness(self) -> timedelta | None:
        """How old the last complete answer is; None before the first one."""
        return None if self._current_at is None else timedelta(seconds=self._monotonic() - self._current_at)

    def __len__(self) -> int:
        """How many revocations are kept."""
        return len(self._revoked)

    async def caught_up(self) -> None:
        """Wait until everything that was revoked so far is known; put a deadline around it."""
        await self._heard.wait()

    def require_not_revoked(self, token: VerifiedToken) -> None:
        """*token* is not revoked, as far as a fresh answer says.

        Raises `InvalidTokenError` with `REVOKED`; `VerificationUnavailableError` with `REVOCATIONS_STALE` or
        `TABLE_FULL`.
        """
        if token in self._revoked:
            raise InvalidTokenError(Fault.REVOKED, "The token was revoked.")
        if self._revoked.overflown:
            raise VerificationUnavailableError(Fault.TABLE_FULL, "There are too many revocations.")
        if self._current_at is None or self._monotonic() - self._current_at > self._max_staleness:
            raise VerificationUnavailableError(
                Fault.REVOCATIONS_STALE, "What was revoked of late is not known."
            )

    async def _follow(self) -> None:
        failures = 0
        while True:
            before = self._cursor, self._current_at
            try:
                await self._read()
            except (CountersignError, TimeoutError) as error:
                logger.warning("The stream of revocations broke off: %r", error)
                if isinstance(error, InvalidRequestError):
                    # A cursor of another database, as after a restore: what is known stays true.
                    self._cursor = ""
            except Exception:
                logger.exception("Revocations are no longer followed")
                raise  # To whoever ends the block; until then everything grows stale, and is refused.
            failures = failures + 1 if before == (self._cursor, self._current_at) else 1
            ceiling = min(self._max_backoff, 0.1 * 2 ** min(failures, 10))
            await asyncio.sleep(random.uniform(0, ceiling))  # noqa: S311 - no secret, a pause.

    async def _read(self) -> None:
        """Take in one stream until it ends, fails, or says nothing for so long that it must be dead."""
        # A generator, so that it can be closed now and not when it happens to be collected.
        batches = cast("AsyncGenerator[RevocationBatch, None]", self._source.watch_revocations(self._cursor))
        try:
            while True:
                async with asyncio.timeout(self._max_staleness / 2):
                    batch = await anext(batches, None)
                if batch is None:
                    return
                self._take(batch)
                if self._revoked.overflown:
                    logger.error("More than %d revocations: all tokens are refused", self._max_entries)
                    await self._begin_anew()
                    return
        finally:
            await batches.aclose()

    def _take(self, batch: RevocationBatch) -> None:
        self._revoked.add(batch.revocations, now=self._clock())
        self._cursor = batch.cursor
        if len(batch.revocations) < FULL_BATCH and not self._revoked.overflown:
            self._current_at = self._monotonic()
            self._heard.set()

    async def _begin_anew(self) -> None:
        """Read everything again later, when some of it has expired; refuse all tokens until it all fits."""
        await asyncio.sleep(self._max_backoff)
        self._cursor, self._current_at = "", None
        self._revoked = self._empty()

    def _empty(self) -> RevokedSet:
        return RevokedSet(max_entries=self._max_entries, margin=MARGIN.total_seconds())
