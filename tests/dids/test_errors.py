"""Every fault has an outcome and a clause."""

from pathlib import Path

import pytest

from gateway.dids import DidError, DidFault, DidOutcome
from gateway.presentations.linkage_errors import LinkageError, LinkageFault


@pytest.mark.parametrize("fault", DidFault)
def test_every_fault_has_an_outcome_and_a_clause(fault):
    """No fault leaves a caller without a coarse answer and a text to read."""
    error = DidError(fault, "message", member="m")
    assert error.outcome in DidOutcome
    assert error.clause
    assert error.transient is (error.outcome is DidOutcome.UNAVAILABLE)


def test_again_makes_a_new_error_of_the_same_content():
    """Each waiter raises an error of their own, caused by the first."""
    error = DidError(DidFault.NOT_FOUND, "message", member="m")
    again = error.again()
    assert again is not error
    assert (again.fault, again.member, str(again)) == (error.fault, error.member, str(error))
    assert again.__cause__ is error


def test_the_page_lists_every_code():
    """Each code of DIDs and of linked domains has its row, with outcome and clause, in docs/dids.md."""
    page = (Path(__file__).resolve().parents[2] / "docs" / "dids.md").read_text()
    for fault in DidFault:
        error = DidError(fault, "message")
        assert f"| `{fault}` | `{error.outcome}` | {error.clause} |" in page
    for fault in LinkageFault:
        assert f"| `{fault}` | {LinkageError(fault, 'message').clause} |" in page
