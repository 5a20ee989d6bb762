"""grpc.health.v1: the truth, and soon."""

import asyncio

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.health import LIVE, READY, HealthMonitor
from tests.support.pki import Authority
from tests.support.rpc_server import serving

ROOT = Authority.root()
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
TOKENS = "countersign.v1.TokenService"
KEYS = "countersign.v1.KeyService"


class Switch:
    """A probe that a test turns on and off."""

    def __init__(self):
        self.fault = None
        self.rounds = 0

    async def __call__(self):
        self.rounds += 1
        if self.fault is not None:
            raise self.fault


@pytest.fixture
def database():
    """The database, as the probes see it."""
    return Switch()


@pytest.fixture
def signer():
    """The signer, as the probes see it."""
    return Switch()


@pytest.fixture
async def running(tmp_path, database, signer):
    """A server whose tokens need both parts and whose keys need the database."""
    async with serving(
        tmp_path,
        root=ROOT,
        probes={"database": database, "signer": signer},
        services={TOKENS: frozenset({"database", "signer"}), KEYS: frozenset({"database"})},
    ) as server:
        yield server


async def check(running, service):
    async with running.channel() as channel:
        request = health_pb2.HealthCheckRequest(service=service)
        return (await health_pb2_grpc.HealthStub(channel).Check(request, timeout=5)).status


async def all_of(running):
    async with running.channel() as channel:
        response = await health_pb2_grpc.HealthStub(channel).List(health_pb2.HealthListRequest(), timeout=5)
        return {name: answer.status for name, answer in response.statuses.items()}


async def test_everything_serves_when_every_probe_passes(running):
    """Probes have run before the first call is taken."""
    assert await all_of(running) == {READY: SERVING, LIVE: SERVING, TOKENS: SERVING, KEYS: SERVING}


async def test_a_failing_part_turns_off_what_needs_it(running, signer):
    """A signer that fails turns off the tokens and ready, and neither the keys nor live."""
    signer.fault = RuntimeError("gone")
    await running.health.probe()
    assert await all_of(running) == {READY: NOT_SERVING, LIVE: SERVING, TOKENS: NOT_SERVING, KEYS: SERVING}
    signer.fault = None
    await running.health.probe()
    assert await check(running, READY) == SERVING


async def test_a_failing_call_makes_it_look_at_once(running, signer):
    """A nudge probes long before the interval is over."""
    signer.fault = RuntimeError("gone")
    changed = asyncio.create_task(running.health.wait_for_change())
    await asyncio.sleep(0)
    running.health.nudge()
    async with asyncio.timeout(5):
        await changed
    assert await check(running, TOKENS) == NOT_SERVING


async def test_recovery_is_seen_before_the_interval_is_over(running, signer):
    """While something fails it is looked at more often than the interval says."""
    signer.fault = RuntimeError("gone")
    await running.health.probe()
    running.health.nudge()
    signer.fault = None
    async with asyncio.timeout(5):
        while not running.health.serves(READY):
            await running.health.wait_for_change()


async def test_a_watch_hears_every_change(running, database):
    """A watcher is told the state now, then each change."""
    async with running.channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=KEYS))
        assert (await watch.read()).status == SERVING
        database.fault = RuntimeError("read-only")
        await running.health.probe()
        assert (await watch.read()).status == NOT_SERVING
        database.fault = None
        await running.health.probe()
        assert (await watch.read()).status == SERVING


async def test_an_unknown_service_is_watched_as_unknown(running):
    """A watch of a name that does not exist says so and stays open, as the protocol has it."""
    async with running.channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service="no.Such"))
        assert (await watch.read()).status == UNKNOWN


async def test_a_watcher_that_does_not_read_stops_nobody(running, signer):
    """Updates go on while a watcher reads nothing."""
    async with running.channel() as channel:
        health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        for number in range(20):
            signer.fault = RuntimeError("gone") if number % 2 else None
            await running.health.probe()
        assert await check(running, READY) == NOT_SERVING


async def test_a_probe_that_hangs_fails_alone():
    """A probe without an answer fails after its timeout, and no other with it."""

    async def hangs():
        await asyncio.Event().wait()

    monitor = HealthMonitor(
        probes={"hangs": hangs, "fine": Switch()},
        services={"a": frozenset({"hangs"}), "b": frozenset({"fine"})},
        interval=60,
        timeout=0.01,
    )
    await monitor.probe()
    assert (monitor.serves("a"), monitor.serves("b")) == (False, True)
    assert "no answer" in monitor.states["hangs"].detail


async def test_a_state_is_logged_only_when_it_changes(signer, caplog):
    """A probe that fails for an hour is one line."""
    caplog.set_level("INFO")
    monitor = HealthMonitor(probes={"signer": signer}, services={}, interval=60, timeout=1)
    for fault in (None, None, "gone", "gone", "locked", None):
        signer.fault = fault and RuntimeError(fault)
        await monitor.probe()
    assert [each.getMessage() for each in caplog.records] == [
        "Health: signer passes",
        "Health: signer fails: RuntimeError: gone",
        "Health: signer fails: RuntimeError: locked",
        "Health: signer passes",
    ]


async def test_nudges_do_not_make_it_spin(signer):
    """However many calls fail, rounds keep their distance."""
    monitor = HealthMonitor(probes={"signer": signer}, services={}, interval=60, timeout=1)
    task = asyncio.create_task(monitor.run())
    for _ in range(1000):
        monitor.nudge()
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert signer.rounds <= 2


def test_a_service_cannot_need_a_probe_that_does_not_exist():
    """A misspelled probe would make a service serve for ever: it is refused."""
    with pytest.raises(ValueError, match="signr"):
        HealthMonitor(probes={}, services={"a": frozenset({"signr"})}, interval=1, timeout=1)


async def test_before_the_first_round_nothing_serves():
    """What was never probed does not serve; the process lives."""
    monitor = HealthMonitor(probes={"signer": Switch()}, services={}, interval=1, timeout=1)
    assert (monitor.serves(READY), monitor.serves(LIVE)) == (False, True)
