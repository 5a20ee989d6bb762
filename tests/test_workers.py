"""The supervisor, with real processes."""

import asyncio
import os
import signal
import sys
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from gateway.ports import Ports
from gateway.workers import Supervisor, SupervisorPolicy

ROOT = Path(__file__).parent.parent
POLICY = SupervisorPolicy(
    start_timeout=20, heartbeat_timeout=20, drain_timeout=20, first_attempts=2, backoff=0.01, max_backoff=0.05
)


class Run:
    """A supervisor under way in this process."""

    def __init__(self, folder, mode, workers, policy):
        self.folder = folder
        self.ports = asyncio.get_running_loop().create_future()
        self.supervisor = Supervisor(
            (sys.executable, "-m", "tests.support.worker_process", mode, str(folder)),
            workers=workers,
            policy=policy,
            on_ready=self.ports.set_result,
        )
        self.task = asyncio.create_task(self.supervisor.run())

    def pids(self):
        return [int(line) for line in (self.folder / "started").read_text().split()]

    async def ready(self):
        async with asyncio.timeout(15):
            return await self.ports

    async def ended(self):
        async with asyncio.timeout(15):
            return await asyncio.shield(self.task)


@asynccontextmanager
async def supervised(folder, mode, workers=1, **policy):
    run = Run(folder, mode, workers, replace(POLICY, **policy))
    try:
        yield run
    finally:
        if not run.task.done():
            run.supervisor.stop()
            run.supervisor.stop()
            await asyncio.wait([run.task], timeout=10)


@pytest.fixture(autouse=True)
def _from_the_repository(monkeypatch):
    """Workers are modules of the tests: they are found from the repository's root."""
    monkeypatch.chdir(ROOT)


async def until(condition):
    """Wait for a process of another program to have done something."""
    async with asyncio.timeout(15):
        while not condition():  # noqa: ASYNC110 - there is no event between programs
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_workers_start_and_drain(tmp_path, number):
    """Every worker is ready, the ports are told once, and a signal ends all of them with 0."""
    async with supervised(tmp_path, "sound", workers=2) as run:
        assert await run.ready() == Ports(tls=1, mtls=2)
        pids = run.pids()
        assert len(pids) == 2
        os.kill(os.getpid(), number)
        assert await run.ended() == 0
        assert not any(psutil.pid_exists(pid) for pid in pids)


async def test_the_first_is_ready_before_others_start(tmp_path):
    """What is wrong with a configuration or a PIN is tried by one worker, however many there are to be."""
    async with supervised(tmp_path, "late", workers=3) as run:
        await run.ready()
        assert len((tmp_path / "alone").read_text().split()) == 1
        assert len(run.pids()) == 3


async def test_a_refused_pin_ends_the_start(tmp_path):
    """One try, although there were to be three workers and each may be started more than once."""
    async with supervised(tmp_path, "refused", workers=3) as run:
        assert await run.ended() == 1
        assert len(run.pids()) == 1


async def test_a_refused_pin_of_a_replacement(tmp_path):
    """It is tried once, and the worker not started again; when the other has ended too, all ends."""
    async with supervised(tmp_path, "refused-later", workers=2) as run:
        await run.ready()
        first, second = run.pids()
        os.kill(first, signal.SIGKILL)
        await until(lambda: len(run.pids()) == 3 and not psutil.pid_exists(run.pids()[2]))
        assert psutil.pid_exists(second)
        os.kill(second, signal.SIGKILL)
        assert await run.ended() == 1
        assert len(run.pids()) == 4


async def test_a_worker_that_crashes_is_replaced(tmp_path):
    """A worker that ends by itself is followed by another, and the program goes on."""
    async with supervised(tmp_path, "crash-once") as run:
        await run.ready()
        await until(lambda: len(run.pids()) == 2)
        assert not run.task.done()
        run.supervisor.stop()
        assert await run.ended() == 0


async def test_a_worker_that_is_killed_is_replaced(tmp_path):
    """SIGKILL of one worker leaves the other alone and brings a third, which knows that it is the second."""
    async with supervised(tmp_path, "sound", workers=2) as run:
        await run.ready()
        first, second = run.pids()
        os.kill(first, signal.SIGKILL)
        await until(lambda: len(run.pids()) == 3)
        assert psutil.pid_exists(second)
        told = [(tmp_path / f"identity-{pid}").read_text().split() for pid in run.pids()]
        assert sorted(told) == [["0", "0"], ["0", "1"], ["1", "0"]]


async def test_a_worker_that_hangs_is_killed_and_replaced(tmp_path):
    """A worker whose event loop is blocked gives no sign of life: it is killed and followed by another."""
    async with supervised(tmp_path, "hang-once", heartbeat_timeout=2.5) as run:
        await run.ready()
        (hanging,) = run.pids()
        await until(lambda: len(run.pids()) == 2)
        assert not psutil.pid_exists(hanging)


async def test_it_gives_up_where_nothing_starts(tmp_path):
    """When no worker can be started at all, the program ends with 1 after the attempts that were allowed."""
    async with supervised(tmp_path, "never") as run:
        assert await run.ended() == 1
        assert len(run.pids()) == POLICY.first_attempts


async def test_a_worker_that_is_never_ready_is_killed(tmp_path):
    """A start that takes too long counts as one in vain."""
    async with supervised(tmp_path, "mute", start_timeout=1.0, first_attempts=1) as run:
        assert await run.ended() == 1
        assert not psutil.pid_exists(run.pids()[0])


async def test_a_command_that_does_not_exist_is_a_failed_start(tmp_path):
    """A program that cannot be run is an exit code and no trace."""
    supervisor = Supervisor((str(tmp_path / "none"),), workers=1, policy=POLICY)
    assert await supervisor.run() == 1


async def test_a_worker_that_does_not_drain_is_killed(tmp_path, monkeypatch):
    """After the drain timeout a worker that still runs is killed, and the exit code says so."""
    monkeypatch.setattr("gateway.workers.KILL_GRACE", 0.1)
    async with supervised(tmp_path, "stubborn", drain_timeout=0.1) as run:
        await run.ready()
        run.supervisor.stop()
        assert await run.ended() == 1
        assert not psutil.pid_exists(run.pids()[0])


async def test_a_second_signal_kills(tmp_path):
    """Who asks twice does not want to wait."""
    async with supervised(tmp_path, "stubborn") as run:
        await run.ready()
        run.supervisor.stop()
        run.supervisor.stop()
        assert await run.ended() == 1


async def test_sighup_is_passed_on(tmp_path):
    """Workers hear of SIGHUP, and go on."""
    async with supervised(tmp_path, "sound") as run:
        await run.ready()
        os.kill(os.getpid(), signal.SIGHUP)
        await until((tmp_path / "hup").exists)
        assert psutil.pid_exists(run.pids()[0])


async def test_a_revocation_is_told_to_the_other_workers(tmp_path):
    """What one worker says the others hear, and it does not hear itself; however often it says so."""
    async with supervised(tmp_path, "revoke", workers=3) as run:
        await run.ready()
        await until(lambda: len(list(tmp_path.glob("heard-*"))) == 2)
        teller = (tmp_path / "teller").read_text()
        assert not (tmp_path / f"heard-{teller}").exists()
        run.supervisor.stop()
        assert await run.ended() == 0


@pytest.mark.parametrize("mode", ["sound", "hang-once"])
async def test_workers_do_not_outlive_the_supervisor(tmp_path, mode):
    """SIGKILL of the supervisor ends its workers, also one whose loop is blocked."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.supervisor_process", mode, str(tmp_path), "2"
    )
    await until((tmp_path / "ready").exists)
    pids = [int(line) for line in (tmp_path / "started").read_text().split()]
    process.kill()
    await process.wait()
    await until(lambda: not any(_runs(pid) for pid in pids))


def _runs(pid):
    """Whether the process runs; one that waits for its parent to notice its end does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_the_supervisor_loads_neither_grpc_nor_a_module_of_an_hsm():
    """What starts processes holds no threads and no locks that a child could inherit a half of."""
    code = "import sys, gateway.workers; print(sorted({'grpc', 'pkcs11'} & set(sys.modules)))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert output.strip() == b"[]"
