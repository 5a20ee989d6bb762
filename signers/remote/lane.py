"""The way to one service: who may go, how many at once, in which batches, and what happens on a failure.

Signatures wait in `WaitingRoom` and leave it in batches whenever a request slot is free: an idle lane sends a
lone signature at once, and a loaded one fills its batches by itself, so no timer delays anybody. What is
asked for in one turn of the event loop leaves together. A slot is free again once the service has answered,
so that it signs the next batch while the last is verified here, one batch at a time. Admission fails early
where waiting would be in vain: a full queue, an open circuit, or a budget too far behind.
"""

import asyncio
import logging
import os
import random
from collections.abc import Sequence
from functools import partial

from signers.durations import StageTimes, call_stages
from signers.errors import (
    FaultClass,
    SignatureInvalidError,
    SignerBusyError,
    SignerError,
    SignerThrottledError,
    SignerTimeoutError,
    SignerUnavailableError,
)
from signers.remote.budget import Budget
from signers.remote.circuit import TRIAL_TIMEOUT, Circuit, Verdict
from signers.remote.deadlines import Deadlines
from signers.remote.delivery import Delivery
from signers.remote.options import RemoteOptions
from signers.remote.service import RemoteKey
from signers.remote.waiting import Item, WaitingRoom

logger = logging.getLogger(__name__)

FIRST_RETRY = 0.05
"""Seconds before a request is made again; they double, each with up to half of it at random."""

DEFAULT_THROTTLE = 0.5
"""Seconds to pause where a service throttles without saying for how long."""


class Lane:
    """Requests for signatures to one service. Bound to the event loop that made it."""

    def __init__(self, name: str, options: RemoteOptions, budget: Budget | None = None) -> None:
        """*budget* replaces the one of *options* where several lanes share a quota.

        `requests` counts what was sent, retries included.
        """
        self.name = name
        self.budget = budget or Budget(options.budget, options.burst)
        self.circuit = Circuit()
        self.requests = 0
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._pid = os.getpid()
        self._waiting = WaitingRoom()
        self._deadlines = Deadlines(self._expired)
        self._tasks: set[asyncio.Task[None]] = set()
        self._under_way = 0
        self._pumping = False
        self._delivery = Delivery()
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False
        self._idle = asyncio.Event()

    @property
    def queued(self) -> int:
        """Signatures that no request carries yet."""
        return len(self._waiting)

    @property
    def closed(self) -> bool:
        return self._closed

    async def sign(self, key: RemoteKey, messages: Sequence[bytes], stages: StageTimes) -> list[bytes]:
        """The verified signatures over *messages*, in order; all or none. Raises `SignerError`.

        Into *stages* go each signature's wait for a request, its request's time with retries, and our
        verification.
        """
        self._admit(key, len(messages))
        now = self._loop.time()
        deadline = now + self._options.timeout
        traced = call_stages.get()
        counted = (stages,) if traced is None else (stages, traced)
        name, future = key.name, self._loop.create_future
        items = [Item(name, message, future(), now, deadline, counted) for message in messages]
        for item in items:
            self._waiting.add(key, item)
            self._deadlines.watch(item)
        self._pump_soon()
        try:
            return [await items[0].future] if len(items) == 1 else await self._gather(items)
        finally:
            for item in items:
                item.future.cancel()

    def require_open(self, key: str) -> None:
        """Raise `SignerUnavailableError` after closing, and in a forked child."""
        if self._closed:
            raise SignerUnavailableError("The signer is closed.", key=key)
        if os.getpid() != self._pid:
            raise SignerUnavailableError(
                "This process was forked after the signer was opened; open signers after the fork.", key=key
            )

    async def aclose(self) -> None:
        """Admit nothing more, and wait for what was admitted; each of it has its time limit. Idempotent."""
        self._closed = True
        try:
            while self._tasks or len(self._waiting):
                self._idle.clear()
                await self._idle.wait()
        finally:
            # The owner's patience may end first.
            for task in self._tasks:
                task.cancel()
            for item in self._waiting.drain():
                item.fail(SignerUnavailableError("The signer is closed."))
            if self._timer is not None:
                self._timer.cancel()
            self._deadlines.close()

    @staticmethod
    async def _gather(items: Sequence[Item]) -> list[bytes]:
        return list(await asyncio.gather(*(item.future for item in items)))

    def _admit(self, key: RemoteKey, count: int) -> None:
        self.require_open(key.name)
        if self.circuit.verdict is Verdict.OPEN:
            raise SignerUnavailableError(
                f"The service does not answer: {self.circuit.last_fault}",
                key=key.name,
                retry_after=self.circuit.retry_after,
            )
        if len(self._waiting) + count > self._options.max_queue and self._pumping:
            # Some of those who came in this turn may leave before the queue counts as full.
            self._pump()
        if len(self._waiting) + count > self._options.max_queue:
            raise SignerBusyError("Every request slot is taken, and the queue is full.", key=key.name)
        delay = self.budget.delay(self._waiting.requests_with(key, count))
        if delay > self._options.budget_wait:
            raise SignerThrottledError(
                "The budget of requests to the service is used up.", key=key.name, retry_after=delay
            )

    def _expired(self, item: Item) -> None:
        message = f"No signature came within {self._options.timeout:g} seconds."
        item.fail(SignerTimeoutError(message, key=item.key))

    def _pump_soon(self) -> None:
        if not self._pumping:
            self._pumping = True
            self._loop.call_soon(self._pump)

    def _slot_is_free(self) -> bool:
        # As many batches more may wait to be verified: a service that is faster than that has to wait for us.
        slots = self._options.concurrency
        return self._under_way < slots and len(self._tasks) < 2 * slots

    def _pump(self) -> None:
        """Start requests while somebody waits and everything allows one."""
        self._pumping = False
        while len(self._waiting) and self._slot_is_free():
            verdict = self.circuit.verdict
            if verdict is Verdict.OPEN:
                self._fail_waiting()
                break
            if verdict is Verdict.TRIAL and self.circuit.trial_running:
                break
            if not self.budget.take():
                self._pump_later(self.budget.delay())
                break
            batch = self._waiting.take()
            if batch is None:
                break
            trial = self.circuit.trial_running = verdict is Verdict.TRIAL
            self._under_way += 1
            task = self._loop.create_task(self._serve(*batch, trial), name=f"sign-{self.name}")
            self._tasks.add(task)
            task.add_done_callback(partial(self._served, batch[1]))
        if not self._tasks and not len(self._waiting):
            self._idle.set()

    def _pump_later(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(delay, self._pump)

    def _fail_waiting(self) -> None:
        for item in self._waiting.drain():
            item.fail(
                SignerUnavailableError(
                    f"The service does not answer: {self.circuit.last_fault}",
                    retry_after=self.circuit.retry_after,
                )
            )

    def _served(self, items: list[Item], task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        for item in items:
            # Nobody is left waiting, whatever ended this request.
            item.fail(SignerUnavailableError("The request was given up."))
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s: a request ended by a fault of ours", self.name, exc_info=error)
        self._pump()

    async def _serve(
        self,
        key: RemoteKey,
        batch: list[Item],
        trial: bool,  # noqa: FBT001  # Our own calls only.
    ) -> None:
        started = self._loop.time()
        try:
            try:
                async with asyncio.timeout_at(max(item.deadline for item in batch)):
                    outcomes = await self._request(key, batch, trial)
            finally:
                self._free_slot(trial)
            answered = self._loop.time()
            for item in batch:
                for stages in item.stages:
                    times = stages.of_this_thread
                    times.queue.add(started - item.submitted)
                    times.sign.add(answered - started)
            await self._delivery.deliver(key, batch, outcomes)
        except (SignerError, TimeoutError) as error:
            self._fail(key, batch, error)

    def _free_slot(self, trial: bool) -> None:  # noqa: FBT001  # As above.
        self._under_way -= 1
        if trial:
            self.circuit.trial_running = False
        self._pump_soon()

    def _fail(self, key: RemoteKey, batch: list[Item], error: SignerError | TimeoutError) -> None:
        if isinstance(error, TimeoutError):
            error = SignerTimeoutError("The deadline passed before the service's answer.", key=key.name)
        for item in batch:
            item.fail(error)

    async def _request(
        self,
        key: RemoteKey,
        batch: list[Item],
        trial: bool,  # noqa: FBT001  # As above.
    ) -> Sequence[bytes | SignerError]:
        """One request, made again while the failure is one that passes and there is time."""
        messages = [item.message for item in batch]
        # A request that hangs leaves time for another, and for the circuit to learn of it.
        limit = min(self._options.attempt_timeout, self._options.timeout / 2)
        if trial:
            limit = min(limit, TRIAL_TIMEOUT)
        deadline = max(item.deadline for item in batch)
        pause, attempt = FIRST_RETRY, 1
        while True:
            begun = self.circuit.now()
            try:
                outcomes = await self._attempt(key, messages, limit)
            except SignerError as error:
                wait = self._pause_after(error, pause, begun)
                last = attempt >= self._options.attempts or self.circuit.verdict is not Verdict.CLOSED
                if wait is None or last or self._loop.time() + wait >= deadline:
                    raise
            else:
                self.circuit.succeeded()
                return outcomes
            await asyncio.sleep(wait)
            await self.budget.wait()
            pause, attempt = 2 * pause, attempt + 1

    async def _attempt(
        self, key: RemoteKey, messages: list[bytes], limit: float
    ) -> Sequence[bytes | SignerError]:
        self.requests += 1
        try:
            async with asyncio.timeout(limit):
                outcomes = await key.request_signatures(messages)
        except TimeoutError:
            raise SignerTimeoutError("The service did not answer in time.", key=key.name) from None
        if len(outcomes) != len(messages):
            raise SignatureInvalidError("The service signed another number of messages.", key=key.name)
        return outcomes

    def _pause_after(self, error: SignerError, pause: float, begun: float) -> float | None:
        """Seconds before the request is made again; None where that would be in vain."""
        if isinstance(error, SignerThrottledError):
            self.circuit.succeeded()
            wait = DEFAULT_THROTTLE if error.retry_after is None else error.retry_after
            error.retry_after = wait
            self.budget.pause(wait)
            return None if wait > self._options.budget_wait else wait
        if error.fault_class is not FaultClass.RETRYABLE:
            # The service answered, if only to say no.
            self.circuit.succeeded()
            return None
        self.circuit.failed(str(error), begun=begun, silent=isinstance(error, SignerTimeoutError))
        # Not a secret: it keeps the replicas from trying again at the same moment.
        return pause * (1 + random.random() / 2)  # noqa: S311
