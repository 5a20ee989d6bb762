r"""The chain: every segment's hash covers its records and the hash before it, so no one can be changed alone.

A *segment* is what one worker committed at once. With ``||`` for concatenation and ``int8`` for 8 octets, big
endian, two's complement::

    digest = SHA-256("countersign audit segment\n" || int8(write time) || int8(count) || SHA-256(writer)
                     || SHA-256(record 1) || ... || SHA-256(record count))
    hash   = SHA-256("countersign audit chain\n" || hash before || int8(sequence number) || digest)

The hash before segment 1 is 32 zero octets. Everything in front of the record hashes has a fixed length, so
no two different segments hash the same octets.
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

HASH_SIZE: Final = 32
GENESIS: Final = bytes(HASH_SIZE)
"""The hash before the first segment."""
CHAIN_TAG: Final = b"countersign audit chain\n"
_SEGMENT_TAG: Final = b"countersign audit segment\n"


@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends: the last segment's number and hash; 0 and `GENESIS` for an empty one."""

    sequence_number: int
    hash: bytes


EMPTY: Final = Head(0, GENESIS)


@dataclass(frozen=True, slots=True)
class Draft:
    """A segment that is not in the chain yet.

    - `writer`: the instance that writes it, 1 to 128 characters.
    - `write_time`: microseconds since the epoch by the writer's clock, before the commit.
    - `records`: JSON texts without line ends, see `gateway.audit.records`.
    """

    writer: str
    write_time: int
    records: tuple[bytes, ...]

    @property
    def digest(self) -> bytes:
        """What the chain's hash covers of it."""
        return digest_of(self.writer, self.write_time, map(record_hash, self.records), len(self.records))


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment as it was stored, or exported; nothing of it is verified yet."""

    sequence_number: int
    hash: bytes
    digest: bytes
    writer: str
    write_time: int
    records: tuple[bytes, ...]

    @property
    def head(self) -> Head:
        """The chain's end once this was the last."""
        return Head(self.sequence_number, self.hash)


def record_hash(record: bytes) -> bytes:
    """The hash of one record."""
    return hashlib.sha256(record).digest()


def digest_of(writer: str, write_time: int, hashes: Iterable[bytes], count: int) -> bytes:
    """The digest of a segment of *count* records."""
    content = hashlib.sha256(_SEGMENT_TAG)
    content.update(_int8(write_time) + _int8(count) + hashlib.sha256(writer.encode()).digest())
    for each in hashes:
        content.update(each)
    return content.digest()


def next_hash(before: bytes, sequence_number: int, digest: bytes) -> bytes:
    """The hash of segment *sequence_number*, behind the hash *before*."""
    return hashlib.sha256(CHAIN_TAG + before + _int8(sequence_number) + digest).digest()


def appended(before: Head, draft: Draft) -> Segment:
    """*draft* as the segment behind *before*."""
    number, digest = before.sequence_number + 1, draft.digest
    return Segment(
        number,
        next_hash(before.hash, number, digest),
        digest,
        draft.writer,
        draft.write_time,
        draft.records,
    )


def _int8(value: int) -> bytes:
    return value.to_bytes(8, "big", signed=True)
