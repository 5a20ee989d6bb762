"""Exports that go on where another ended."""

from dataclasses import replace

import pytest

from gateway.audit.chain import EMPTY, Head
from gateway.audit.checkpoint import Checkpoint
from gateway.audit.continuation import joined
from gateway.audit.faults import AuditError, AuditFault
from gateway.audit.verification import Verdict

MIDDLE = Head(3, b"m" * 32)
END = Head(5, b"e" * 32)
SIGNED = Checkpoint("issuer", 9, Head(2, b"s" * 32), 0)
FIRST = Verdict("issuer", EMPTY, MIDDLE, 3, 30, 1, SIGNED, 1)
SECOND = Verdict("issuer", MIDDLE, END, 2, 20, 0, None, 0)


def test_one_is_the_whole():
    """Nothing is to be compared."""
    assert joined([("a", FIRST)]) == FIRST


def test_two_are_one_chain():
    """From the begin of the first to the end of the second, with the last checkpoint that there is."""
    whole = joined([("a", FIRST), ("b", SECOND)])
    assert whole == Verdict("issuer", EMPTY, END, 5, 50, 1, SIGNED, 1)
    assert whole.unsigned == 3
    later = Checkpoint("issuer", 10, END, 2)
    signed = joined([("a", FIRST), ("b", replace(SECOND, checkpoints=1, last_checkpoint=later))])
    assert (signed.last_checkpoint, signed.checkpoints, signed.unsigned) == (later, 2, 0)


@pytest.mark.parametrize(
    ("second", "fault", "place"),
    [
        (replace(SECOND, after=Head(4, b"x" * 32)), AuditFault.SEGMENT_MISSING, "segment 4"),
        (replace(SECOND, after=Head(2, b"x" * 32)), AuditFault.SEGMENT_REORDERED, "segment 3"),
        (replace(SECOND, after=Head(3, b"x" * 32)), AuditFault.FORKED, "segment 3"),
        (replace(SECOND, issuer="other"), AuditFault.CHECKPOINT_MISMATCH, "b"),
    ],
)
def test_what_does_not_go_on(second, fault, place):
    """A gap, an overlap, another hash, another issuer: told by name and place."""
    with pytest.raises(AuditError) as caught:
        joined([("a", FIRST), ("b", second)])
    assert (caught.value.fault, caught.value.place) == (fault, place)
