"""The supervisor: keeps N worker processes serving on the same ports.

There is one way to serve, also where ``workers = 1``: a worker that hangs inside a vendor's PKCS#11 module
can only be helped from outside its process, and what holds for one worker then holds for many. The
supervisor loads neither gRPC nor a PKCS#11 module, and starts each worker as a new program: a fork would
copy a half of their threads and locks.
"""

import asyncio
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Final

from gateway.config import Settings
from gateway.ports import Ports
from gateway.telemetry.logs import open_log
from gateway.worker_link import EX_CONFIG, EX_NOPERM, REVOKED

logger = logging.getLogger(__name__)

KILL_GRACE: Final = 5.0
"""Seconds beyond the drain timeout after which a worker that still runs is killed."""


@dataclass(frozen=True, slots=True)
class SupervisorPolicy:
    """When to give up on what. Times in seconds.

    - `start_timeout`: a worker that is not ready by then is killed; an HSM may take its time.
    - `heartbeat_timeout`: a worker that gives no sign of life for so long hangs; it is killed and replaced.
    - `drain_timeout`: what workers were told that calls under way get.
    - `first_attempts`: how often workers are started in vain before the supervisor gives up, as long as none
      has ever been ready.
    - `backoff`, `max_backoff`: pause before a replacement; doubled for each worker that ended before it had
      been ready for `settled`.
    """

    start_timeout: float = 60.0
    heartbeat_timeout: float = 30.0
    drain_timeout: float = 25.0
    first_attempts: int = 3
    backoff: float = 0.2
    max_backoff: float = 10.0
    settled: float = 10.0


class _Worker:
    """One process and its pipes, from start to end."""

    def __init__(
        self, process: asyncio.subprocess.Process, lifeline: int, status: asyncio.StreamReader
    ) -> None:
        self._process = process
        self._lifeline = lifeline
        self._status = status
        self.ready_since: float | None = None

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def start(cls, command: Sequence[str]) -> "_Worker":
        """Start *command* with both pipes. Raises `OSError`."""
        status_read, status_write = os.pipe()
        lifeline_read, lifeline_write = os.pipe()
        os.set_blocking(lifeline_write, False)
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                f"--status-fd={status_write}",
                f"--lifeline-fd={lifeline_read}",
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=(status_write, lifeline_read),
            )
        except OSError:
            os.close(status_read)
            os.close(lifeline_write)
            raise
        finally:
            os.close(status_write)
            os.close(lifeline_read)
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(status_read, "rb", buffering=0)
        )
        return cls(process, lifeline_write, reader)

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def nudge(self) -> None:
        """Tell it that another worker revoked something. One that does not listen has not read the last."""
        with suppress(OSError):
            os.write(self._lifeline, b"r")

    async def watch(
        self, policy: SupervisorPolicy, on_ready: Callable[[Ports], None], on_revoked: Callable[[], None]
    ) -> int:
        """Read signs of life until the process has ended; kill it where they fail to come. The exit code."""
        try:
            await self._listen(policy, on_ready, on_revoked)
            return await self._process.wait()
        finally:
            os.close(self._lifeline)

    async def _listen(
        self, policy: SupervisorPolicy, on_ready: Callable[[Ports], None], on_revoked: Callable[[], None]
    ) -> None:
        start_by = time.monotonic() + policy.start_timeout
        while True:
            limit = policy.heartbeat_timeout
            if self.ready_since is None:
                limit = min(limit, max(0.0, start_by - time.monotonic()))
            try:
                async with asyncio.timeout(limit):
                    line = await self._status.readline()
            except TimeoutError:
                logger.error("A worker hangs and is killed", extra={"pid": self.pid})  # noqa: TRY400 - no trace
                self.send(signal.SIGKILL)
                return
            if not line:
                return
            if line == REVOKED:
                on_revoked()
            elif line.startswith(b"ready "):
                self.ready_since = time.monotonic()
                on_ready(Ports(**json.loads(line.removeprefix(b"ready "))))


class Supervisor:
    """Runs *workers* processes of *command*, to which the numbers of two pipes are appended, and
    ``--worker`` and ``--restarts``: which one it is, and how often it was started before.

    *on_ready* hears the ports once, when every worker has been ready. The first is ready before another is
    started, so that what is wrong is tried once: a token locks itself after few wrong PINs.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        workers: int,
        policy: SupervisorPolicy | None = None,
        on_ready: Callable[[Ports], None] = lambda _: None,
    ) -> None:
        self._command = tuple(command)
        self._count = workers
        self._policy = policy or SupervisorPolicy()
        self._on_ready = on_ready
        self._running: dict[int, _Worker] = {}
        self._ready: set[int] = set()
        self._refused: set[int] = set()
        self._stop = asyncio.Event()
        self._led = asyncio.Event()  # One worker has been ready, or the end has come.
        self._failed = False
        self._signals = 0

    async def run(self) -> int:
        """Keep the workers running until SIGTERM or SIGINT; the exit code of the program.

        0 where every worker drained and ended well; 1 where one had to be killed, or where none could be
        started at all. A second SIGTERM or SIGINT kills. SIGHUP is passed on.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        try:
            async with asyncio.TaskGroup() as slots:
                for slot in range(self._count):
                    slots.create_task(self._keep(slot), name=f"worker-{slot}")
        finally:
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                loop.remove_signal_handler(number)
        return 1 if self._failed else 0

    def stop(self) -> None:
        """Drain all workers; called again, kill them."""
        self._signals += 1
        self._stop.set()
        self._led.set()
        self._pass_on(signal.SIGTERM if self._signals == 1 else signal.SIGKILL)

    def _pass_on(self, number: signal.Signals) -> None:
        for worker in self._running.values():
            worker.send(number)

    async def _keep(self, slot: int) -> None:
        """One worker after another, until told to stop or a token has refused the PIN."""
        if slot:
            await self._led.wait()
        failures = 0
        for restarts in count():
            if self._stop.is_set():
                return
            settled = await self._run_one(slot, restarts)
            if self._stop.is_set() or slot in self._refused:
                return
            failures = 1 if settled else failures + 1
            if not self._ready and failures >= self._policy.first_attempts:
                logger.error("No worker could be started; giving up")
                self._failed = True
                self.stop()
                return
            pause = min(self._policy.backoff * 2.0 ** (failures - 1), self._policy.max_backoff)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._stop.wait()

    async def _run_one(self, slot: int, restarts: int) -> bool:
        """Run one worker to its end; whether it had been ready long enough to be thought sound."""
        try:
            which = (f"--worker={slot}", f"--restarts={restarts}")
            worker = await _Worker.start((*self._command, *which))
        except OSError:
            logger.exception("A worker could not be started", extra={"worker": slot})
            return False
        self._running[slot] = worker
        if self._stop.is_set():  # The signal came while the process was being made.
            worker.send(signal.SIGTERM)
        killer = asyncio.create_task(self._kill_late(worker), name=f"killer-{slot}")
        try:
            code = await worker.watch(
                self._policy, lambda ports: self._is_ready(slot, ports), lambda: self._revoked(slot)
            )
        except BaseException:
            worker.send(signal.SIGKILL)
            raise
        finally:
            killer.cancel()
            del self._running[slot]
        if self._stop.is_set() and worker.ready_since is None and code == -signal.SIGTERM:
            code = 0  # It was still starting and had nothing to drain.
        if code in {EX_CONFIG, EX_NOPERM} and not self._ready:
            self._failed = True  # It has said what has to be changed; starting it again changes nothing.
            self.stop()
            return False
        if code == EX_NOPERM:
            self._give_up(slot)
            return False
        if code != 0 or not self._stop.is_set():
            logger.error("A worker ended", extra={"worker": slot, "pid": worker.pid, "exit_code": code})
            self._failed = self._failed or self._stop.is_set()
        return worker.ready_since is not None and time.monotonic() - worker.ready_since > self._policy.settled

    def _give_up(self, slot: int) -> None:
        """Start no more workers in *slot*; the others still sign. When none is left, end."""
        logger.error("A worker's PIN was refused: it is not started again", extra={"worker": slot})
        self._refused.add(slot)
        self._failed = True
        if len(self._refused) == self._count:
            self.stop()

    async def _kill_late(self, worker: _Worker) -> None:
        await self._stop.wait()
        await asyncio.sleep(self._policy.drain_timeout + KILL_GRACE)
        logger.error("A worker did not drain in time and is killed", extra={"pid": worker.pid})
        worker.send(signal.SIGKILL)

    def _revoked(self, slot: int) -> None:
        """The worker in *slot* revoked something: the others look."""
        for other, worker in self._running.items():
            if other != slot:
                worker.nudge()

    def _is_ready(self, slot: int, ports: Ports) -> None:
        logger.info("A worker is ready", extra={"worker": slot, "pid": self._running[slot].pid})
        complete = len(self._ready) == self._count
        self._ready.add(slot)
        self._led.set()
        if not complete and len(self._ready) == self._count:
            self._on_ready(ports)


def supervise(
    settings: Settings, config: Path, *, migrate: bool, on_ready: Callable[[Ports], None] = lambda _: None
) -> int:
    """Serve *settings*, which were read from the file *config*, until told to stop; the exit status.

    *migrate* brings the database to the needed revision before the first worker starts. *on_ready* hears the
    ports once, when every worker takes calls. Raises `StoreError` where migrating fails.
    """
    with open_log(settings.log):
        if migrate:
            _migrate(settings)
        supervisor = Supervisor(
            (sys.executable, "-m", "gateway.worker", "--config", str(config)),
            workers=settings.server.workers,
            policy=SupervisorPolicy(drain_timeout=settings.server.drain_timeout),
            on_ready=on_ready,
        )
        return asyncio.run(supervisor.run())


def _migrate(settings: Settings) -> None:
    # Only here, so that a supervisor that migrates nothing stays small.
    from gateway.clock import system_clock  # noqa: PLC0415 - see above
    from gateway.store import open_store  # noqa: PLC0415 - see above
    from gateway.wiring.store import store_options, store_url  # noqa: PLC0415 - see above

    async def migrate() -> None:
        async with open_store(
            store_url(settings), options=store_options(settings), clock=system_clock, migrate=True
        ):
            logger.info("The database is at the needed revision")

    asyncio.run(migrate())
