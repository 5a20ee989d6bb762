"""Checkpoints: when one is due, that one replica signs it, and what the log says of it."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.audit.checkpoint import from_line
from gateway.audit.verification import verify_lines
from gateway.errors import AvailabilityError, Reason
from gateway.store import Store, open_store
from gateway.telemetry.log_format import event_fields
from tests.support.audit_log import AuditKey, append, exported
from tests.support.gateway import ISSUER, SteppedClock

KEY = AuditKey()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    """A store on SQLite."""
    async with open_store(f"sqlite:///{tmp_path}/state.db", migrate=True) as opened:
        yield opened


async def test_nothing_is_signed_where_nothing_came(store):
    """An empty chain, and one that has not grown since the last checkpoint."""
    checkpointer = KEY.checkpointer(store.audit)
    assert await checkpointer.sign_due() is None
    await append(store.audit, 1)
    assert await checkpointer.sign_now() is not None
    assert await checkpointer.sign_now() is None


async def test_a_checkpoint_is_due_after_its_time(store):
    """The first at once, the next one interval later."""
    clock = SteppedClock()
    checkpointer = KEY.checkpointer(store.audit, clock, interval=60.0)
    head = await append(store.audit, 1)
    signed = await checkpointer.sign_due()
    assert signed is not None
    assert (signed.issuer, signed.sign_time, signed.head, signed.previous) == (ISSUER, clock.now, head, 0)
    await append(store.audit, 1)
    clock.advance(59)
    assert await checkpointer.sign_due() is None
    clock.advance(1)
    signed = await checkpointer.sign_due()
    assert signed is not None
    assert (signed.head.sequence_number, signed.previous) == (2, 1)


async def test_a_checkpoint_is_due_after_so_many_segments(store):
    """Whatever the time is."""
    checkpointer = KEY.checkpointer(store.audit, SteppedClock(), segments=3)
    await append(store.audit, 1)
    await checkpointer.sign_due()
    await append(store.audit, 1, 1)
    assert await checkpointer.sign_due() is None
    await append(store.audit, 1)
    assert await checkpointer.sign_due() is not None


async def test_of_several_replicas_one_signs(store):
    """All look at once; the chain of checkpoints has no branch."""
    checkpointers = [KEY.checkpointer(store.audit) for _ in range(5)]
    for _ in range(3):
        await append(store.audit, 1)
        signed = await asyncio.gather(*(each.sign_now() for each in checkpointers))
        assert len([each for each in signed if each is not None]) == 1
    verdict = verify_lines(await exported(store.audit, [KEY.jwk]), KEY.trusted)
    assert (verdict.checkpoints, verdict.unsigned) == (3, 0)


async def test_a_replica_that_dies_while_it_signs_is_followed(store):
    """Its claim ends by itself."""
    clock = SteppedClock()
    await append(store.audit, 1)
    assert await store.audit.claim_checkpoint(now=clock.now, until=clock.now + 10) is not None
    checkpointer = KEY.checkpointer(store.audit, clock)
    assert await checkpointer.sign_due() is None
    clock.advance(10)
    assert await checkpointer.sign_due() is not None


async def test_a_signer_that_is_away_is_asked_again(store, caplog):
    """The task goes on, and the log says why there is no checkpoint."""
    await append(store.audit, 1)
    checkpointer = KEY.checkpointer(store.audit)
    tried = asyncio.Event()

    async def fail(_: bytes) -> str:
        tried.set()
        raise AvailabilityError(Reason.NO_ACTIVE_KEY, "none", cause="no_key")

    checkpointer._sign = fail
    async with checkpointer:
        await tried.wait()
        await asyncio.sleep(0)
    assert "no audit checkpoint could be signed" in caplog.text
    assert await store.audit.latest_checkpoint() is None


async def test_the_task_signs_by_itself(store):
    """Once it is entered."""
    await append(store.audit, 1)
    signed = asyncio.Event()
    checkpointer = KEY.checkpointer(store.audit)

    async def sign(payload: bytes) -> str:
        signed.set()
        return await KEY.sign(payload)

    checkpointer._sign = sign
    async with checkpointer, asyncio.timeout(5):
        await signed.wait()


async def test_a_line_of_the_log_holds_the_checkpoint(store, caplog):
    """What the log writes is enough to compare the chain with later; no redaction stands in the way."""
    await append(store.audit, 1)
    with caplog.at_level(logging.INFO, logger="audit"):
        await KEY.checkpointer(store.audit).sign_now()
    (record,) = [each for each in caplog.records if each.getMessage() == "audit checkpoint"]
    stored = await store.audit.latest_checkpoint()
    assert stored is not None
    assert from_line(json.dumps(event_fields(record)).encode()) == stored.jws
    assert from_line(b'{"message":"something else"}') is None
    assert from_line(b"not json") is None
