"""Deadlines of many requests with one timer: nearly all end long before theirs, and a timer each costs."""

import asyncio
from types import TracebackType
from typing import Final

TICK: Final = 0.1
"""Seconds between two looks: by so much a deadline may be late."""


class Deadlines:
    """Those of one event loop. A look at all of them is made every `TICK` seconds while there are any."""

    def __init__(self) -> None:
        self._open: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None
        # Kept, because asking for it is a system call in Python 3.11, and so is `current_task` without it.
        self._loop: asyncio.AbstractEventLoop | None = None

    def within(self, seconds: float) -> "Deadline":
        """What must be over in *seconds*, as a context manager of the task that begins it."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
        return Deadline(self, self._loop, seconds)

    def add(self, deadline: "Deadline", loop: asyncio.AbstractEventLoop) -> None:
        """Watch over *deadline*."""
        self._open.add(deadline)
        if self._timer is None:
            self._timer = loop.call_later(TICK, self._look, loop)

    def remove(self, deadline: "Deadline") -> None:
        """It is over."""
        self._open.discard(deadline)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for deadline in [each for each in self._open if each.due <= now]:
            self._open.discard(deadline)
            deadline.expire()
        self._timer = loop.call_later(TICK, self._look, loop) if self._open else None


class Deadline:
    """As `asyncio.timeout`: whatever still runs when it passes is canceled, and `TimeoutError` raised."""

    __slots__ = ("_deadlines", "_loop", "_passed", "_seconds", "_task", "due")

    def __init__(self, deadlines: Deadlines, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._deadlines = deadlines
        self._loop = loop
        self._seconds = seconds
        self._passed = False

    def __enter__(self) -> None:
        task = asyncio.current_task(self._loop)
        if task is None:
            raise RuntimeError("a deadline is for a task")
        self._task: asyncio.Task[object] = task
        self.due = self._loop.time() + self._seconds
        self._deadlines.add(self, self._loop)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._deadlines.remove(self)
        # Where somebody else canceled too, the task ends, as it was told.
        if self._passed and self._task.uncancel() == 0 and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def expire(self) -> None:
        """It has passed."""
        self._passed = True
        self._task.cancel()
