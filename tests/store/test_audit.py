"""The audit log's chain on both databases: numbers without gaps, hashes, triggers, checkpoints, pruning."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from gateway.audit.chain import EMPTY, Draft, Head, appended
from gateway.audit.ports import StoredCheckpoint
from gateway.store import Store, open_store
from gateway.store.options import SqliteUrl, parse_url
from tests.support.stores import DATABASES, empty_database


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """The store on it."""
    async with open_store(url, migrate=True) as opened:
        yield opened


async def execute(url: str, statement: str) -> None:
    """Run *statement* as the database's owner would, with nothing of the store between."""
    target = parse_url(url)
    if isinstance(target, SqliteUrl):
        with closing(sqlite3.connect(target.path)) as file:
            file.execute(statement)
            file.commit()
        return
    server = await asyncpg.connect(url)
    try:
        await server.execute(statement)
    finally:
        await server.close()


def draft(*records: str, writer: str = "w1", time: int = 1_000_000) -> Draft:
    """A segment to append."""
    return Draft(writer, time, tuple(each.encode() for each in records))


async def checkpointed(store: Store, head: Head, previous: int = 0) -> None:
    """Store a checkpoint of *head*, behind that of segment *previous*."""
    assert await store.audit.add_checkpoint(StoredCheckpoint(head, 5.0, "jws"), previous=previous)


async def test_a_segment_is_the_next_and_its_hash_that_of_the_chain(store):
    """Both databases compute what `appended` says, and give back what was written."""
    before = EMPTY
    for number in range(1, 4):
        made = draft(f'{{"n":{number}}}', "{}")
        head = await store.audit.append(made)
        expected = appended(before, made)
        assert head == expected.head == await store.audit.head()
        assert list(await store.audit.segments(after=number - 1, limit=9)) == [expected]
        before = head


async def test_writers_at_once_leave_one_chain(url, store):
    """Two stores that append together number without gap or fork, and every hash follows from the last."""
    async with open_store(url) as other:
        await asyncio.gather(
            *(
                each.audit.append(draft(f"{{{number}}}", writer=f"w{number}"))
                for number in range(30)
                for each in (store, other)
            )
        )
    before = EMPTY
    segments = await store.audit.segments(after=0, limit=100)
    for segment in segments:
        assert segment == appended(before, Draft(segment.writer, segment.write_time, segment.records))
        before = segment.head
    assert len(segments) == 60
    assert before == await store.audit.head()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_segments SET writer = 'me' WHERE sequence_number = 1",
        "DELETE FROM audit_segments WHERE sequence_number = 1",
        "UPDATE audit_checkpoints SET jws = 'mine'",
        "DELETE FROM audit_checkpoints",
        "DELETE FROM audit_chain",
        "UPDATE audit_chain SET sequence_number = 1",
        "UPDATE audit_chain SET sequence_number = sequence_number + 2",
        "UPDATE audit_chain SET pruned_sequence_number = 2",
        "UPDATE audit_chain SET pruned_sequence_number = 1",
    ],
)
async def test_the_database_refuses_to_change_what_is_written(url, store, statement):
    """A trigger refuses updates and deletions, a head that goes back, and pruning without checkpoint."""
    await checkpointed(store, await store.audit.append(draft("{}")))
    await store.audit.append(draft("{}"))
    with pytest.raises(
        (sqlite3.IntegrityError, asyncpg.RaiseError), match=r"only (appended|moves)|checkpoint only"
    ):
        await execute(url, statement)


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
async def test_postgresql_refuses_to_truncate(url, store):
    """TRUNCATE fires no trigger of rows; one of its own refuses it."""
    await store.audit.append(draft("{}"))
    for table in ("audit_segments", "audit_checkpoints", "audit_chain"):
        with pytest.raises(asyncpg.RaiseError, match="only appended"):
            await execute(url, f"TRUNCATE {table}")


async def test_one_replica_claims_a_checkpoint(store):
    """The second gets nothing until the claim is over or the checkpoint stored."""
    head = await store.audit.append(draft("{}"))
    assert await store.audit.claim_checkpoint(now=10.0, until=15.0) == head
    assert await store.audit.claim_checkpoint(now=14.9, until=19.9) is None
    assert await store.audit.claim_checkpoint(now=15.0, until=20.0) == head
    await checkpointed(store, head)
    assert await store.audit.claim_checkpoint(now=15.0, until=20.0) == head
    assert not await store.audit.add_checkpoint(StoredCheckpoint(head, 6.0, "other"), previous=0)
    assert await store.audit.latest_checkpoint() == StoredCheckpoint(head, 5.0, "jws")


async def test_pruning_keeps_what_is_behind_the_checkpoint(store):
    """Segments up to the checkpoint go, the checkpoint stays, and appending goes on where it was."""
    heads = [await store.audit.append(draft("{}")) for _ in range(5)]
    await checkpointed(store, heads[1])
    await checkpointed(store, heads[2], previous=2)
    assert await store.audit.prune(heads[2]) == 3
    assert await store.audit.pruned() == heads[2]
    assert [each.sequence_number for each in await store.audit.segments(after=0, limit=9)] == [4, 5]
    assert [each.head for each in await store.audit.checkpoints(first=1, last=9)] == [heads[2]]
    assert (await store.audit.append(draft("{}"))).sequence_number == 6


async def test_nothing_is_pruned_without_a_checkpoint(store):
    """A segment that no checkpoint names, or names with another hash, ends no pruning."""
    heads = [await store.audit.append(draft("{}")) for _ in range(2)]
    await checkpointed(store, heads[0])
    for wrong in (heads[1], Head(1, heads[1].hash)):
        with pytest.raises(ValueError, match="no checkpoint"):
            await store.audit.prune(wrong)
    assert len(await store.audit.segments(after=0, limit=9)) == 2


async def test_a_time_leads_to_the_first_segment_since(store):
    """In seconds; behind the last where nothing is so late."""
    for seconds in (1, 2, 3):
        await store.audit.append(draft("{}", time=seconds * 1_000_000))
    assert await store.audit.first_since(1.5) == 2
    assert await store.audit.first_since(9.0) == 4
