"""The audit log's one chain; see `gateway.audit.chain` for what the hashes cover.

Whoever appends holds the lock of the head's row until the commit, so segments get their numbers and hashes in
the order of commits: there is no gap, because the number moves with the insertion, and no fork, because the
number is the primary key. On PostgreSQL that is one statement, and the lock is held for one flush to disk.
"""

import zlib
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from gateway.audit.chain import CHAIN_TAG, EMPTY, Draft, Head, Segment, appended
from gateway.audit.ports import StoredCheckpoint
from gateway.store.audit_tables import audit_chain, audit_checkpoints, audit_segments
from gateway.store.database import Database, Row, Transaction, to_microseconds, to_seconds
from gateway.store.failures import StoreCause, unavailable
from gateway.store.statement import SqlDialect, Statement

MAX_RECORDS_SIZE: Final = 64 * 1024 * 1024
"""Octets of one segment's records, decompressed."""
_PRUNE_BATCH: Final = 1000
_LEVEL: Final = 1
"""Of compression: records of one segment are alike, and the cheapest level makes most of that."""

_CHAIN = audit_chain.c.name == sa.literal_column("'chain'")
_number = audit_segments.c.sequence_number
_COLUMNS = ("digest", "writer", "write_time", "record_count", "records")

_HEAD = Statement(lambda _: sa.select(audit_chain.c.sequence_number, audit_chain.c.hash).where(_CHAIN))
_PRUNED = Statement(
    lambda _: sa.select(audit_chain.c.pruned_sequence_number, audit_chain.c.pruned_hash).where(_CHAIN)
)
_ADVANCE = Statement(
    lambda _: (
        sa.update(audit_chain)
        .where(_CHAIN)
        .values(sequence_number=sa.bindparam("number"), hash=sa.bindparam("head"))
    )
)
_INSERT = Statement(
    lambda _: sa.insert(audit_segments).values(
        {name: sa.bindparam(name) for name in ("sequence_number", "hash", *_COLUMNS)}
    )
)


def _append_in_sql(_: SqlDialect) -> sa.Executable:
    number = audit_chain.c.sequence_number + sa.literal_column("1")
    octets = sa.func.int8send(number, type_=sa.LargeBinary)
    content: Any = sa.literal(CHAIN_TAG, sa.LargeBinary)
    for part in (audit_chain.c.hash, octets, sa.bindparam("digest", type_=sa.LargeBinary)):
        content = content.op("||", return_type=sa.LargeBinary())(part)
    head = (
        sa.update(audit_chain)
        .where(_CHAIN)
        .values(sequence_number=number, hash=sa.func.sha256(content, type_=sa.LargeBinary))
        .returning(audit_chain.c.sequence_number, audit_chain.c.hash)
        .cte("head")
    )
    given = [sa.bindparam(name, type_=audit_segments.c[name].type) for name in _COLUMNS]
    return (
        sa.insert(audit_segments)
        .from_select(
            ["sequence_number", "hash", *_COLUMNS],
            sa.select(head.c.sequence_number, head.c.hash, *given),
        )
        .returning(audit_segments.c.sequence_number, audit_segments.c.hash)
    )


_APPEND = Statement(_append_in_sql)
_SEGMENTS = Statement(
    lambda _: (
        sa.select(_number, audit_segments.c.hash, *(audit_segments.c[name] for name in _COLUMNS))
        .where(_number > sa.bindparam("after"))
        .order_by(_number)
        .limit(sa.bindparam("limit", type_=sa.Integer))
    ),
    scan=True,
)
_FIRST_SINCE = Statement(
    lambda _: sa.select(sa.func.min(_number)).where(audit_segments.c.write_time >= sa.bindparam("since")),
    scan=True,
)
_CHECKPOINT_COLUMNS = (
    audit_checkpoints.c.sequence_number,
    audit_checkpoints.c.hash,
    audit_checkpoints.c.sign_time,
    audit_checkpoints.c.jws,
)
_CHECKPOINTS = Statement(
    lambda _: (
        sa.select(*_CHECKPOINT_COLUMNS)
        .where(
            audit_checkpoints.c.sequence_number >= sa.bindparam("first"),
            audit_checkpoints.c.sequence_number <= sa.bindparam("last"),
        )
        .order_by(audit_checkpoints.c.sequence_number)
    ),
    scan=True,
)
_LATEST = Statement(
    lambda _: (
        sa.select(*_CHECKPOINT_COLUMNS)
        .order_by(audit_checkpoints.c.sequence_number.desc())
        .limit(sa.literal_column("1"))
    )
)
_CLAIM = Statement(
    lambda _: (
        sa.update(audit_chain)
        .where(_CHAIN, audit_chain.c.claim_time <= sa.bindparam("now"))
        .values(claim_time=sa.bindparam("until"))
        .returning(audit_chain.c.sequence_number, audit_chain.c.hash)
    )
)
_UNCLAIM = Statement(lambda _: sa.update(audit_chain).where(_CHAIN).values(claim_time=0))


def _add(dialect: SqlDialect) -> sa.Executable:
    names = ("sequence_number", "hash", "sign_time", "jws")
    insert = dialect.insert(audit_checkpoints).values({name: sa.bindparam(name) for name in names})
    statement: sa.Executable = insert.on_conflict_do_nothing()
    return statement


_ADD_CHECKPOINT = Statement(_add)
_FIND_CHECKPOINT = Statement(
    lambda _: sa.select(audit_checkpoints.c.hash).where(
        audit_checkpoints.c.sequence_number == sa.bindparam("number")
    )
)
_SET_PRUNED = Statement(
    lambda _: (
        sa.update(audit_chain)
        .where(_CHAIN, audit_chain.c.pruned_sequence_number < sa.bindparam("number"))
        .values(pruned_sequence_number=sa.bindparam("number"), pruned_hash=sa.bindparam("head"))
    )
)
_FIRST = Statement(lambda _: sa.select(sa.func.min(_number)))
_DELETE = Statement(
    lambda _: sa.delete(audit_segments).where(
        _number <= sa.bindparam("upto"), _number < sa.bindparam("behind")
    )
)
_DELETE_CHECKPOINTS = Statement(
    lambda _: sa.delete(audit_checkpoints).where(audit_checkpoints.c.sequence_number < sa.bindparam("number"))
)


class SqlAuditRepository:
    """`gateway.audit.ports.AuditRepository`. *hashes*: whether the database computes SHA-256 itself."""

    def __init__(self, database: Database, *, hashes: bool) -> None:
        self._database = database
        self._hashes = hashes

    async def append(self, draft: Draft) -> Head:
        """Make *draft* the next segment."""
        values = {
            "digest": draft.digest,
            "writer": draft.writer,
            "write_time": draft.write_time,
            "record_count": len(draft.records),
            "records": zlib.compress(b"\n".join(draft.records), _LEVEL),
        }
        if self._hashes:
            return _head(await self._database.write(_APPEND, **values))

        async def work(transaction: Transaction) -> Head:
            # SQLite: whoever writes is alone from the start.
            segment = appended(_head(await transaction.fetch_one(_HEAD)), draft)
            await transaction.execute(
                _INSERT, sequence_number=segment.sequence_number, hash=segment.hash, **values
            )
            await transaction.execute(_ADVANCE, number=segment.sequence_number, head=segment.hash)
            return segment.head

        return await self._database.transaction(work)

    async def head(self) -> Head:
        """The chain's end."""
        return _head(await self._database.fetch_one(_HEAD))

    async def pruned(self) -> Head:
        """The last segment that was pruned."""
        return _head(await self._database.fetch_one(_PRUNED))

    async def segments(self, *, after: int, limit: int) -> Sequence[Segment]:
        """Up to *limit* segments behind number *after*, in order."""
        rows = await self._database.fetch_all(_SEGMENTS, after=after, limit=limit)
        return [
            Segment(number, bytes(end), bytes(digest), writer, time, _decompressed(records))
            for number, end, digest, writer, time, _, records in rows
        ]

    async def first_since(self, write_time: float) -> int:
        """The number of the first segment written at *write_time* or later."""
        row = await self._database.fetch_one(_FIRST_SINCE, since=to_microseconds(write_time))
        found: int | None = None if row is None else row[0]
        return (await self.head()).sequence_number + 1 if found is None else found

    async def checkpoints(self, *, first: int, last: int) -> Sequence[StoredCheckpoint]:
        """The checkpoints of segments *first* to *last*, in order."""
        rows = await self._database.fetch_all(_CHECKPOINTS, first=first, last=last)
        return [_checkpoint(row) for row in rows]

    async def latest_checkpoint(self) -> StoredCheckpoint | None:
        """The one that covers most."""
        row = await self._database.fetch_one(_LATEST)
        return None if row is None else _checkpoint(row)

    async def claim_checkpoint(self, *, now: float, until: float) -> Head | None:
        """The chain's end, for the caller to sign."""
        row = await self._database.write(_CLAIM, now=to_microseconds(now), until=to_microseconds(until))
        return None if row is None else _head(row)

    async def add_checkpoint(self, checkpoint: StoredCheckpoint, *, previous: int) -> bool:
        """Store it and end the claim."""

        async def work(transaction: Transaction) -> bool:
            await transaction.execute(_UNCLAIM)  # And with that, exclude whoever adds another.
            latest = await transaction.fetch_one(_LATEST)
            if (0 if latest is None else latest[0]) != previous:
                return False
            added = await transaction.execute(
                _ADD_CHECKPOINT,
                sequence_number=checkpoint.head.sequence_number,
                hash=checkpoint.head.hash,
                sign_time=to_microseconds(checkpoint.sign_time),
                jws=checkpoint.jws,
            )
            return added == 1

        return await self._database.transaction(work)

    async def prune(self, upto: Head) -> int:
        """Delete every segment up to *upto*, some at a time, so that nobody waits long behind it."""

        async def mark(transaction: Transaction) -> bool:
            row = await transaction.fetch_one(_FIND_CHECKPOINT, number=upto.sequence_number)
            if row is None or bytes(row[0]) != upto.hash:
                return False
            await transaction.execute(_SET_PRUNED, number=upto.sequence_number, head=upto.hash)
            return True

        if not await self._database.transaction(mark):
            raise ValueError(f"no checkpoint names segment {upto.sequence_number} with this hash")
        deleted = 0
        while (first := await self._first()) is not None and first <= upto.sequence_number:
            deleted += await self._delete(upto.sequence_number, first + _PRUNE_BATCH)
        await self._database.transaction(
            lambda transaction: transaction.execute(_DELETE_CHECKPOINTS, number=upto.sequence_number)
        )
        return deleted

    async def _first(self) -> int | None:
        row = await self._database.fetch_one(_FIRST)
        first: int | None = None if row is None else row[0]
        return first

    async def _delete(self, upto: int, behind: int) -> int:
        return await self._database.transaction(
            lambda transaction: transaction.execute(_DELETE, upto=upto, behind=behind)
        )


def _head(row: Row | None) -> Head:
    if row is None:
        raise unavailable(StoreCause.CORRUPT, LookupError("the head of the audit log is missing"))
    return Head(row[0], bytes(row[1])) if row[0] else EMPTY


def _checkpoint(row: Row) -> StoredCheckpoint:
    number, end, sign_time, jws = row
    return StoredCheckpoint(Head(number, bytes(end)), to_seconds(sign_time), jws)


def _decompressed(records: bytes) -> tuple[bytes, ...]:
    """The records of a segment; none where they cannot be read, which its digest then shows."""
    reader = zlib.decompressobj()
    try:
        text = reader.decompress(bytes(records), MAX_RECORDS_SIZE)
    except zlib.error:
        return ()
    return tuple(text.split(b"\n")) if reader.eof and text else ()
