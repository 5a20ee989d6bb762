"""What can be wrong with an audit log, told by name and place."""

from enum import StrEnum


class AuditFault(StrEnum):
    """A stable code: the first rule that the log breaks."""

    MALFORMED = "malformed"
    """A line is not what an export has there."""
    RECORD_ALTERED = "record_altered"
    """A record is not the one whose hash stands beside it."""
    RECORD_MISSING = "record_missing"
    RECORD_REORDERED = "record_reordered"
    SEGMENT_ALTERED = "segment_altered"
    """What a segment says, or its records together, do not have its digest."""
    SEGMENT_MISSING = "segment_missing"
    SEGMENT_REORDERED = "segment_reordered"
    CHAIN_BROKEN = "chain_broken"
    """A segment's hash does not follow from the segment before it."""
    TRUNCATED = "truncated"
    """The log ends early."""
    CHECKPOINT_MALFORMED = "checkpoint_malformed"
    CHECKPOINT_MISSING = "checkpoint_missing"
    """A checkpoint names one before it that is not there."""
    CHECKPOINT_MISMATCH = "checkpoint_mismatch"
    """A checkpoint was signed for another chain than this."""
    SIGNATURE_INVALID = "signature_invalid"
    KEY_UNKNOWN = "key_unknown"
    """A checkpoint is signed by a key that is not trusted."""
    FORKED = "forked"
    """A checkpoint seen elsewhere names another hash for a segment: there are two chains."""
    ROLLED_BACK = "rolled_back"
    """The chain ends before a checkpoint that was seen elsewhere."""


class AuditError(Exception):
    """The log does not verify. *place*: such as ``segment 17`` or ``segment 17, record 3``."""

    def __init__(self, fault: AuditFault, place: str, detail: str) -> None:
        super().__init__(f"{place}: {detail}")
        self.fault = fault
        self.place = place
        self.detail = detail
