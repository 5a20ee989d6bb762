"""Failing fast while a service does not answer, and finding out when it does again."""

import time
from enum import Enum

from signers.remote.budget import Clock

THRESHOLD = 3
"""Failures in a row after which the service counts as down."""

SILENCE = 2
"""What a request counts for that got no answer in its time, where nobody else got one either.

One may have met a connection that a router forgot; two met a service that hangs.
"""

FIRST_PAUSE = 0.05
MAX_PAUSE = 0.5
"""Seconds between trials of a service that is down: they double from the first to the last, so that a service
that is back is used again within half a second and one that struggles is asked twice a second by each worker.
"""

TRIAL_TIMEOUT = 1.0
"""Seconds that a trial may take. Whoever arrives meanwhile waits for its outcome."""


class Verdict(Enum):
    """Whether a request may be made now."""

    CLOSED = "closed"
    TRIAL = "trial"
    OPEN = "open"


class Circuit:
    """Counts failures in a row.

    Open, it lets nothing through; after a pause, one trial; a success closes it. Requests that were under way
    together and fail together count once: one broken connection, or one leader that steps down, is no outage.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._open_until = 0.0
        self._failed_at = self._succeeded_at = -1.0
        self.trial_running = False
        self.last_fault = ""

    @property
    def verdict(self) -> Verdict:
        """`OPEN` during a pause, `TRIAL` between a pause and the trial's outcome, else `CLOSED`."""
        if self._failures < THRESHOLD:
            return Verdict.CLOSED
        return Verdict.OPEN if self._clock() < self._open_until else Verdict.TRIAL

    @property
    def retry_after(self) -> float:
        """Seconds until the next trial."""
        return max(0.0, self._open_until - self._clock())

    def now(self) -> float:
        """The time, for `failed`."""
        return self._clock()

    def succeeded(self) -> None:
        """The service answered."""
        self._succeeded_at = self._clock()
        self._failures = 0
        self._pause = FIRST_PAUSE
        self.last_fault = ""

    def failed(self, fault: str, *, begun: float, silent: bool = False) -> None:
        """The service did not answer a request that was *begun* then.

        *fault* tells an operator how, free of secrets. *silent*: nothing came within the time limit.
        """
        self.last_fault = fault
        straggler = begun < self._failed_at
        if straggler and self.verdict is Verdict.OPEN:
            return
        weight = 0 if straggler else 1
        if silent and self._succeeded_at < begun:
            weight = SILENCE
        self._failures += weight
        if weight and self._failures >= THRESHOLD:
            self._open_until = self._clock() + self._pause
            self._pause = min(2 * self._pause, MAX_PAUSE)
        self._failed_at = self._clock()
