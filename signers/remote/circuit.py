"""Failing fast while a service does not answer, and finding out when it does again."""

import time
from enum import Enum

from signers.remote.budget import Clock

THRESHOLD = 3
"""Failures in a row after which the service counts as down."""

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

    Open, it lets nothing through; after a pause, one trial; a success closes it.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._pause = FIRST_PAUSE
        self._open_until = 0.0
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

    def succeeded(self) -> None:
        """The service answered."""
        self._failures = 0
        self._pause = FIRST_PAUSE
        self.trial_running = False
        self.last_fault = ""

    def failed(self, fault: str) -> None:
        """The service did not answer; *fault* tells an operator how, free of secrets."""
        known = self.verdict is Verdict.OPEN
        self._failures += 1
        self.trial_running = False
        self.last_fault = fault
        # Requests that were under way when the circuit opened tell nothing new.
        if self._failures >= THRESHOLD and not known:
            self._open_until = self._clock() + self._pause
            self._pause = min(2 * self._pause, MAX_PAUSE)
