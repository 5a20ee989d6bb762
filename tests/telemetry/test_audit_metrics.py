"""What a scrape has of the audit log."""

import asyncio
from collections import Counter

import pytest

from gateway.audit.chain import Head
from gateway.audit.checkpointing import Signed
from gateway.audit.events import ClientDeleted, TokenRevoked
from gateway.audit.ports import StoredCheckpoint
from gateway.audit.trail import ChainTrail
from gateway.errors import AvailabilityError, Reason
from gateway.store import open_store
from gateway.telemetry.audit_metrics import AuditMetrics
from gateway.telemetry.exposition import exposition
from signers.durations import Histogram
from tests.support.audit_log import AuditKey


class Quiet:
    """A trail and a checkpointer that did nothing yet."""

    def __init__(self):
        self.recorded = Counter()
        self.refused = 0
        self.commits = Histogram()
        self.signed = None


def scraped(trail, checkpoints):
    """The samples of the audit log, as lines."""
    text = exposition(AuditMetrics(trail, checkpoints))().decode()
    lines = [line for line in text.splitlines() if line.startswith("countersign_audit")]
    return [line for line in lines if "_bucket" not in line]


def test_a_worker_that_just_started():
    """Knows nothing of the chain yet, and says so by leaving it out."""
    assert scraped(Quiet(), Quiet()) == [
        "countersign_audit_records_failed_total 0.0",
        "countersign_audit_commit_seconds_count 0.0",
        "countersign_audit_commit_seconds_sum 0.0",
    ]


def test_a_log_that_was_never_signed():
    """Its checkpoint is 0, and so is its time."""
    checkpoints = Quiet()
    checkpoints.signed = Signed(Head(7, bytes(32)), None)
    lines = scraped(Quiet(), checkpoints)
    assert "countersign_audit_sequence_number 7.0" in lines
    assert "countersign_audit_checkpoint_sequence_number 0.0" in lines
    assert "countersign_audit_checkpoint_time_seconds 0.0" in lines
    checkpoints.signed = Signed(Head(7, bytes(32)), StoredCheckpoint(Head(5, bytes(32)), 1e9, ""))
    lines = scraped(Quiet(), checkpoints)
    assert "countersign_audit_checkpoint_sequence_number 5.0" in lines
    assert "countersign_audit_checkpoint_time_seconds 1e+09" in lines


async def test_records_commits_and_checkpoints(tmp_path):
    """By event, by commit, and how far the log is signed, of a real trail."""
    async with open_store(f"sqlite:///{tmp_path}/state.db", migrate=True) as store:
        trail = ChainTrail(
            store.audit, writer="w", queue=2, segment_records=10, timeout=5.0, clock=lambda: 1000.0
        )
        checkpointer = AuditKey().checkpointer(store.audit, lambda: 1000.0)
        async with trail:
            await trail.record(ClientDeleted("a"))
            await asyncio.gather(trail.record(TokenRevoked(None, "t")), trail.record(ClientDeleted("b")))
            with pytest.raises(AvailabilityError) as caught:
                await trail.record(*[ClientDeleted("c")] * 3)
            assert caught.value.reason is Reason.AUDIT_UNAVAILABLE
            await checkpointer.sign_now()
            await trail.record(ClientDeleted("d"))
            await checkpointer.sign_due()
        lines = scraped(trail, checkpointer)
    assert 'countersign_audit_records_total{event="client.deleted"} 3.0' in lines
    assert 'countersign_audit_records_total{event="token.revoked"} 1.0' in lines
    assert "countersign_audit_records_failed_total 3.0" in lines
    assert "countersign_audit_commit_seconds_count 3.0" in lines
    assert "countersign_audit_sequence_number 3.0" in lines
    assert "countersign_audit_checkpoint_sequence_number 2.0" in lines
    assert "countersign_audit_checkpoint_time_seconds 1000.0" in lines
