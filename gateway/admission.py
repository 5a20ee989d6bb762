"""How many calls may be under way, and none once the server drains.

A unary call that waits for its message is not under way: its client decides for how long. Such calls have a
bound of their own, and where there are too many the oldest of that caller give way who has the most, so that
nobody's unsent messages cost others their place.
"""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from gateway.errors import AvailabilityError, Reason
from gateway.limits.method_classes import Priority
from gateway.limits.shedding import Shedder
from gateway.settings.limits import LimitSettings
from gateway.settings.server import ServerSettings

_CRITICAL_PART: Final = 4
"""One of so many reserved calls is for the most urgent alone."""
_ORDINARY: Final = Priority.ORDINARY
"""By this name because to look into an enumeration takes as long as all else in `Admission.enter`."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of this process.

    - `calls`, `streams`: unary and streaming calls under way. Counted apart, so that streams, which live
      long and cost little, never take the room of calls.
    - `reserved`: of the calls, those that `Priority.ORDINARY` cannot take; a quarter of them
      `Priority.RESERVED` cannot take either.
    - `calls_per_caller`, `streams_per_caller`: of them, those of one caller.
    - `queue_target`: seconds that calls may wait before some are refused; 0 for any time.
    - `default_deadline`, `max_deadline`: seconds, for unary calls.
    """

    calls: int
    streams: int
    reserved: int
    calls_per_caller: int
    streams_per_caller: int
    queue_target: float
    default_deadline: float
    max_deadline: float

    @classmethod
    def of(cls, settings: ServerSettings, limits: LimitSettings | None = None) -> "Limits":
        """The limits that *settings* and *limits* ask for."""
        limits = limits or LimitSettings()
        calls = settings.max_concurrent_calls
        return cls(
            calls=calls,
            streams=calls,
            reserved=int(calls * limits.reserved_calls),
            calls_per_caller=limits.calls_per_caller or max(1, calls // 2),
            streams_per_caller=limits.streams_per_caller,
            queue_target=limits.queue_target,
            default_deadline=settings.default_deadline,
            max_deadline=settings.max_deadline,
        )

    @property
    def ceilings(self) -> tuple[int, int, int]:
        """Calls under way at which a call of each `Priority` is refused."""
        critical = self.reserved // _CRITICAL_PART
        return self.calls - self.reserved, self.calls - critical, self.calls


class Admission:
    """Counts calls in and out. Belongs to one event loop.

    `calls` are under way; `taken` are all that gRPC's core ever handed over, refused ones included.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ceilings = limits.ceilings
        self._calls_per_caller = limits.calls_per_caller
        self._streams: set[asyncio.Task[object]] = set()
        self._awaited: dict[asyncio.Task[object], str] = {}
        self._calls_of: dict[str, int] = {}
        self._streams_of: dict[str, int] = {}
        self.shedder = Shedder(limits.queue_target)
        self.calls = 0
        self.taken = 0
        self.draining = False
        self.streams_ended = False

    @property
    def streams(self) -> int:
        """Streams under way."""
        return len(self._streams)

    def enter(self, priority: Priority = _ORDINARY) -> None:
        """Count one unary call in; pair it with `leave`. Raises `AvailabilityError`, counting nothing."""
        if self.draining:
            raise shutting_down()
        if self.calls >= self._ceilings[priority]:
            raise no_place()
        shedder = self.shedder
        if priority is _ORDINARY and shedder.share < 1.0 and not shedder.admits():
            raise _overloaded("waiting_too_long", shedder.pause)
        self.calls += 1

    def leave(self) -> None:
        """Count one unary call out."""
        self.calls -= 1

    @property
    def awaited(self) -> int:
        """Unary calls that wait for their message; they are not among `calls`."""
        return len(self._awaited)

    def await_message(self, task: "asyncio.Task[object]", caller: str) -> None:
        """The call that *task* serves for *caller* waits for its message: it gives back its place until
        `end_message`. Where too many wait, the oldest half of the calls of the caller with most is canceled.
        """
        if len(self._awaited) >= self._limits.calls:
            self._give_way()
        self.calls -= 1
        self._awaited[task] = caller

    def awaits_message(self, task: "asyncio.Task[object]") -> bool:
        """Whether *task* still waits; False once it had to give way."""
        return task in self._awaited

    def end_message(self, task: "asyncio.Task[object]", priority: Priority = _ORDINARY) -> bool:
        """The wait is over, in whatever way, and the call counts again: whether it has a place."""
        self.calls += 1
        self._awaited.pop(task, None)
        return self.calls <= self._ceilings[priority]

    def _give_way(self) -> None:
        ((caller, count),) = Counter(self._awaited.values()).most_common(1)
        oldest = [task for task, of in self._awaited.items() if of == caller][: (count + 1) // 2]
        for task in oldest:
            del self._awaited[task]
            task.cancel()

    def enter_caller(self, caller: str) -> None:
        """Count a call under way for *caller*; pair it with `leave_caller`. Raises `AvailabilityError`."""
        count = self._calls_of.get(caller, 0)
        if count >= self._calls_per_caller:
            raise _too_many("calls")
        self._calls_of[caller] = count + 1

    def leave_caller(self, caller: str) -> None:
        """Count the caller's call out."""
        count = self._calls_of[caller] - 1
        if count:
            self._calls_of[caller] = count
        else:
            del self._calls_of[caller]

    def enter_stream(self, task: "asyncio.Task[object]") -> None:
        """Count the stream that *task* serves in; pair it with `leave_stream`. Raises `AvailabilityError`."""
        if self.draining:
            raise shutting_down()
        if len(self._streams) >= self._limits.streams:
            raise _overloaded("too_many_streams")
        self._streams.add(task)

    def leave_stream(self, task: "asyncio.Task[object]") -> None:
        """Count the stream out."""
        self._streams.discard(task)

    def enter_stream_of(self, caller: str) -> None:
        """Count a stream for *caller*; pair it with `leave_stream_of`. Raises `AvailabilityError`."""
        count = self._streams_of.get(caller, 0)
        if count >= self._limits.streams_per_caller:
            raise _too_many("streams")
        self._streams_of[caller] = count + 1

    def leave_stream_of(self, caller: str) -> None:
        """Count the caller's stream out."""
        count = self._streams_of[caller] - 1
        if count:
            self._streams_of[caller] = count
        else:
            del self._streams_of[caller]

    def drain(self) -> None:
        """Refuse what comes from now on, and end streams: they would never end by themselves."""
        self.draining = self.streams_ended = True
        for task in tuple(self._streams):
            task.cancel()


def shutting_down() -> AvailabilityError:
    """What a call is told that comes, or still streams, while the server drains."""
    return AvailabilityError(Reason.SHUTTING_DOWN, "The gateway is shutting down; another replica can help.")


def no_place() -> AvailabilityError:
    """What a call is told for whom no place is left."""
    return _overloaded("too_many_calls")


def gave_way() -> AvailabilityError:
    """What a call is told that waited for its message while too many did."""
    return _overloaded("too_many_messages_awaited")


def _overloaded(cause: str, pause: timedelta | None = None) -> AvailabilityError:
    return AvailabilityError(
        Reason.OVERLOADED,
        "Too many calls are under way; retry after a pause.",
        retry_after=pause,
        cause=cause,
    )


def _too_many(what: str) -> AvailabilityError:
    return AvailabilityError(
        Reason.RATE_LIMITED,
        f"Too many {what} of this caller are under way; retry when one has ended.",
        cause=f"too_many_{what}_of_caller",
    )
