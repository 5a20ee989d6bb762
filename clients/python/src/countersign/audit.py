"""The audit log of the gateway."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AuditCheckpoint:
    """The end of the log at *sign_time*, signed: a compact JWS over the segment's number and hash.

    `sequence_number`: the last segment that it covers.
    """

    sequence_number: int
    sign_time: datetime
    jws: str


@dataclass(frozen=True, slots=True)
class AuditLogHead:
    """Where the log ends.

    - `sequence_number`, `hash`: of the last segment; 0 and 32 zero octets where there is none.
    - `pruned_sequence_number`: the last segment that was deleted after an export; 0 where none was.
    - `last_checkpoint`: None where none was signed yet.
    - `enabled`: whether the replica that answered keeps the log.
    """

    sequence_number: int
    hash: bytes
    pruned_sequence_number: int
    last_checkpoint: AuditCheckpoint | None
    enabled: bool


@dataclass(frozen=True, slots=True)
class AuditExportBatch:
    """The next lines of an export, without line ends.

    `next_sequence_number`: with which segment another export goes on; None but for the last batch.
    """

    lines: tuple[bytes, ...]
    next_sequence_number: int | None
