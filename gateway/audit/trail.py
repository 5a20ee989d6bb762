"""Records on their way into the chain: those of a moment share one segment, and so one commit.

While a commit is under way, what comes meanwhile is collected for the next one; so a lone record waits for
nothing but its own commit, and under load a commit carries many. Whoever recorded waits until that commit is
durable, and is refused where it cannot be made: nothing takes effect that is not on record.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from types import TracebackType
from typing import Final, Self

from gateway.audit.actor import current_actor
from gateway.audit.chain import Draft, Head
from gateway.audit.events import Event
from gateway.audit.ports import AuditRepository, Effect
from gateway.audit.records import Outcome, Record
from gateway.clock import Clock
from gateway.errors import AvailabilityError, GatewayError, Reason
from signers.durations import Histogram

logger = logging.getLogger(__name__)

_RETRY_AFTER: Final = timedelta(seconds=1)


class ChainTrail:
    """`gateway.audit.ports.AuditTrail` of one worker. Belongs to one event loop; an async context manager.

    `head`: the chain's end after the last segment of this worker, None before the first. `recorded` counts
    durable records by event, `refused` those that were not made; `commits` has how long each commit took,
    failed ones included.
    """

    def __init__(
        self,
        repository: AuditRepository,
        *,
        writer: str,
        queue: int,
        segment_records: int,
        timeout: float,
        clock: Clock,
    ) -> None:
        """*writer* names this worker in its segments.

        *queue*: records that may wait; one more is refused. *segment_records*: the most in one segment.
        *timeout*: seconds that a commit may take; a record waits for at most the one under way and its own.
        """
        self._repository = repository
        self._writer = writer
        self._limit = queue
        self._segment_records = segment_records
        self._timeout = timeout
        self._clock = clock
        self._waiting: deque[_Entry] = deque()
        self._queued = 0  # Records in `_waiting`.
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.head: Head | None = None
        self.recorded: Counter[str] = Counter()
        self.refused = 0
        self.commits = Histogram()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="audit-log")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Commit what waits, each commit within its time, then stop."""
        self._closed = True
        self._wake.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def record(self, *events: Event) -> None:
        """See `AuditTrail.record`."""
        if events:
            await self._enqueue(self._records(events))

    def around(self, event: Event) -> AbstractAsyncContextManager[Effect]:
        """See `AuditTrail.around`."""
        return self._around(event)

    @asynccontextmanager
    async def _around(self, event: Event) -> AsyncIterator[Effect]:
        (record,) = self._records((event,))
        await self._enqueue((record,))
        try:
            yield _Noted(self, record)
        except BaseException as error:
            self._note_failure(record, error)
            raise

    def _records(self, events: Sequence[Event]) -> tuple[Record, ...]:
        now, actor = self._now(), current_actor()
        return tuple([Record(event, now, actor) for event in events])

    def _now(self) -> int:
        """Microseconds since the epoch."""
        return int(self._clock() * 1e6)

    def _note_failure(self, record: Record, error: BaseException) -> None:
        """Record, without waiting, that the effect of *record* did not happen, or may not have."""
        refused = isinstance(error, GatewayError) and not isinstance(error, AvailabilityError)
        outcome = Outcome.FAILED if refused else Outcome.UNKNOWN
        reason = error.reason.value if isinstance(error, GatewayError) else type(error).__name__
        self.note(record, outcome, reason)

    def note(self, record: Record, outcome: Outcome, reason: str) -> None:
        """Record, without waiting, what became of *record*."""
        failed = replace(record, time=self._now(), outcome=outcome, reason=reason)
        try:
            self._enqueue((failed,)).add_done_callback(_log_failure)
        except AvailabilityError:
            logger.exception("The audit log could not be told that an operation failed")

    def _enqueue(self, records: tuple[Record, ...]) -> "asyncio.Future[None]":
        """All of *records* go into one segment; the future is theirs together."""
        if self._closed or self._task is None or self._task.done():
            self.refused += len(records)
            raise _unavailable("audit_log_closed")
        if self._queued + len(records) > self._limit:
            self.refused += len(records)
            raise _unavailable("audit_queue_full")
        entry = _Entry(records, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        self._queued += len(records)
        self._wake.set()
        return entry.added

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                # One more turn of the loop: whoever the last commit woke may have more to record.
                await asyncio.sleep(0)
                await self._commit(self._take())
            if self._closed:
                return

    def _take(self) -> "list[_Entry]":
        """What waits, as far as it fits into a segment; one entry always does."""
        batch = [self._waiting.popleft()]
        size = len(batch[0].records)
        while self._waiting and size + len(self._waiting[0].records) <= self._segment_records:
            batch.append(self._waiting.popleft())
            size += len(batch[-1].records)
        self._queued -= size
        return batch

    async def _commit(self, batch: "list[_Entry]") -> None:
        records = [record for entry in batch for record in entry.records]
        started = time.perf_counter()
        try:
            draft = Draft(self._writer, self._now(), tuple([record.encode() for record in records]))
            async with asyncio.timeout(self._timeout):
                self.head = await self._repository.append(draft)
        except Exception as error:  # Everybody who waits has to hear of it.
            if not isinstance(error, AvailabilityError | TimeoutError):
                logger.exception("The audit log could not be written")
            self.refused += len(records)
            cause = (error.cause or "") if isinstance(error, GatewayError) else type(error).__name__
            for entry in batch:
                entry.fail(cause)
            return
        finally:
            self.commits.add(time.perf_counter() - started)
        self.recorded.update([record.event.event for record in records])
        for entry in batch:
            if not entry.added.done():
                entry.added.set_result(None)


class _Entry:
    """Records that one caller asked for, and the future that it waits for."""

    __slots__ = ("added", "records")

    def __init__(self, records: tuple[Record, ...], added: "asyncio.Future[None]") -> None:
        self.records = records
        self.added = added

    def fail(self, cause: str) -> None:
        """Tell whoever waits, if anybody still does."""
        if not self.added.done():
            self.added.set_exception(_unavailable(cause))


class _Noted:
    """`Effect` of *record*."""

    def __init__(self, trail: ChainTrail, record: Record) -> None:
        self._trail = trail
        self._record = record

    def absent(self, reason: str) -> None:
        """See `Effect.absent`."""
        self._trail.note(self._record, Outcome.FAILED, reason)


def _unavailable(cause: str | None) -> AvailabilityError:
    return AvailabilityError(
        Reason.AUDIT_UNAVAILABLE,
        "The audit log cannot be written, and nothing is done that is not on record.",
        retry_after=_RETRY_AFTER,
        cause=cause,
    )


def _log_failure(added: "asyncio.Future[None]") -> None:
    if not added.cancelled() and added.exception() is not None:
        logger.error("The audit log could not be told that an operation failed: %s", added.exception())
