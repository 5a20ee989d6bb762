"""The log as a file for others: JSON lines that hold everything needed to verify it, see `verification`.

In this order, each line an object with a ``type``:

- ``header``: ``format``, ``issuer``, ``export_time``, and ``after``, the chain's end before the first
  segment;
- ``key``: the public key of a signer of checkpoints, a JWK; one line for each;
- ``checkpoint`` of ``after``, where there is one;
- for every segment its ``segment`` line, its ``record`` lines, and its ``checkpoint``, where it has one;
- ``end``: the last segment's number and hash, and how many segments and records there are.

Hashes are hexadecimal, times microseconds since the epoch.
"""

import json
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from typing import Any, Final

from gateway.audit.chain import Head, Segment, record_hash
from gateway.audit.ports import AuditRepository, StoredCheckpoint
from gateway.jose.jwk import Jwk

FORMAT: Final = "countersign-audit-1"
_PAGE: Final = 16
"""Segments that are read at once, and held by each export that is under way."""

_encode = json.JSONEncoder(separators=(",", ":"), sort_keys=True).encode


@dataclass(frozen=True, slots=True)
class Range:
    """Segments *first* to *last*, both included."""

    first: int
    last: int


async def export(
    repository: AuditRepository, chosen: Range, *, issuer: str, keys: Iterable[Jwk], now: float
) -> AsyncIterator[bytes]:
    """The lines of an export, without line ends. Segments that were pruned are left out at the front.

    Raises `AvailabilityError`.
    """
    after = await _before(repository, chosen.first)
    yield _line(
        "header",
        format=FORMAT,
        issuer=issuer,
        export_time=int(now * 1e6),
        after={"sequence_number": after.sequence_number, "hash": after.hash.hex()},
    )
    for key in keys:
        yield _line("key", jwk=key.members())
    for known in await repository.checkpoints(first=after.sequence_number, last=after.sequence_number):
        yield _checkpoint_line(known)
    end, segments, records = after, 0, 0
    while end.sequence_number < chosen.last:
        limit = min(_PAGE, chosen.last - end.sequence_number)
        page = await repository.segments(after=end.sequence_number, limit=limit)
        if not page:
            break
        first, last = page[0].sequence_number, page[-1].sequence_number
        checkpoints = {
            each.head.sequence_number: each for each in await repository.checkpoints(first=first, last=last)
        }
        for segment in page:
            for line in _segment_lines(segment):
                yield line
            if segment.sequence_number in checkpoints:
                yield _checkpoint_line(checkpoints[segment.sequence_number])
            records += len(segment.records)
        segments += len(page)
        end = page[-1].head
    yield _line(
        "end", sequence_number=end.sequence_number, hash=end.hash.hex(), segments=segments, records=records
    )


async def _before(repository: AuditRepository, first: int) -> Head:
    """The chain's end before segment *first*, or before the first segment that is still there."""
    pruned = await repository.pruned()
    if first <= pruned.sequence_number + 1:
        return pruned
    found = await repository.segments(after=first - 2, limit=1)
    return found[0].head if found else await repository.head()


def _segment_lines(segment: Segment) -> Iterable[bytes]:
    yield _line(
        "segment",
        sequence_number=segment.sequence_number,
        writer=segment.writer,
        write_time=segment.write_time,
        records=len(segment.records),
        digest=segment.digest.hex(),
        hash=segment.hash.hex(),
    )
    for position, record in enumerate(segment.records, 1):
        head = _encode({"position": position, "segment": segment.sequence_number, "type": "record"})
        # The record as it is kept: it is JSON already, or else verification says that it is not.
        yield f'{head[:-1]},"sha256":"{record_hash(record).hex()}","record":'.encode() + record + b"}"


def _checkpoint_line(checkpoint: StoredCheckpoint) -> bytes:
    return _line("checkpoint", sequence_number=checkpoint.head.sequence_number, jws=checkpoint.jws)


def _line(kind: str, **members: Any) -> bytes:
    return _encode({"type": kind, **members}).encode("ascii")
