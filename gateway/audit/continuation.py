"""Exports that go on where another ended: each verified by itself, then that they are one chain."""

from collections.abc import Sequence

from gateway.audit.faults import AuditError, AuditFault
from gateway.audit.verification import Verdict


def joined(verdicts: Sequence[tuple[str, Verdict]]) -> Verdict:
    """What holds of all exports together, of which there is one at least, in order, each with its name.

    Raises `AuditError` for the first that does not go on where the one before it ended: SEGMENT_MISSING,
    SEGMENT_REORDERED, FORKED, CHECKPOINT_MISMATCH.
    """
    (_, whole), *rest = verdicts
    for name, verdict in rest:
        _require_next(whole, verdict, name)
        whole = Verdict(
            whole.issuer,
            whole.after,
            verdict.head,
            whole.segments + verdict.segments,
            whole.records + verdict.records,
            whole.checkpoints + verdict.checkpoints,
            verdict.last_checkpoint or whole.last_checkpoint,
            whole.seen + verdict.seen,
        )
    return whole


def _require_next(before: Verdict, verdict: Verdict, name: str) -> None:
    end, begin = before.head.sequence_number, verdict.after.sequence_number
    if begin > end:
        raise AuditError(
            AuditFault.SEGMENT_MISSING, f"segment {end + 1}", f"it is not there; {name} begins behind {begin}"
        )
    if begin < end:
        raise AuditError(
            AuditFault.SEGMENT_REORDERED,
            f"segment {begin + 1}",
            f"{name} begins with it, behind segment {end}",
        )
    if verdict.after != before.head:
        raise AuditError(
            AuditFault.FORKED,
            f"segment {end}",
            f"{name} goes on from another hash than the one that the export before it ends with",
        )
    if verdict.issuer != before.issuer:
        raise AuditError(AuditFault.CHECKPOINT_MISMATCH, name, "it is of another issuer")
