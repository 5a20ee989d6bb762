"""When a failed call is sent again, and after which pause. Both clients follow it; neither adds to it."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import grpc

from countersign.errors import CountersignError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Bounds on the repetition of a call that is safe to repeat.

    A call is repeated where it failed with UNAVAILABLE, or with RESOURCE_EXHAUSTED and a RetryInfo, and never
    past its deadline. The pause before attempt *n* + 1 is drawn evenly between 0 and ``initial_backoff *
    multiplier ** (n - 1)``, at most `max_backoff`, so that clients which failed together do not come back
    together. A RetryInfo is waited for in full, the drawn pause added.

    - `max_attempts`: calls in all, at least 1; 1 turns repetition off.
    - `initial_backoff`, `max_backoff`: seconds.
    """

    max_attempts: int = 4
    initial_backoff: float = 0.1
    max_backoff: float = 2.0
    multiplier: float = 2.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise ValueError("max_attempts must be at least 1.")
        if not 0 < self.initial_backoff <= self.max_backoff:
            raise ValueError("initial_backoff must be above 0 and not above max_backoff.")
        if self.multiplier < 1:
            raise ValueError("multiplier must be at least 1.")

    def backoff(self, attempt: int, draw: float) -> float:
        """Seconds to wait after failed *attempt* (from 1); *draw* is in [0, 1)."""
        return draw * min(self.max_backoff, self.initial_backoff * self.multiplier ** (attempt - 1))


class Attempts:
    """The attempts of one call: how much time is left, and whether another one is due.

    *timeout* is in seconds, for all attempts together. *clock* and *draw* are replaced in tests.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        timeout: float,
        *,
        repeatable: bool,
        clock: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._policy = policy
        self._repeatable = repeatable
        self._clock = clock
        self._draw = draw
        self._deadline = clock() + timeout
        self._failed = 0
        self._nonce_taken = False

    def remaining(self) -> float:
        """Seconds until the deadline, never below 0."""
        return max(0.0, self._deadline - self._clock())

    def answered(self) -> None:
        """A stream gave a response: failures are counted anew. The deadline stays."""
        self._failed = 0
        self._nonce_taken = False

    def first_nonce(self) -> bool:
        """Whether this call may be sent again at once with a nonce that it was told: it may once."""
        first, self._nonce_taken = not self._nonce_taken, True
        return first

    def pause_after(self, error: CountersignError) -> float | None:
        """Seconds to wait before the next attempt, or None where *error* is final."""
        self._failed += 1
        if not self._repeatable or self._failed >= self._policy.max_attempts or not _temporary(error):
            return None
        pause = self._policy.backoff(self._failed, self._draw())
        if error.retry_after is not None:
            pause += max(0.0, error.retry_after.total_seconds())
        return pause if pause < self.remaining() else None


def _temporary(error: CountersignError) -> bool:
    if error.code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return error.retry_after is not None
    return error.code is grpc.StatusCode.UNAVAILABLE
