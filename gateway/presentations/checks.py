"""What was checked and how it went: the typed lines of a verification report, and the verdict over them."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How one check went. `UNKNOWN` says that the question could not be answered, and counts as no."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One rule, applied once.

    - `code`: stable; names the rule. One of `PresentationCheck`, `ExchangeCheck` or `StatusCheck`.
    - `clause`: where the rule is written.
    - `path`: where in the input it was applied, in the spelling of a JSONPath query.
    - `detail`: one sentence for a human; it carries names and numbers of the input, never a claim's value.
    - `advisory`: the rule is a wish (``preferred``), or a policy said so; its outcome does not decide.
    - `reason`: why it did not pass, a stable word (``did_unresolvable``); empty where the code says it all.
    """

    code: str
    outcome: Outcome
    clause: str
    path: str
    detail: str
    advisory: bool = False
    reason: str = ""


_ACCEPTED = frozenset({Outcome.PASSED, Outcome.SKIPPED})


def all_hold(checks: Iterable[Check]) -> bool:
    """The verdict: at least one check that decides has passed, and none of them failed or stayed unknown.

    A report without checks is no verdict, so it is False.
    """
    outcomes = {check.outcome for check in checks if not check.advisory}
    return Outcome.PASSED in outcomes and outcomes <= _ACCEPTED
