"""Refusing some calls early, so that the others are served in time.

A server that takes every call while it cannot keep up serves all of them late, and in the end only calls
whose callers have gone. What tells is how long calls wait before anybody looks at them, not how many there
are: a queue that is always there means overload, one that comes and goes does not (CoDel, RFC 8289 §3). So
the wait is measured a few times a second; while it stays above a target, a growing part of those calls that
can be asked for again is refused at once, for a fraction of what serving them costs.
"""

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from typing import Final

TICK: Final = 0.1
"""Seconds between two looks."""
PATIENCE: Final = 3
"""Looks in a row that find the wait above the target before anything is refused: what passes by itself in
this time, such as a burst, or a process that was stopped for a moment, is no overload.
"""
LEAST_SHARE: Final = 0.25
"""Of the calls, admitted in any case. A refusal costs half of a mint or more, so that against those who come
again at once, whatever they are told, refusing more would leave less time for minting, and shorten no queue.
"""
RECOVERY: Final = 0.1
"""By how much the share grows with each look that finds the wait below the target."""
MIN_QUEUE: Final = 8
"""Calls that wait, below which they are no queue: some are always on the way."""
BUSY: Final = 10
"""Calls taken between two looks, below which nobody waits unless the event loop is late too."""
LEAST_PAUSE: Final = timedelta(seconds=0.5)
"""That a refused call is told."""


class Shedder:
    """Which part of the calls that can be refused is admitted.

    *target*: seconds that calls may wait; 0 admits everything. `share` is that part, 0.25 to 1, and `delay`
    the wait that was found last, seconds.
    """

    def __init__(self, target: float) -> None:
        self._target = target
        self._above = 0
        self._credit = 0.0
        self.share = 1.0
        self.delay = 0.0

    @property
    def pause(self) -> timedelta:
        """When a refused call may come again: once those that wait now are through."""
        return max(LEAST_PAUSE, timedelta(seconds=math.ceil(20 * self.delay) / 10))

    def admits(self) -> bool:
        """Whether one more call is admitted: evenly spread, `share` of them are."""
        if self.share >= 1.0:
            return True
        self._credit += self.share
        if self._credit < 1.0:
            return False
        self._credit -= 1.0
        return True

    def look(self, *, elapsed: float, lag: float, taken: int, waiting: int) -> None:
        """Learn from the *elapsed* seconds since the last look: *taken* calls were taken, *waiting* still
        wait, and the event loop is *lag* seconds late.
        """
        queue = 0.0
        if waiting >= MIN_QUEUE:
            queue = waiting * elapsed / taken if taken else elapsed
        self.delay = lag + queue
        if self._target <= 0:
            return
        if self.delay <= self._target:
            self._above = 0
            self.share = min(1.0, self.share + RECOVERY)
            return
        self._above += 1
        # Whoever was overloaded a moment ago still is: patience is for the first time.
        if self._above >= PATIENCE or self.share < 1.0:
            self.share = max(LEAST_SHARE, self.share / 2)


async def watch(shedder: Shedder, *, taken: Callable[[], int], waiting: Callable[[], int]) -> None:
    """Look every `TICK` seconds, for ever. *taken* counts calls since the start; *waiting* is asked how many
    wait, only where calls come often or the event loop is late, because it costs.
    """
    loop = asyncio.get_running_loop()
    last, before = loop.time(), taken()
    while True:
        await asyncio.sleep(TICK)
        now, count = loop.time(), taken()
        elapsed, lag = now - last, max(0.0, now - last - TICK)
        busy = count - before >= BUSY or lag >= TICK / 2 or shedder.share < 1.0
        shedder.look(elapsed=elapsed, lag=lag, taken=count - before, waiting=waiting() if busy else 0)
        last, before = now, count
