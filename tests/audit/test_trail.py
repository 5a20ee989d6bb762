"""The way into the chain: shared commits, durable before anybody goes on, or refused."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.audit.chain import Draft, Head
from gateway.audit.events import ClientDeleted, TokenRevoked
from gateway.audit.ports import NO_TRAIL
from gateway.audit.records import encode_members
from gateway.audit.trail import ChainTrail
from gateway.errors import AvailabilityError, Reason, StateError
from gateway.principal import Call, Principal, call_under_way
from gateway.store import Store, open_store
from gateway.telemetry.caller import current_caller
from tests.support.gateway import call_of
from tests.support.pki import Authority


class Gate:
    """The store's chain behind a gate, which a test may close, or let fail."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.open = asyncio.Event()
        self.open.set()
        self.arrived = asyncio.Event()
        self.error: Exception | None = None
        self.sizes: list[int] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store.audit, name)

    async def append(self, draft: Draft) -> Head:
        """As the store's, once the gate is open."""
        self.arrived.set()
        await self.open.wait()
        if self.error is not None:
            raise self.error
        self.sizes.append(len(draft.records))
        return await self._store.audit.append(draft)

    async def records(self) -> list[dict[str, Any]]:
        """Everything that is in the chain."""
        segments = await self._store.audit.segments(after=0, limit=1000)
        return [json.loads(record) for segment in segments for record in segment.records]


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Gate]:
    """A chain on SQLite."""
    async with open_store(f"sqlite:///{tmp_path}/state.db", migrate=True) as store:
        yield Gate(store)


@asynccontextmanager
async def opened(gate: Gate, **changes: Any) -> AsyncIterator[ChainTrail]:
    """A trail into it."""
    options = {"queue": 100, "segment_records": 50, "timeout": 5.0} | changes
    async with ChainTrail(gate, writer="w1", clock=lambda: 1_900_000_000.5, **options) as trail:
        yield trail


def refusal(error: BaseException | None) -> str | None:
    """The cause of a refusal by the log."""
    assert isinstance(error, AvailabilityError)
    assert error.reason is Reason.AUDIT_UNAVAILABLE
    assert error.retry_after is not None
    return error.cause


async def test_a_record_is_in_the_chain_when_the_call_returns(gate):
    """With its time, and the caller that the context names."""
    current_caller.set("cli:root")
    async with opened(gate) as trail:
        await trail.record(ClientDeleted("one"))
        (record,) = await gate.records()
    assert record == {
        "caller": "cli:root",
        "certificate": None,
        "client_id": "one",
        "event": "client.deleted",
        "outcome": "ok",
        "reason": "",
        "request_id": "",
        "time": 1_900_000_000_500_000,
    }


async def test_a_record_names_the_call_it_comes_from(gate):
    """Caller, certificate and request id are those of the call, whatever the context named before."""
    issued = Authority.root().leaf("admin")
    call = call_of(issued)
    current_caller.set("somebody else")
    call_under_way.set(Call(Principal("spiffe://example.org/admin"), call.certificate, "request-7"))
    async with opened(gate) as trail:
        await trail.record(ClientDeleted("one"))
    (record,) = await gate.records()
    assert call.certificate is not None
    assert record["caller"] == "spiffe://example.org/admin"
    assert record["certificate"] == call.certificate.x5t_s256
    assert record["request_id"] == "request-7"


async def test_records_that_come_during_a_commit_share_the_next(gate):
    """However many there are; they keep their order, and each caller's stay together."""
    async with opened(gate) as trail:
        gate.open.clear()
        first = asyncio.create_task(trail.record(ClientDeleted("first")))
        await gate.arrived.wait()
        more = [
            asyncio.create_task(trail.record(ClientDeleted(f"{n}a"), ClientDeleted(f"{n}b")))
            for n in range(10)
        ]
        await asyncio.sleep(0)
        assert not first.done()
        gate.open.set()
        await asyncio.gather(first, *more)
        assert gate.sizes == [1, 20]
        ids = [record["client_id"] for record in await gate.records()]
    assert ids == ["first", *(f"{n}{part}" for n in range(10) for part in "ab")]
    assert trail.recorded == {"client.deleted": 21}
    assert trail.head == await gate.head()


async def test_a_segment_has_a_bound(gate):
    """What does not fit is in the next; a lone entry is never too large."""
    async with opened(gate, segment_records=4) as trail:
        gate.open.clear()
        tasks = [asyncio.create_task(trail.record(*[ClientDeleted("x")] * n)) for n in (1, 3, 2, 9, 1)]
        await gate.arrived.wait()
        gate.open.set()
        await asyncio.gather(*tasks)
    assert gate.sizes == [4, 2, 9, 1]


async def test_a_full_queue_refuses(gate):
    """At once, and what waits is written all the same."""
    async with opened(gate, queue=3) as trail:
        gate.open.clear()
        first = asyncio.create_task(trail.record(ClientDeleted("first")))
        await gate.arrived.wait()
        waiting = [asyncio.create_task(trail.record(ClientDeleted("x"))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(AvailabilityError) as caught:
            await trail.record(ClientDeleted("y"))
        assert refusal(caught.value) == "audit_queue_full"
        gate.open.set()
        await asyncio.gather(first, *waiting)
    assert len(await gate.records()) == 4
    assert trail.refused == 1


async def test_who_shares_a_commit_that_fails_is_refused(gate):
    """Each with an error of its own that has the store's cause; the next commit is tried anew."""
    async with opened(gate) as trail:
        gate.error = AvailabilityError(Reason.STORE_UNAVAILABLE, "away", cause="store_full")
        outcomes = await asyncio.gather(
            *(trail.record(ClientDeleted("x")) for _ in range(3)), return_exceptions=True
        )
        assert [refusal(each) for each in outcomes] == ["store_full"] * 3
        assert len({id(each) for each in outcomes}) == 3
        gate.error = None
        await trail.record(ClientDeleted("y"))
    assert [record["client_id"] for record in await gate.records()] == ["y"]


async def test_a_commit_that_takes_too_long_refuses(gate):
    """A database that hangs holds up nobody for longer than the timeout."""
    async with opened(gate, timeout=0.05) as trail:
        gate.open.clear()
        with pytest.raises(AvailabilityError) as caught:
            await trail.record(ClientDeleted("x"))
        gate.open.set()
    assert refusal(caught.value) == "TimeoutError"


async def test_a_defect_refuses_and_ends_nothing(gate, caplog):
    """What nobody expects is logged, refuses whoever waits, and the next record is written."""
    async with opened(gate) as trail:
        gate.error = RuntimeError("a defect")
        with pytest.raises(AvailabilityError) as caught:
            await trail.record(ClientDeleted("x"))
        assert refusal(caught.value) == "RuntimeError"
        assert "could not be written" in caplog.text
        gate.error = None
        await trail.record(ClientDeleted("y"))


async def test_a_caller_that_has_gone_leaves_its_record(gate):
    """Being cancelled while the record waits takes nothing out of the chain, and disturbs nobody."""
    async with opened(gate) as trail:
        gate.open.clear()
        gone = asyncio.create_task(trail.record(ClientDeleted("gone")))
        stays = asyncio.create_task(trail.record(ClientDeleted("stays")))
        await gate.arrived.wait()
        gone.cancel()
        gate.open.set()
        await stays
    assert [record["client_id"] for record in await gate.records()] == ["gone", "stays"]


async def test_closing_writes_what_waits_and_refuses_the_rest(gate):
    """Nothing that somebody waits for is dropped."""
    async with opened(gate) as trail:
        gate.open.clear()
        waiting = asyncio.create_task(trail.record(ClientDeleted("x")))
        await gate.arrived.wait()
        asyncio.get_running_loop().call_soon(gate.open.set)
    await waiting
    assert len(await gate.records()) == 1
    with pytest.raises(AvailabilityError) as caught:
        await trail.record(ClientDeleted("y"))
    assert refusal(caught.value) == "audit_log_closed"


async def test_nothing_happens_without_its_record(gate):
    """The body does not run where the record cannot be written."""
    ran = False
    async with opened(gate) as trail:
        gate.error = AvailabilityError(Reason.STORE_UNAVAILABLE, "away", cause="store_gone")
        with pytest.raises(AvailabilityError):
            async with trail.around(ClientDeleted("x")):
                ran = True
    assert not ran


async def test_a_record_is_durable_before_the_body_runs(gate):
    """The body finds it in the chain."""
    async with opened(gate) as trail, trail.around(TokenRevoked("backend", "t1")):
        (record,) = await gate.records()
    assert (record["event"], record["token_id"]) == ("token.revoked", "t1")


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        (StateError(Reason.CLIENT_NOT_FOUND, "none"), "failed", "CLIENT_NOT_FOUND"),
        (AvailabilityError(Reason.STORE_UNAVAILABLE, "away"), "unknown", "STORE_UNAVAILABLE"),
        (RuntimeError("a defect"), "unknown", "RuntimeError"),
        (asyncio.CancelledError(), "unknown", "CancelledError"),
    ],
)
async def test_an_effect_that_failed_has_a_second_record(gate, error, outcome, reason):
    """It repeats the event; a database that went away may have done it, so that is not known."""
    async with opened(gate) as trail:
        with pytest.raises(type(error)) as caught:
            async with trail.around(ClientDeleted("x")):
                raise error
        assert caught.value is error
    first, second = await gate.records()
    assert (first["outcome"], second["outcome"], second["reason"]) == ("ok", outcome, reason)
    assert {**first, "outcome": outcome, "reason": reason} == second
    assert encode_members(second)


async def test_an_effect_that_was_not_needed_has_a_second_record(gate):
    """Where another replica was first, or the request was repeated."""
    async with opened(gate) as trail, trail.around(ClientDeleted("x")) as effect:
        effect.absent("REPEATED")
    _, second = await gate.records()
    assert (second["outcome"], second["reason"]) == ("failed", "REPEATED")


async def test_a_failure_that_cannot_be_recorded_is_logged(gate, caplog):
    """The caller hears of its own error, not of the log's."""
    async with opened(gate) as trail:
        effect = trail.around(ClientDeleted("x"))
        await effect.__aenter__()
        gate.error = AvailabilityError(Reason.STORE_UNAVAILABLE, "away", cause="store_gone")
        error = StateError(Reason.CLIENT_NOT_FOUND, "none")
        assert not await effect.__aexit__(StateError, error, None)
    assert "could not be told that an operation failed" in caplog.text


async def test_nothing_to_record_is_no_segment(gate):
    """A batch of which every item was refused."""
    async with opened(gate) as trail:
        await trail.record()
    assert gate.sizes == []


async def test_a_log_that_is_off_does_nothing():
    """The same calls, and nothing behind them."""
    await NO_TRAIL.record(ClientDeleted("x"))
    async with NO_TRAIL.around(ClientDeleted("x")) as effect:
        effect.absent("REPEATED")
