"""Refused calls on record: counted, so that nobody can fill the log by being refused.

A record for each refusal would let strangers write to the database, at their pace. Counts have a bound of
ours: so many kinds in each interval and worker, however many calls there are of them.
"""

import asyncio
import logging
import re
from types import TracebackType
from typing import Final, Self

from gateway.audit.events import CallsRefused
from gateway.audit.ports import AuditTrail
from gateway.errors import AvailabilityError, Reason
from gateway.telemetry.access_log import AccessLog, AccessRecord

logger = logging.getLogger(__name__)

RECORDED: Final = frozenset(
    {
        # Who calls was not shown.
        Reason.CALLER_UNAUTHENTICATED,
        Reason.INVALID_CLIENT,
        Reason.INVALID_TOKEN,
        Reason.INVALID_GRANT,
        Reason.INVALID_DPOP_PROOF,
        Reason.CLIENT_PROOF_REFUSED,
        Reason.SIGNED_REQUEST_REFUSED,
        Reason.CLIENT_CERTIFICATE_MALFORMED,
        Reason.TERMINATOR_HEADER_REFUSED,
        # It was, and may not do this.
        Reason.PERMISSION_DENIED,
        Reason.UNAUTHORIZED_CLIENT,
        Reason.ACCOUNT_UNUSABLE,
        Reason.EXTERNAL_ACCOUNT_REQUIRED,
    }
)
"""What somebody gets who tries keys, names and rights; replays are among the causes of these."""
MAX_KINDS: Final = 200
"""Kinds of refusals that are told apart in one interval."""
_WORD: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")

Kind = tuple[str | None, str, str, str]
"""Caller, reason, cause and method."""
_OTHERS: Final[Kind] = (None, "", "", "")


class _Count:
    """Refusals of one kind."""

    __slots__ = ("count", "first_request_id", "first_time", "last_time")

    def __init__(self, record: AccessRecord) -> None:
        self.count = 0
        self.first_request_id = record.request_id
        self.first_time = int(record.time)
        self.last_time = self.first_time


class RefusalCounts:
    """An `AccessLog` in front of *inner*, which counts what is refused."""

    def __init__(self, inner: AccessLog) -> None:
        self._inner = inner
        self._counts: dict[Kind, _Count] = {}

    def record(self, record: AccessRecord) -> None:
        """See `AccessLog.record`."""
        if record.reason in RECORDED:
            self._count(record)
        self._inner.record(record)

    def _count(self, record: AccessRecord) -> None:
        kind = _kind_of(record)
        count = self._counts.get(kind)
        if count is None:
            if len(self._counts) >= MAX_KINDS:
                kind = _OTHERS
            count = self._counts.setdefault(kind, _Count(record))
        count.count += 1
        count.last_time = int(record.time)

    async def write(self, trail: AuditTrail) -> None:
        """Put what was counted on record and count anew. Where that fails, go on counting.

        Raises `AvailabilityError`.
        """
        counted = self._counts
        if not counted:
            return
        self._counts = {}
        try:
            await trail.record(*[_event(kind, count) for kind, count in counted.items()])
        except AvailabilityError:
            self._take_back(counted)
            raise

    def _take_back(self, counted: dict[Kind, _Count]) -> None:
        """Count on from *counted*, and add what came meanwhile."""
        meanwhile, self._counts = self._counts, counted
        for kind, later in meanwhile.items():
            known = kind if kind in counted or len(counted) < MAX_KINDS else _OTHERS
            count = counted.setdefault(known, later)
            if count is not later:
                count.count += later.count
                count.last_time = max(count.last_time, later.last_time)


class RefusalRecorder:
    """Owns the task that writes counts; an async context manager. Leaving writes what was counted last."""

    def __init__(self, counts: RefusalCounts, trail: AuditTrail, *, interval: float) -> None:
        """*interval*: seconds from one writing to the next."""
        self._counts = counts
        self._trail = trail
        self._interval = interval
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="audit-refusals")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._write()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            await self._write()

    async def _write(self) -> None:
        try:
            await self._counts.write(self._trail)
        except AvailabilityError as error:
            logger.warning("refused calls are not on record yet", extra={"cause": error.cause or ""})
        except Exception:
            # A fault of ours must not end the task for good; the log shows it each time.
            logger.exception("refused calls could not be put on record")


def _kind_of(record: AccessRecord) -> Kind:
    """Of strangers what they were told; of callers with a name also what they called."""
    word = record.cause.partition(":")[0]
    cause = word if _WORD.fullmatch(word) else ""
    method = "" if not record.caller else record.method if record.route is None else record.route
    return record.caller, str(record.reason), cause, method


def _event(kind: Kind, count: _Count) -> CallsRefused:
    caller, reason, cause, method = kind
    return CallsRefused(
        caller, reason, cause, method, count.count, count.first_request_id, count.first_time, count.last_time
    )
