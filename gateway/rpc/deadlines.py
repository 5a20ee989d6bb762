"""Ends unary calls whose time is over."""

import asyncio
from typing import Final

TICK: Final = 0.1
"""Seconds by which a call may be ended late. One timer for all calls: one for each cost it 6 µs of 500."""


class Deadlines:
    """When the calls under way on one event loop are to be canceled. A timer runs while there are any."""

    def __init__(self) -> None:
        self._ends: dict[asyncio.Task[object], float] = {}
        self._armed = False

    def begin(self, task: "asyncio.Task[object]", end: float) -> None:
        """Cancel *task* once, soon after *end* (`loop.time`), unless `finish` comes before."""
        self._ends[task] = end
        if not self._armed:
            self._arm()

    def finish(self, task: "asyncio.Task[object]") -> None:
        """The call is over, or was canceled."""
        self._ends.pop(task, None)

    def _arm(self) -> None:
        self._armed = True
        asyncio.get_running_loop().call_later(TICK, self._look)

    def _look(self) -> None:
        self._armed = False
        now = asyncio.get_running_loop().time()
        for task in [task for task, end in self._ends.items() if end <= now]:
            del self._ends[task]
            task.cancel()
        if self._ends:
            self._arm()
