"""Threads that each own one session of a token, and the queue in front of them.

A thread hop costs more than a signature in a fast token, so hops are shared. Jobs go into one queue; a thread
that wakes takes jobs until the queue is empty, and hands their results back in one call to the event loop.
No timer delays a lone job, and because jobs are taken one by one, a call that hangs holds up no other job.

All methods but those of `_Worker` run on the event loop that opened the pool.
"""

import asyncio
import os
import queue
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


class Job(Generic[T]):
    """A call to be made with a session, and the future that waits for it."""

    __slots__ = ("call", "deadline", "error", "finished", "future", "key", "result")

    def __init__(
        self, call: Callable[[Session], T], key: str, future: "asyncio.Future[T]", deadline: float
    ) -> None:
        self.call: Callable[[Session], T] | None = call
        self.key = key
        self.future = future
        self.deadline = deadline
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
        self._queue: queue.SimpleQueue[Job[Any] | None] = queue.SimpleQueue()
        self._outstanding: deque[Job[Any]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._workers = [
            _Worker(f"{name}-{i}", lease, self._queue, self._loop) for i, lease in enumerate(leases)
        ]
        for worker in self._workers:
            worker.start()

    @property
    def size(self) -> int:
        """The number of threads."""
        return len(self._workers)

    @property
    def queued(self) -> int:
        """Jobs that no thread has taken yet."""
        return self._queue.qsize()

    def stuck(self) -> int:
        """Threads that have been inside one call for longer than the timeout."""
        since = time.monotonic() - self._timeout
        return sum(worker.is_busy_since(since) for worker in self._workers)

    def submit(self, call: Callable[[Session], T], *, key: str, places: int = 1) -> "asyncio.Future[T]":
        """Queue *call*; the future yields its result or a `SignerError`, and its cancellation drops the job.

        *places* is how many jobs the caller is about to submit: all are admitted or none. Raises
        `SignerBusyError` where the queue is full, `SignerUnavailableError` where nobody would serve it.
        """
        if self._closing:
            raise SignerUnavailableError("The signer is closed.", key=key)
        if os.getpid() != self._pid:
            raise SignerUnavailableError(
                "This process was forked after the signer was opened; open signers after the fork.", key=key
            )
        since = time.monotonic() - self._timeout
        if all(worker.is_busy_since(since) for worker in self._workers):
            raise SignerUnavailableError("Every session hangs in the device.", key=key)
        if self._queue.qsize() + places > self._max_queue:
            raise SignerBusyError("Every session is in use, and the queue is full.", key=key)
        job = Job(call, key, self._loop.create_future(), self._loop.time() + self._timeout)
        self._queue.put(job)
        self._watch(job)
        return job.future

    async def aclose(self) -> None:
        """Admit no more jobs, wait for those under way, stop the threads that can be stopped. Idempotent.

        Waits at most the timeout, and leaves hung threads behind: they are daemons.
        """
        if not self._closing:
            self._closing = True
            for _ in self._workers:
                self._queue.put(None)
        await asyncio.wait([worker.ended for worker in self._workers], timeout=self._timeout)
        if self._timer is not None:
            self._timer.cancel()
        for job in self._outstanding:
            if not job.future.done():
                job.future.set_exception(SignerUnavailableError("The signer was closed.", key=job.key))
        self._outstanding.clear()

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


class _Worker(threading.Thread):
    """Runs jobs in its own session. A daemon: a hung device must not keep the process from ending."""

    def __init__(
        self,
        name: str,
        lease: SessionLease,
        jobs: "queue.SimpleQueue[Job[Any] | None]",
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.ended: asyncio.Future[None] = loop.create_future()
        self._lease = lease
        self._jobs = jobs
        self._loop = loop
        self._busy_since: float | None = None

    def is_busy_since(self, instant: float) -> bool:
        """Whether the thread has been in one call since before *instant* (monotonic seconds)."""
        since = self._busy_since
        return since is not None and since < instant

    def run(self) -> None:
        done: list[Job[Any]] = []
        job = self._next(done)
        while job is not None:
            self._busy_since = started = time.monotonic()
            job.run(self._lease)
            self._busy_since = None
            done.append(job)
            if len(done) >= MAX_BATCH or time.monotonic() - started > MAX_HOLD:
                self._hand_over(done)
                done = []
            job = self._next(done)
        self._hand_over(done)
        self._lease.close()
        self._on_loop(self._set_ended)

    def _next(self, done: list[Job[Any]]) -> Job[Any] | None:
        try:
            return self._jobs.get_nowait()
        except queue.Empty:
            pass
        self._hand_over(done)
        done.clear()
        return self._jobs.get()

    def _hand_over(self, done: list[Job[Any]]) -> None:
        if done:
            self._on_loop(_deliver, tuple(done))

    def _on_loop(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            self._loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            # The loop was closed without closing the pool; nobody waits any more.
            return

    def _set_ended(self) -> None:
        if not self.ended.done():
            self.ended.set_result(None)


def _deliver(jobs: tuple[Job[Any], ...]) -> None:
    for job in jobs:
        job.deliver()
