"""Refused calls on record: counted by kind, within a bound that nobody's calls can pass."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gateway.audit import refusals
from gateway.audit.events import CallsRefused
from gateway.audit.refusals import RefusalCounts, RefusalRecorder
from gateway.errors import AvailabilityError, Reason
from gateway.store import open_store
from gateway.telemetry.access_log import AccessRecord
from tests.support.audit_log import recorded
from tests.support.edge import TOKEN, Edge
from tests.support.gateway import API, RememberingLog, running_gateway

MINT = "/countersign.v1.TokenService/MintToken"


def refused(
    reason: str, *, caller: str = "", cause: str = "", at: float = 100.0, **more: Any
) -> AccessRecord:
    """A call that ended with *reason*."""
    record = AccessRecord(at, MINT, "X", reason, cause, caller, f"r{at:.0f}", "peer", 1.0, None)
    return record._replace(**more)


class Trail:
    """What a test hears of records, while it is willing to."""

    def __init__(self) -> None:
        self.written: asyncio.Queue[tuple[CallsRefused, ...]] = asyncio.Queue()
        self.broken = False

    async def record(self, *events: CallsRefused) -> None:
        """As `AuditTrail.record`."""
        if self.broken:
            raise AvailabilityError(Reason.AUDIT_UNAVAILABLE, "No.", cause="broken")
        self.written.put_nowait(events)


async def written(counts: RefusalCounts) -> list[CallsRefused]:
    """What would be recorded now."""
    trail = Trail()
    await counts.write(trail)
    return list(trail.written.get_nowait()) if trail.written.qsize() else []


async def test_calls_of_a_kind_are_one_record():
    """With their number, the first request, and the time of the first and the last."""
    log = RememberingLog()
    counts = RefusalCounts(log)
    for at in (100.0, 101.0, 103.9):
        counts.record(refused("PERMISSION_DENIED", caller="api", cause="no_role", at=at))
    assert await written(counts) == [
        CallsRefused("api", "PERMISSION_DENIED", "no_role", MINT, 3, "r100", 100, 103)
    ]
    assert await written(counts) == []
    assert len(log.records) == 3  # Whatever is counted goes on to the log.


async def test_what_tells_kinds_apart():
    """Caller, reason, cause, and of callers with a name the method; strangers have none."""
    counts = RefusalCounts(RememberingLog())
    for record in (
        refused("INVALID_CLIENT", cause="secret_wrong"),
        refused("INVALID_CLIENT", cause="secret_wrong", method="/other"),
        refused("INVALID_CLIENT", cause="assertion_replayed"),
        refused("INVALID_TOKEN", cause="secret_wrong"),
        refused("INVALID_TOKEN", caller="a"),
        refused("INVALID_TOKEN", caller="b"),
        refused("INVALID_TOKEN", caller="b", method="POST /some/path", route="POST /{x}"),
    ):
        counts.record(record)
    found = [
        (each.refused_caller, each.refused_reason, each.refused_cause, each.method, each.count)
        for each in await written(counts)
    ]
    assert found == [
        ("", "INVALID_CLIENT", "secret_wrong", "", 2),
        ("", "INVALID_CLIENT", "assertion_replayed", "", 1),
        ("", "INVALID_TOKEN", "secret_wrong", "", 1),
        ("a", "INVALID_TOKEN", "", MINT, 1),
        ("b", "INVALID_TOKEN", "", MINT, 1),
        ("b", "INVALID_TOKEN", "", "POST /{x}", 1),
    ]


@pytest.mark.parametrize(
    "reason", ["", "STORE_UNAVAILABLE", "RATE_LIMITED", "USE_DPOP_NONCE", "INVALID_SCOPE"]
)
async def test_what_is_not_recorded(reason):
    """Successes, failures of ours, and slips that say nothing of who calls."""
    counts = RefusalCounts(RememberingLog())
    counts.record(refused(reason))
    assert await written(counts) == []


@pytest.mark.parametrize(
    ("cause", "kept"),
    [
        ("dpop_replayed", "dpop_replayed"),
        ("dpop_replayed: ValueError: x", "dpop_replayed"),
        ("ValueError: sent by somebody", ""),
        ("two words", ""),
        ("a" * 65, ""),
    ],
)
async def test_a_cause_is_one_word_of_ours(cause, kept):
    """Never text that came from somewhere else."""
    counts = RefusalCounts(RememberingLog())
    counts.record(refused("INVALID_CLIENT", cause=cause))
    assert [each.refused_cause for each in await written(counts)] == [kept]


async def test_kinds_are_bounded(monkeypatch):
    """What is beyond is counted together; kinds that are known are counted as before."""
    monkeypatch.setattr(refusals, "MAX_KINDS", 2)
    counts = RefusalCounts(RememberingLog())
    for caller in ("a", "b", "c", "d", "a"):
        counts.record(refused("PERMISSION_DENIED", caller=caller))
    found = await written(counts)
    assert [(each.refused_caller, each.refused_reason, each.count) for each in found] == [
        ("a", "PERMISSION_DENIED", 2),
        ("b", "PERMISSION_DENIED", 1),
        (None, "", 2),
    ]


async def test_what_cannot_be_written_is_counted_on(monkeypatch):
    """With what comes meanwhile, within the same bound, until the log takes it."""
    monkeypatch.setattr(refusals, "MAX_KINDS", 2)
    counts, trail = RefusalCounts(RememberingLog()), Trail()
    counts.record(refused("INVALID_TOKEN", caller="a", at=1))
    counts.record(refused("INVALID_TOKEN", caller="b", at=2))

    class Refusing(Trail):
        async def record(self, *events: CallsRefused) -> None:
            for caller in ("a", "c", "d"):
                counts.record(refused("INVALID_TOKEN", caller=caller, at=3))
            raise AvailabilityError(Reason.AUDIT_UNAVAILABLE, "No.")

    with pytest.raises(AvailabilityError):
        await counts.write(Refusing())
    await counts.write(trail)
    found = {each.refused_caller: each for each in trail.written.get_nowait()}
    assert {name: each.count for name, each in found.items()} == {"a": 2, "b": 1, None: 2}
    assert (found["a"].first_time, found["a"].last_time, found["a"].first_request_id) == (1, 3, "r1")


async def test_counts_are_written_each_interval_and_at_the_end(caplog):
    """A log that takes nothing is tried again; leaving writes the rest, and stops the task."""
    counts, trail = RefusalCounts(RememberingLog()), Trail()
    async with RefusalRecorder(counts, trail, interval=0.01), asyncio.timeout(10):
        counts.record(refused("INVALID_TOKEN", caller="a"))
        assert [each.count for each in await trail.written.get()] == [1]
        trail.broken = True
        counts.record(refused("INVALID_TOKEN", caller="b"))
        while "not on record" not in caplog.text:  # noqa: ASYNC110 - nothing else tells it
            await asyncio.sleep(0.01)
        trail.broken = False
        assert [each.refused_caller for each in await trail.written.get()] == ["b"]
    async with RefusalRecorder(counts, trail, interval=3600.0):
        counts.record(refused("INVALID_TOKEN", caller="c"))
    assert [each.refused_caller for each in trail.written.get_nowait()] == ["c"]
    assert not [each for each in asyncio.all_tasks() if each.get_name() == "audit-refusals"]


async def test_a_fault_of_ours_does_not_end_the_task(caplog):
    """It is logged, and the next interval comes."""

    class Faulty(Trail):
        async def record(self, *events: CallsRefused) -> None:
            if not caplog.records:
                raise KeyError("x")
            await super().record(*events)

    counts, trail = RefusalCounts(RememberingLog()), Faulty()
    async with RefusalRecorder(counts, trail, interval=0.01), asyncio.timeout(10):
        counts.record(refused("INVALID_TOKEN"))
        while not caplog.records:  # noqa: ASYNC110 - nothing else tells it
            await asyncio.sleep(0.01)
        counts.record(refused("INVALID_TOKEN", at=200))
        assert [each.count for each in await trail.written.get()] == [1]


@pytest.fixture
async def refusing(tmp_path: Path) -> Path:
    """The folder of a gateway at which calls were refused, after its end."""
    async with running_gateway(tmp_path, audit={"enabled": True}) as gateway:
        for _ in range(3):
            form = {"grant_type": "client_credentials", "client_id": "who", "client_secret": "guessed"}
            answer = await Edge(gateway).post(TOKEN, data=form)
            assert answer.status_code == 401
        async with gateway.client(gateway.api) as api:
            for _ in range(2):
                with pytest.raises(Exception, match="PERMISSION_DENIED"):
                    await anext(api.list_keys())
        async with gateway.client() as nobody:
            with pytest.raises(Exception, match="CALLER_UNAUTHENTICATED"):
                await anext(nobody.list_keys())
    return tmp_path


async def test_refusals_at_both_doors(refusing):
    """Of strangers and of callers with a name, once the worker ends; with nothing that was sent."""
    async with open_store(f"sqlite:///{refusing}/countersign.db") as store:
        found = await recorded(store.audit, after=1)  # The first is of the key.
        octets = str(await store.audit.segments(after=0, limit=10))
    assert {each["event"] for each in found} == {"calls.refused"}
    assert {each["caller"] for each in found} == {""}
    counts = {
        (each["refused_caller"], each["refused_reason"], each["method"]): each["count"] for each in found
    }
    assert counts == {
        ("", "INVALID_CLIENT", ""): 3,
        (API, "PERMISSION_DENIED", "/countersign.v1.KeyService/ListKeys"): 2,
        ("", "CALLER_UNAUTHENTICATED", ""): 1,
    }
    assert "guessed" not in octets


async def test_they_can_be_left_out(tmp_path):
    """By the configuration."""
    async with (
        running_gateway(tmp_path, audit={"enabled": True, "refusals": False}) as gateway,
        gateway.client() as nobody,
    ):
        with pytest.raises(Exception, match="CALLER_UNAUTHENTICATED"):
            await anext(nobody.list_keys())
    async with open_store(f"sqlite:///{tmp_path}/countersign.db") as store:
        assert [each["event"] for each in await recorded(store.audit)] == ["key.created"]
