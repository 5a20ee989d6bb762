"""Token buckets for many callers in bounded memory.

A bucket is one number, the time at which it is full again: the "theoretical arrival time" of the generic cell
rate algorithm (ITU-T I.371 Annex A), which decides as a token bucket does (RFC 2697 §3, with one rate) and
has nothing to fill in between. A bucket that is full is as good as none and is forgotten first.
"""

import time
from collections.abc import Callable
from typing import Final

OVERFLOW: Final = ""
"""The one bucket of all callers for whom there is no room in the table; no caller has this name."""
_ROUNDING: Final = 1e-9
"""Seconds by which arithmetic may be off: who waited as long as it was told finds a token."""
_SWEEP_PAUSE: Final = 1.0
"""Seconds between two looks for full buckets in a table without room: each look costs as much as the table is
long.
"""


class TokenBuckets:
    """A bucket for each caller: *rate* tokens come per second, and *burst* fit in.

    At most *callers* buckets that are not full are kept. Where each of so many has something to remember, the
    callers that come then share one bucket: a flood of names makes nobody's bucket full again, and takes no
    memory. *clock* gives seconds, monotonic. Belongs to one event loop.
    """

    def __init__(
        self, rate: float, burst: int, *, callers: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = 1.0 / rate
        self._burst = burst
        self._depth = burst * self._interval
        self._callers = callers
        self._clock = clock
        self._full_at: dict[str, float] = {}
        self._overflow = 0.0
        self._sweep_at = 0.0

    def __len__(self) -> int:
        """Buckets kept now, full ones that were not met yet included."""
        return len(self._full_at)

    def take(self, caller: str, tokens: int = 1) -> float:
        """Take *tokens* from the bucket of *caller*: 0 where that was done, and otherwise the seconds after
        which it can be, with nothing taken.

        More than `burst` are taken from a full bucket only, which then owes the rest: who may send one large
        batch waits as long afterwards as for its items one by one.
        """
        now = self._clock()
        full_at = self._read(caller, now)
        wait = full_at + min(tokens, self._burst) * self._interval - now - self._depth
        if wait > _ROUNDING:
            return wait
        self._write(caller, full_at + tokens * self._interval, now)
        return 0.0

    def wait(self, caller: str) -> float:
        """Seconds until one token can be taken; 0 for now. Nothing is taken."""
        now = self._clock()
        wait = self._read(caller, now) + self._interval - now - self._depth
        return wait if wait > _ROUNDING else 0.0

    def _read(self, caller: str, now: float) -> float:
        """When the caller's bucket is full, not before *now*."""
        full_at = self._full_at.get(caller)
        if full_at is None and not self._has_room(now):
            full_at = self._overflow
        return now if full_at is None or full_at < now else full_at

    def _write(self, caller: str, full_at: float, now: float) -> None:
        if caller in self._full_at or self._has_room(now):
            self._full_at[caller] = full_at
        else:
            self._overflow = full_at

    def _has_room(self, now: float) -> bool:
        """Whether another bucket fits in, once those that are full again are forgotten."""
        if len(self._full_at) < self._callers:
            return True
        if now < self._sweep_at:
            return False
        kept = {name: full_at for name, full_at in self._full_at.items() if full_at > now}
        self._full_at = kept
        # None of those kept is full before.
        self._sweep_at = max(min(kept.values(), default=now), now + _SWEEP_PAUSE)
        return len(kept) < self._callers
