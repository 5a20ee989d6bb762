"""Every fault has an outcome and a clause."""

import pytest

from gateway.dids import DidError, DidFault, DidOutcome


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
