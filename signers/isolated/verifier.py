"""The thread of the signer process that verifies what the threads of `Crew` had the token sign.

A verification holds the interpreter's lock for its whole 60 to 80 microseconds, and a thread that comes back
from the device needs that lock before it can begin its next signature. On the threads of the crew, verifying
kept every session idle for a quarter of its time; here it is done while the device works.
"""

import logging
import queue
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

Job = Callable[[], None]


class Verifier(threading.Thread):
    """Does jobs one by one, in their order. They are bounded by what the gateway has under way."""

    def __init__(self) -> None:
        super().__init__(name="signer-verifier", daemon=True)
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()

    def submit(self, job: Job) -> None:
        """Have *job* done; from any thread."""
        self._jobs.put(job)

    def close(self, seconds: float) -> None:
        """Finish what was submitted, within *seconds*, and end the thread."""
        self._jobs.put(None)
        self.join(seconds)

    def run(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:
                # Nothing was released; the gateway gives the request up at its time limit.
                logger.exception("A verification ended by a fault of ours")
