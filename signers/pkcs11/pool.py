"""Threads that each own one session of a token, and the queue in front of them.

A thread hop costs as much as a signature in a fast token, so hops are shared: a thread that is awake takes
jobs until the queue is empty, and hands their results back in one call to the event loop. Another is woken
only for a job that has waited for `PATIENCE`: threads that compete for the interpreter's lock make a fast
token slower, and only a slow one needs several. No timer delays a lone job, and because jobs are taken one by
one, a call that hangs holds up no other job for longer than `PATIENCE`.

All methods but those of `_Worker` run on the event loop that opened the pool.
"""

import asyncio
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from signers.errors import SignerBusyError, SignerTimeoutError, SignerUnavailableError
from signers.pkcs11.session import Session, SessionLease

T = TypeVar("T")

MAX_BATCH = 16
"""Results that a thread collects before it hands them over."""

MAX_HOLD = 0.002
"""Seconds that a finished result waits for others."""

PATIENCE = 0.001
"""Seconds that a job waits for the threads that are awake before another is woken."""


class Job(Generic[T]):
    """A call to be made with a session, and the future that waits for it."""

    __slots__ = ("call", "deadline", "error", "finished", "future", "key", "result", "taken")

    def __init__(
        self, call: Callable[[Session], T], key: str, future: "asyncio.Future[T]", deadline: float
    ) -> None:
        self.call: Callable[[Session], T] | None = call
        self.key = key
        self.future = future
        self.deadline = deadline
        self.taken = False
        self.finished = False
        self.result: T | None = None
        self.error: Exception | None = None

    def run(self, lease: SessionLease) -> None:
        """Make the call; on a worker thread."""
        call, self.call = self.call, None
        if call is None or self.future.done():
            return
        try:
            self.result = lease.run(call, key=self.key)
        except Exception as error:  # noqa: BLE001  # Whatever it is, it belongs to the waiter, not the thread.
            self.error = error
        self.finished = True

    def deliver(self) -> None:
        """Give the outcome to the waiter; on the event loop."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.result)  # type: ignore[arg-type]  # A call without error has a T.


class SessionPool:
    """A bounded number of sessions, each with its thread, behind a bounded queue."""

    def __init__(self, name: str, leases: list[SessionLease], *, max_queue: int, timeout: float) -> None:
        """*timeout* in seconds bounds every job, from submission to result."""
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._max_queue = max_queue
        self._timeout = timeout
        self._shared = _Shared(self._loop)
        self._outstanding: deque[Job[Any]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._reinforcing: asyncio.TimerHandle | None = None
        self._workers = [_Worker(f"{name}-{i}", lease, self._shared) for i, lease in enumerate(leases)]
        for worker in self._workers:
            worker.start()

    @property
    def size(self) -> int:
        """The number of threads."""
        return len(self._workers)

    @property
    def queued(self) -> int:
        """Jobs that no thread has taken yet."""
        return len(self._shared.jobs)

    def stuck(self) -> int:
        """Threads that have been inside one call for longer than the timeout."""
        since = time.monotonic() - self._timeout
        return sum(worker.is_busy_since(since) for worker in self._workers)

    def submit(self, call: Callable[[Session], T], *, key: str, places: int = 1) -> "asyncio.Future[T]":
        """Queue *call*; the future yields its result or a `SignerError`, and its cancellation drops the job.

        *places* is how many jobs the caller is about to submit: all are admitted or none. Raises
        `SignerBusyError` where the queue is full, `SignerUnavailableError` where nobody would serve it.
        """
        shared = self._shared
        if shared.closing:
            raise SignerUnavailableError("The signer is closed.", key=key)
        if os.getpid() != self._pid:
            raise SignerUnavailableError(
                "This process was forked after the signer was opened; open signers after the fork.", key=key
            )
        if not shared.idle and self.stuck() == len(self._workers):
            raise SignerUnavailableError("Every session hangs in the device.", key=key)
        if len(shared.jobs) + places > self._max_queue:
            raise SignerBusyError("Every session is in use, and the queue is full.", key=key)
        job = Job(call, key, self._loop.create_future(), self._loop.time() + self._timeout)
        shared.jobs.append(job)
        if len(shared.idle) == len(self._workers):
            shared.wake_one()
        elif self._reinforcing is None and shared.idle:
            self._reinforcing = self._loop.call_later(PATIENCE, self._reinforce, job)
        self._watch(job)
        return job.future

    async def aclose(self) -> None:
        """Admit no more jobs, wait for those under way, stop the threads that can be stopped. Idempotent.

        Waits at most the timeout, and leaves hung threads behind: they are daemons.
        """
        self._shared.closing = True
        while self._shared.wake_one():
            pass
        await asyncio.wait([worker.ended for worker in self._workers], timeout=self._timeout)
        for timer in (self._timer, self._reinforcing):
            if timer is not None:
                timer.cancel()
        for job in self._outstanding:
            if not job.future.done():
                job.future.set_exception(SignerUnavailableError("The signer was closed.", key=job.key))
        self._outstanding.clear()

    def _reinforce(self, waited: Job[Any]) -> None:
        """Wake one more thread where *waited*, queued `PATIENCE` ago, has not been taken yet."""
        shared = self._shared
        self._reinforcing = None
        if not waited.taken:
            shared.wake_one()
        if shared.idle:
            try:
                newest = shared.jobs[-1]
            except IndexError:
                return
            self._reinforcing = self._loop.call_later(PATIENCE, self._reinforce, newest)

    def _watch(self, job: Job[Any]) -> None:
        # All jobs have the same timeout, so they expire in the order in which they came.
        outstanding = self._outstanding
        while outstanding and outstanding[0].future.done():
            outstanding.popleft()
        if len(outstanding) > 2 * (self._max_queue + len(self._workers)):
            self._outstanding = outstanding = deque(job for job in outstanding if not job.future.done())
        outstanding.append(job)
        if self._timer is None:
            self._timer = self._loop.call_at(job.deadline, self._expire)

    def _expire(self) -> None:
        now = self._loop.time()
        while self._outstanding:
            job = self._outstanding[0]
            if not job.future.done() and job.deadline > now:
                break
            self._outstanding.popleft()
            if job.finished:
                # Its thread has the result, but hangs in the next call before it could hand it over.
                job.deliver()
            elif not job.future.done():
                message = f"No signature came within {self._timeout:g} seconds."
                job.future.set_exception(SignerTimeoutError(message, key=job.key))
        self._timer = None
        if self._outstanding:
            self._timer = self._loop.call_at(self._outstanding[0].deadline, self._expire)


class _Shared:
    """What the loop and the threads share. Every step is one operation that is atomic by itself: no lock."""

    __slots__ = ("closing", "idle", "jobs", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.jobs: deque[Job[Any]] = deque()
        self.idle: list[_Worker] = []
        self.closing = False
        self.loop = loop

    def wake_one(self) -> bool:
        """Wake the thread that fell idle last, if any; on the event loop."""
        if not self.idle:
            return False
        self.idle.pop().woken.release()
        return True


class _Worker(threading.Thread):
    """Runs jobs in its own session. A daemon: a hung device must not keep the process from ending."""

    def __init__(self, name: str, lease: SessionLease, shared: _Shared) -> None:
        super().__init__(name=name, daemon=True)
        self.ended: asyncio.Future[None] = shared.loop.create_future()
        self.woken = threading.Lock()
        """Held while the thread may rest; released once by whoever takes it out of `_Shared.idle`."""
        self.woken.acquire()
        self._lease = lease
        self._shared = shared
        self._done: list[Job[Any]] = []
        self._busy_since: float | None = None

    def is_busy_since(self, instant: float) -> bool:
        """Whether the thread has been in one call since before *instant* (monotonic seconds)."""
        since = self._busy_since
        return since is not None and since < instant

    def run(self) -> None:
        jobs = self._shared.jobs
        while True:
            try:
                job = jobs.popleft()
            except IndexError:
                self._hand_over()
                if self._shared.closing:
                    break
                self._rest()
                continue
            job.taken = True
            self._busy_since = started = time.monotonic()
            job.run(self._lease)
            self._busy_since = None
            self._done.append(job)
            if len(self._done) >= MAX_BATCH or time.monotonic() - started > MAX_HOLD:
                self._hand_over()
        self._lease.close()
        self._on_loop(self._set_ended)

    def _rest(self) -> None:
        """Wait until woken."""
        shared = self._shared
        shared.idle.append(self)
        if shared.jobs or shared.closing:
            # They may have come before this thread could be seen idle, and then nobody was woken for them.
            try:
                shared.idle.remove(self)
            except ValueError:
                # Somebody was woken: this thread. The lock is released, or is about to be.
                self.woken.acquire()
            return
        self.woken.acquire()

    def _hand_over(self) -> None:
        if self._done:
            done, self._done = tuple(self._done), []
            self._on_loop(_deliver, done)

    def _on_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            self._shared.loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            # The loop was closed without closing the pool; nobody waits any more.
            return

    def _set_ended(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def _deliver(jobs: tuple[Job[Any], ...]) -> None:
    for job in jobs:
        job.deliver()
