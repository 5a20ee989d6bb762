"""How many calls may be under way, and none once the server drains."""

import asyncio
from dataclasses import dataclass

from gateway.errors import AvailabilityError, Reason
from gateway.settings.server import ServerSettings


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of this process.

    - `calls`, `streams`: unary and streaming calls under way. Counted apart, so that streams, which live
      long and cost little, never take the room of calls.
    - `default_deadline`, `max_deadline`: seconds, for unary calls.
    """

    calls: int
    streams: int
    default_deadline: float
    max_deadline: float

    @classmethod
    def of(cls, settings: ServerSettings) -> "Limits":
        """The limits that *settings* ask for."""
        return cls(
            calls=settings.max_concurrent_calls,
            streams=settings.max_concurrent_calls,
            default_deadline=settings.default_deadline,
            max_deadline=settings.max_deadline,
        )


class Admission:
    """Counts calls in and out. Belongs to one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._streams: set[asyncio.Task[object]] = set()
        self.calls = 0
        self.draining = False
        self.streams_ended = False

    @property
    def streams(self) -> int:
        """Streams under way."""
        return len(self._streams)

    def enter(self) -> None:
        """Count one unary call in; pair it with `leave`. Raises `AvailabilityError`, counting nothing."""
        if self.draining:
            raise shutting_down()
        if self.calls >= self._limits.calls:
            raise _overloaded("calls")
        self.calls += 1

    def leave(self) -> None:
        """Count one unary call out."""
        self.calls -= 1

    def enter_stream(self, task: "asyncio.Task[object]") -> None:
        """Count the stream that *task* serves in; pair it with `leave_stream`. Raises `AvailabilityError`."""
        if self.draining:
            raise shutting_down()
        if len(self._streams) >= self._limits.streams:
            raise _overloaded("streams")
        self._streams.add(task)

    def leave_stream(self, task: "asyncio.Task[object]") -> None:
        """Count the stream out."""
        self._streams.discard(task)

    def drain(self) -> None:
        """Refuse what comes from now on, and end streams: they would never end by themselves."""
        self.draining = self.streams_ended = True
        for task in tuple(self._streams):
            task.cancel()


def shutting_down() -> AvailabilityError:
    """What a call is told that comes, or still streams, while the server drains."""
    return AvailabilityError(Reason.SHUTTING_DOWN, "The gateway is shutting down; another replica can help.")


def _overloaded(cause: str) -> AvailabilityError:
    return AvailabilityError(
        Reason.OVERLOADED, "Too many calls are under way; retry after a pause.", cause=f"too_many_{cause}"
    )
