"""The threads of the signer process that sign with slow keys; fast keys are signed by the thread that reads.

A hop to another thread costs some 50 microseconds. A software token signs in less than 200, so it is served
without; a network HSM takes milliseconds, and only several sessions at once make it fast.
"""

import queue
import threading
import time
from collections.abc import Callable

from signers.isolated.verifier import Job as Verification
from signers.isolated.verifier import Verifier
from signers.pkcs11.session import SessionLease

Job = Callable[[SessionLease], bool]
"""One signature, or what else takes the device long; returns whether to call it again for the next."""

SLOW = 0.001
"""Seconds: a key is slow while its fastest signature of the last `WINDOW` took longer."""

WINDOW = 8
"""Signatures."""

CLOSING = 1.0
"""Seconds that verifications have at least when the threads end; thousands can be made in that time."""


class Pace:
    """How fast one key signs. The fastest counts, so that a busy machine makes no key slow."""

    def __init__(self) -> None:
        self.slow = False
        self._fastest = float("inf")
        self._count = 0

    def add(self, seconds: float) -> None:
        """Note that one signature took *seconds*. A count that two threads lose does no harm."""
        self._fastest = min(self._fastest, seconds)
        self._count += 1
        if self._count >= WINDOW:
            self.slow = self._fastest > SLOW
            self._fastest, self._count = float("inf"), 0


class Crew:
    """A thread for each session and one that verifies, all started when the first job comes."""

    def __init__(self, leases: list[SessionLease]) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._members = [_Member(lease, self._jobs) for lease in leases]
        self._verifier = Verifier()
        self._started = False

    def __len__(self) -> int:
        return len(self._members)

    @property
    def free(self) -> int:
        """How many threads would begin a job at once."""
        return len(self._members) - self._jobs.qsize() - sum(member.busy for member in self._members)

    def submit(self, job: Job) -> None:
        """Have *job*, which raises nothing, done by one of the threads."""
        if not self._started:
            self._started = True
            self._verifier.start()
            for member in self._members:
                member.start()
        self._jobs.put(job)

    def verify(self, verification: Verification) -> None:
        """Have *verification* done beside the jobs; a job calls this."""
        self._verifier.submit(verification)

    def stuck(self, seconds: float) -> int:
        """How many threads have been in one call of a job for longer than *seconds*."""
        since = time.monotonic() - seconds
        return sum(member.is_busy_since(since) for member in self._members)

    def close(self, seconds: float) -> None:
        """Finish what was submitted, within *seconds*, and end the threads."""
        if not self._started:
            return
        for _ in self._members:
            self._jobs.put(None)
        end = time.monotonic() + seconds
        for member in self._members:
            member.join(max(0.0, end - time.monotonic()))
        # What they signed is still to be verified, and a member that hangs must not keep it from its callers.
        self._verifier.close(max(CLOSING, end - time.monotonic()))


class _Member(threading.Thread):
    """A daemon, since a hung device must not keep the process from ending."""

    def __init__(self, lease: SessionLease, jobs: "queue.SimpleQueue[Job | None]") -> None:
        super().__init__(name="signer-session", daemon=True)
        self._lease = lease
        self._jobs = jobs
        self._busy_since: float | None = None

    @property
    def busy(self) -> bool:
        """Whether the thread is in a job."""
        return self._busy_since is not None

    def is_busy_since(self, instant: float) -> bool:
        """Whether the thread has been in one call of a job since before *instant* (monotonic seconds)."""
        since = self._busy_since
        return since is not None and since < instant

    def run(self) -> None:
        while (job := self._jobs.get()) is not None:
            more = True
            while more:
                self._busy_since = time.monotonic()
                more = job(self._lease)
            self._busy_since = None
        self._lease.close()
