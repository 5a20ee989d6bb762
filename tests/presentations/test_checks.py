"""gateway.presentations.checks: the verdict over the lines of a report."""

import pytest

from gateway.presentations.checks import Check, Outcome, all_hold
from gateway.presentations.exchange import ExchangeCheck

PASSED, FAILED, SKIPPED, UNKNOWN = Outcome


def check(outcome, *, advisory=False):
    return Check(ExchangeCheck.STATUSES, outcome, "A clause", "$", "A detail.", advisory)


class TestVerdict:
    @pytest.mark.parametrize("outcomes", [[PASSED], [PASSED, SKIPPED], [PASSED, PASSED]])
    def test_what_passed_or_was_skipped_holds(self, outcomes):
        """A report holds where something passed and nothing else decided."""
        assert all_hold([check(each) for each in outcomes])

    @pytest.mark.parametrize("outcomes", [[], [SKIPPED], [PASSED, FAILED], [PASSED, UNKNOWN], [FAILED]])
    def test_everything_else_does_not(self, outcomes):
        """Nothing checked, something failed or something unknown is no."""
        assert not all_hold([check(each) for each in outcomes])

    def test_advice_does_not_decide(self):
        """An advisory check neither makes a report hold nor breaks it."""
        assert all_hold([check(PASSED), check(FAILED, advisory=True), check(UNKNOWN, advisory=True)])
        assert not all_hold([check(PASSED, advisory=True)])
