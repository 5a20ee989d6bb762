"""The hashes of the chain, computed a second time from their description."""

import hashlib
import struct

import pytest

from gateway.audit.chain import EMPTY, GENESIS, Draft, Head, appended, digest_of


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def int8(value: int) -> bytes:
    return struct.pack(">q", value)


DRAFT = Draft("writer-1", 1_900_000_000_000_000, (b'{"a":1}', b'{"a":2}'))


def test_a_digest_covers_writer_time_count_and_every_record():
    """It is SHA-256 over the tag, time, count, the writer's hash and the records' hashes."""
    expected = sha256(
        b"countersign audit segment\n",
        int8(1_900_000_000_000_000),
        int8(2),
        sha256(b"writer-1"),
        sha256(b'{"a":1}'),
        sha256(b'{"a":2}'),
    )
    assert DRAFT.digest == expected


def test_a_hash_covers_the_one_before_and_the_number():
    """It is SHA-256 over the tag, the hash before, the number and the digest; before the first is zero."""
    first = appended(EMPTY, DRAFT)
    assert first.hash == sha256(b"countersign audit chain\n", bytes(32), int8(1), DRAFT.digest)
    second = appended(first.head, DRAFT)
    assert second.hash == sha256(b"countersign audit chain\n", first.hash, int8(2), DRAFT.digest)
    assert second.head == Head(2, second.hash)
    assert GENESIS.hex() == "00" * 32


@pytest.mark.parametrize(
    "other",
    [
        Draft("writer-2", DRAFT.write_time, DRAFT.records),
        Draft("writer-1", DRAFT.write_time + 1, DRAFT.records),
        Draft("writer-1", DRAFT.write_time, DRAFT.records[:1]),
        Draft("writer-1", DRAFT.write_time, DRAFT.records[::-1]),
        Draft("writer-1", DRAFT.write_time, (b'{"a":1}{"a":2}',)),
        Draft("writer-1", DRAFT.write_time, (*DRAFT.records, b"")),
    ],
)
def test_another_segment_has_another_digest(other):
    """Whatever is changed, left out, put elsewhere or joined shows."""
    assert other.digest != DRAFT.digest


def test_the_count_is_covered_beside_the_hashes():
    """A count that is not the number of hashes gives another digest."""
    assert digest_of("w", 1, [b"x" * 32], 1) != digest_of("w", 1, [b"x" * 32], 2)
