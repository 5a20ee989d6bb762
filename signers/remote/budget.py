"""A budget of requests below the service's quota: a token bucket (RFC 2697 §3, with one rate)."""

import asyncio
import time
from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds, monotonic."""

_ROUNDING = 1e-6
"""Of a request: who waited for `delay` finds one."""


class Budget:
    """Requests that may be made now, and when the next may be. Bound to one event loop.

    A budget belongs to one quota: a service whose quotas differ by key type has several.
    """

    def __init__(self, rate: float | None, burst: int, clock: Clock = time.monotonic) -> None:
        """*rate* in requests per second, None for no limit; *burst* requests may be made at once."""
        self._rate = rate
        self._burst = float(burst)
        self._clock = clock
        self._tokens = self._burst
        self._filled = clock()
        self._paused_until = 0.0

    @property
    def left(self) -> float | None:
        """Requests that may be made now; None without a limit."""
        if self._rate is None:
            return None
        self._fill()
        return 0.0 if self._pause_left() else self._tokens

    def delay(self, requests: int = 1) -> float:
        """Seconds until *requests* could all have been made, one after another; 0 for now."""
        pause = self._pause_left()
        if self._rate is None:
            return pause
        self._fill()
        missing = requests - self._tokens
        return max(pause, missing / self._rate if missing > _ROUNDING else 0.0)

    def take(self) -> bool:
        """Spend one request; False where it has to wait for `delay`."""
        if self.delay():
            return False
        self._tokens -= 1
        return True

    async def wait(self) -> None:
        """Spend one request as soon as there is one."""
        while not self.take():
            delay = self.delay()
            await asyncio.sleep(delay)

    def pause(self, seconds: float) -> None:
        """Make no request for *seconds*, because the service said so."""
        self._paused_until = max(self._paused_until, self._clock() + seconds)

    def _pause_left(self) -> float:
        return max(0.0, self._paused_until - self._clock())

    def _fill(self) -> None:
        now = self._clock()
        if self._rate is not None:
            self._tokens = min(self._burst, self._tokens + (now - self._filled) * self._rate)
        self._filled = now
