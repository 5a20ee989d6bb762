"""Verifying an export: every hash, number, order and signature, and the first thing that is wrong, by name.

Nothing but the file, trusted public keys and, where there are some, checkpoints seen before is needed. The
signed checkpoints are what holds: behind the last of them a chain could have been made by anybody who can
write to the database, and the verdict says how much that is.
"""

import hmac
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from gateway.audit.chain import GENESIS, Head, digest_of, next_hash, record_hash
from gateway.audit.checkpoint import Checkpoint, TrustedKeys, require_match
from gateway.audit.faults import AuditError, AuditFault
from gateway.audit.lines import (
    CheckpointLine,
    EndLine,
    HeaderLine,
    KeyLine,
    Line,
    RecordLine,
    SegmentLine,
    parse_line,
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was verified.

    - *after*, *head*: the chain's end before the first segment and after the last.
    - *last_checkpoint*: None where there is none; then nothing is signed.
    - *seen*: how many of the checkpoints seen before were met.
    """

    issuer: str
    after: Head
    head: Head
    segments: int
    records: int
    checkpoints: int
    last_checkpoint: Checkpoint | None
    seen: int

    @property
    def unsigned(self) -> int:
        """Segments behind the last checkpoint, which nothing but their hashes protects."""
        covered = self.after if self.last_checkpoint is None else self.last_checkpoint.head
        return self.head.sequence_number - max(covered.sequence_number, self.after.sequence_number)


def verify_lines(
    lines: Iterable[bytes], keys: TrustedKeys, seen: Mapping[int, Checkpoint] | None = None
) -> Verdict:
    """Verify the *lines* of an export, without line ends.

    *seen*: verified checkpoints from elsewhere, by sequence number; the chain must hold each that lies
    behind its first segment. Raises `AuditError` for the first thing that is wrong.
    """
    parsed = (parse_line(text, number) for number, text in enumerate(lines, 1))
    walk = _Walk(keys, seen or {})
    for line in parsed:
        try:
            walk.take(line)
        except _GapError as gap:
            raise _explained(gap, parsed) from gap
        if walk.ended:
            break
    if next(parsed, None) is not None:
        raise AuditError(AuditFault.MALFORMED, "the end", "something follows behind it")
    return walk.verdict()


class _GapError(Exception):
    """Another line came than the one whose turn it is."""

    def __init__(self, segment: int, position: int | None, came: Line) -> None:
        super().__init__(segment, position)
        self.segment = segment
        self.position = position
        self.came = came


@dataclass(slots=True)
class _Segment:
    """A segment whose records are being read."""

    line: SegmentLine
    hashes: list[bytes] = field(default_factory=list)


class _Walk:
    """Takes the lines one after the other."""

    def __init__(self, keys: TrustedKeys, seen: Mapping[int, Checkpoint]) -> None:
        self._keys = keys
        self._seen = seen
        self._met = 0
        self._header: HeaderLine | None = None
        self._head = Head(0, GENESIS)
        self._open: _Segment | None = None
        self._segments = self._records = self._checkpoints = 0
        self._last: Checkpoint | None = None
        self.ended = False

    def take(self, line: Line) -> None:
        """The next line. Raises `AuditError`, `_GapError`."""
        if self._open is not None:
            self._take_record(self._open, line)
        elif isinstance(line, HeaderLine) and self._header is None:
            self._header, self._head = line, line.after
            if not line.after.sequence_number and line.after.hash != GENESIS:
                raise AuditError(AuditFault.CHAIN_BROKEN, "header", "a chain begins with 32 zero octets")
            self._compare_seen()
        elif self._header is None:
            raise AuditError(AuditFault.MALFORMED, "line 1", "an export begins with its header")
        elif isinstance(line, SegmentLine):
            self._begin(line)
        elif isinstance(line, CheckpointLine):
            self._take_checkpoint(line)
        elif isinstance(line, EndLine):
            self._end(line)
        elif isinstance(line, RecordLine):
            raise _GapError(line.segment, None, line)
        elif not isinstance(line, KeyLine):
            raise AuditError(AuditFault.MALFORMED, "header", "there is a second one")

    def verdict(self) -> Verdict:
        """What was verified. Raises `AuditError` TRUNCATED, ROLLED_BACK."""
        last = "no checkpoint" if self._last is None else f"checkpoint {self._last.head.sequence_number}"
        if not self.ended or self._header is None:
            place = f"segment {self._head.sequence_number}"
            raise AuditError(
                AuditFault.TRUNCATED, place, f"the file ends behind it, without its end line, after {last}"
            )
        later = [number for number in self._seen if number > self._head.sequence_number]
        if later:
            raise AuditError(
                AuditFault.ROLLED_BACK,
                f"segment {self._head.sequence_number}",
                f"the chain ends here, but a checkpoint of segment {max(later)} was seen: "
                "the database was restored from a copy, or cut",
            )
        return Verdict(
            self._header.issuer,
            self._header.after,
            self._head,
            self._segments,
            self._records,
            self._checkpoints,
            self._last,
            self._met,
        )

    def _begin(self, line: SegmentLine) -> None:
        expected = self._head.sequence_number + 1
        if line.sequence_number != expected:
            raise _GapError(expected, None, line)
        self._open = _Segment(line)
        if not line.records:
            self._close(self._open)

    def _take_record(self, segment: _Segment, line: Line) -> None:
        number, position = segment.line.sequence_number, len(segment.hashes) + 1
        if not isinstance(line, RecordLine) or (line.segment, line.position) != (number, position):
            raise _GapError(number, position, line)
        if not hmac.compare_digest(record_hash(line.octets), line.sha256):
            raise AuditError(
                AuditFault.RECORD_ALTERED,
                f"segment {number}, record {position}",
                "the record does not have the hash that was exported with it",
            )
        segment.hashes.append(line.sha256)
        if position == segment.line.records:
            self._close(segment)

    def _close(self, segment: _Segment) -> None:
        line, place = segment.line, f"segment {segment.line.sequence_number}"
        digest = digest_of(line.writer, line.write_time, segment.hashes, len(segment.hashes))
        if digest != line.digest:
            raise AuditError(
                AuditFault.SEGMENT_ALTERED, place, "its writer, its time or a record of it was changed"
            )
        if next_hash(self._head.hash, line.sequence_number, digest) != line.hash:
            raise AuditError(
                AuditFault.CHAIN_BROKEN,
                place,
                f"its hash does not follow from that of segment {self._head.sequence_number}",
            )
        self._open = None
        self._head = Head(line.sequence_number, line.hash)
        self._segments += 1
        self._records += len(segment.hashes)
        self._compare_seen()

    def _compare_seen(self) -> None:
        seen = self._seen.get(self._head.sequence_number)
        if seen is None:
            return
        if seen.head != self._head:
            raise AuditError(
                AuditFault.FORKED,
                f"segment {self._head.sequence_number}",
                "a checkpoint that was seen before names another hash: the chain was forked behind an older "
                "segment, as by a database restored from a copy, or rewritten",
            )
        self._met += 1

    def _take_checkpoint(self, line: CheckpointLine) -> None:
        checkpoint = self._keys.verify(line.jws)
        require_match(checkpoint, self._head)
        place = f"checkpoint of segment {checkpoint.head.sequence_number}"
        if self._header is not None and checkpoint.issuer != self._header.issuer:
            raise AuditError(AuditFault.CHECKPOINT_MISMATCH, place, "it was signed for another issuer")
        known = 0 if self._last is None else self._last.head.sequence_number
        # The one before may lie before the first segment of the file.
        begins = self._header.after.sequence_number if self._header is not None else 0
        if checkpoint.previous != known and (checkpoint.previous > begins or known):
            raise AuditError(
                AuditFault.CHECKPOINT_MISSING,
                place,
                f"it names the checkpoint of segment {checkpoint.previous}, which is not there",
            )
        self._last = checkpoint
        self._checkpoints += 1

    def _end(self, line: EndLine) -> None:
        if line.head.sequence_number != self._head.sequence_number or line.segments != self._segments:
            raise AuditError(
                AuditFault.TRUNCATED,
                f"segment {self._head.sequence_number}",
                f"the chain ends here, and the end line names segment {line.head.sequence_number}",
            )
        if line.head != self._head or line.records != self._records:
            raise AuditError(AuditFault.MALFORMED, "the end", "it is not that of this chain")
        self.ended = True


def _explained(gap: _GapError, rest: Iterator[Line]) -> AuditError:
    """Whether what is due comes later, and so is out of order, or is not in the file."""
    lines: Sequence[Line] = [gap.came]
    if gap.position is None:
        if isinstance(gap.came, RecordLine):
            place = f"segment {gap.segment}, record {gap.came.position}"
            return AuditError(
                AuditFault.RECORD_REORDERED, place, "it stands outside of its segment, or is there twice"
            )
        return _explained_segment(gap, gap.came, rest)
    place = f"segment {gap.segment}, record {gap.position}"
    for line in (*lines, *rest):
        if isinstance(line, RecordLine) and (line.segment, line.position) == (gap.segment, gap.position):
            return AuditError(AuditFault.RECORD_REORDERED, place, "it stands behind a later one")
    if isinstance(gap.came, RecordLine) and gap.came.segment == gap.segment < gap.position:
        return AuditError(AuditFault.RECORD_REORDERED, place, "an earlier one stands in its place")
    return AuditError(AuditFault.RECORD_MISSING, place, "it is not there")


def _explained_segment(gap: _GapError, came: Line, rest: Iterator[Line]) -> AuditError:
    place = f"segment {gap.segment}"
    number = came.sequence_number if isinstance(came, SegmentLine) else gap.segment
    if number < gap.segment:
        return AuditError(
            AuditFault.SEGMENT_REORDERED, f"segment {number}", f"it stands behind segment {gap.segment - 1}"
        )
    for line in rest:
        if isinstance(line, SegmentLine) and line.sequence_number == gap.segment:
            return AuditError(AuditFault.SEGMENT_REORDERED, place, f"it stands behind segment {number}")
    return AuditError(AuditFault.SEGMENT_MISSING, place, f"it is not there; segment {number} follows")


def seen_checkpoints(jws: Iterable[str], keys: TrustedKeys) -> dict[int, Checkpoint]:
    """Checkpoints from elsewhere, verified, by sequence number.

    Raises `AuditError`, also FORKED where two of them contradict each other.
    """
    seen: dict[int, Checkpoint] = {}
    for each in jws:
        checkpoint = keys.verify(each)
        other = seen.setdefault(checkpoint.head.sequence_number, checkpoint)
        if other.head != checkpoint.head:
            raise AuditError(
                AuditFault.FORKED,
                f"segment {checkpoint.head.sequence_number}",
                "two checkpoints that were seen before name two hashes: there were two chains",
            )
    return seen
