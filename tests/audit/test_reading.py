"""Exports for callers: bounded, whole each, on record, and the same octets as on the command line."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.audit import reading
from gateway.audit.events import AuditExported, ClientDeleted
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.audit.reading import AskedExport, AuditReader, Moment
from gateway.audit.trail import ChainTrail
from gateway.audit.verification import Verdict, verify_lines
from gateway.errors import AvailabilityError, Reason, RequestError
from gateway.store import Store, open_store
from tests.support.audit_log import AuditKey, append, exported, recorded
from tests.support.gateway import ISSUER

NOW = 5.0


class Log:
    """A log on SQLite of six segments of one to three records, with a checkpoint of the fourth."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.key = AuditKey()

    async def fill(self) -> None:
        """Write it; segment N at second N."""
        await append(self.store.audit, 1, 2, 3, 1)
        await self.key.checkpointer(self.store.audit, lambda: 4.5).sign_now()
        await append(self.store.audit, 2, 3)

    def reader(self, trail: AuditTrail = NO_TRAIL) -> AuditReader:
        """Who reads it."""

        async def keys():
            return [self.key.jwk]

        return AuditReader(
            self.store.audit, keys=keys, issuer=ISSUER, trail=trail, enabled=False, clock=lambda: NOW
        )

    async def lines(self, asked: AskedExport = AskedExport()) -> tuple[list[bytes], int]:  # noqa: B008 - frozen
        """An export, and where to go on."""
        chunks = [chunk async for chunk in self.reader().export(asked)]
        assert [chunk.following for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
        return [line for chunk in chunks for line in chunk.lines], chunks[-1].following

    async def verdict(self, asked: AskedExport) -> tuple[Verdict, int]:
        """What verification says of an export, and where to go on."""
        lines, following = await self.lines(asked)
        return verify_lines(lines, self.key.trusted), following


@pytest.fixture
async def log(tmp_path: Path) -> AsyncIterator[Log]:
    """A log to read."""
    async with open_store(f"sqlite:///{tmp_path}/state.db", migrate=True) as store:
        log = Log(store)
        await log.fill()
        yield log


async def test_an_export_is_that_of_the_command_line(log):
    """To the last octet."""
    lines, following = await log.lines()
    assert lines == await exported(log.store.audit, [log.key.jwk])
    assert following == 7


async def test_chunks_are_bounded(log, monkeypatch):
    """Lines come together as far as they fit, and a line that does not fit comes alone."""
    monkeypatch.setattr(reading, "MAX_CHUNK", 600)
    chunks = [chunk async for chunk in log.reader().export(AskedExport())]
    whole = [line for chunk in chunks for line in chunk.lines]
    assert whole == await exported(log.store.audit, [log.key.jwk])
    sizes = [sum(map(len, chunk.lines)) for chunk in chunks]
    assert all(size <= 600 or len(chunk.lines) == 1 for size, chunk in zip(sizes, chunks, strict=True))
    assert any(len(chunk.lines) > 1 for chunk in chunks)


@pytest.mark.parametrize(
    ("asked", "segments", "following"),
    [
        (AskedExport(first=3), (3, 6), 7),
        (AskedExport(first=3, last=4), (3, 4), 5),
        (AskedExport(last=100), (1, 6), 7),
        (AskedExport(segments=2), (1, 2), 3),
        (AskedExport(first=3, segments=2), (3, 4), 5),
        (AskedExport(first=7), (7, 6), 7),
        (AskedExport(first=Moment(3.0)), (3, 6), 7),
        (AskedExport(first=Moment(2.5), last=Moment(4.0)), (3, 4), 5),
        (AskedExport(first=Moment(99.0)), (7, 6), 7),
        (AskedExport(first=5, last=Moment(2.0)), (5, 4), 5),
    ],
)
async def test_what_is_asked_for_is_exported(log, asked, segments, following):
    """By numbers, by times, and no more than so many; it verifies by itself, and names where to go on."""
    verdict, next_one = await log.verdict(asked)
    assert (verdict.after.sequence_number + 1, verdict.head.sequence_number) == segments
    assert next_one == following


async def test_exports_follow_from_each_other(log):
    """The second goes on where the first ended, with the hash that it ended with."""
    first, following = await log.verdict(AskedExport(segments=4))
    second, _ = await log.verdict(AskedExport(first=following))
    assert second.after == first.head
    assert second.head == await log.store.audit.head()


async def test_a_number_behind_the_end_is_refused(log):
    """Whoever had that segment knows by it that the log was cut."""
    with pytest.raises(RequestError) as caught:
        await log.lines(AskedExport(first=8))
    assert (caught.value.reason, caught.value.field) == (Reason.INVALID_FIELD, "first_sequence_number")
    assert caught.value.metadata == {"sequence_number": "6"}


async def test_pruned_segments_are_left_out(log):
    """The export begins behind them, and its bound is counted from there."""
    (checkpoint,) = await log.store.audit.checkpoints(first=1, last=9)
    await log.store.audit.prune(checkpoint.head)
    verdict, following = await log.verdict(AskedExport(segments=1))
    assert (verdict.after, verdict.head.sequence_number, following) == (checkpoint.head, 5, 6)
    assert (await log.reader().end()).pruned == checkpoint.head


async def test_the_end(log):
    """The head, and the last checkpoint, which is of an earlier segment."""
    end = await log.reader().end()
    assert end.head == await log.store.audit.head()
    assert (end.pruned.sequence_number, end.enabled) == (0, False)
    assert log.key.trusted.verify(end.checkpoint.jws).head.sequence_number == 4


async def test_an_empty_log(tmp_path):
    """Has an export too, and no checkpoint."""
    async with open_store(f"sqlite:///{tmp_path}/state.db", migrate=True) as store:
        log = Log(store)
        assert (await log.reader().end()).checkpoint is None
        verdict, following = await log.verdict(AskedExport())
        assert (verdict.head.sequence_number, following) == (0, 1)


def trail_of(store: Store) -> ChainTrail:
    """A trail that nothing holds up."""
    return ChainTrail(store.audit, writer="w", queue=10, segment_records=10, timeout=5.0, clock=lambda: NOW)


async def test_an_export_is_on_record_before_its_first_line(log):
    """With its segments, of which its own record is none; one without segments is not on record."""
    async with trail_of(log.store) as trail:
        chunks = log.reader(trail).export(AskedExport(first=2))
        first = await anext(chunks)
        (mine,) = await recorded(log.store.audit, after=6)
        assert mine["event"] == AuditExported.event
        assert (mine["first_sequence_number"], mine["last_sequence_number"]) == (2, 6)
        lines = [*first.lines, *[line async for chunk in chunks for line in chunk.lines]]
        assert json.loads(lines[-1])["sequence_number"] == 6
        assert [chunk async for chunk in log.reader(trail).export(AskedExport(first=8))]
        assert (await log.store.audit.head()).sequence_number == 7


async def test_nothing_is_given_out_that_is_not_on_record(log):
    """A trail that takes no records ends the export before its first line."""
    trail = trail_of(log.store)
    async with trail:
        await trail.record(ClientDeleted("x"))
    with pytest.raises(AvailabilityError) as caught:
        await anext(log.reader(trail).export(AskedExport()))
    assert caught.value.reason is Reason.AUDIT_UNAVAILABLE
