"""A report under construction: rules are applied one by one, and each leaves one line."""

from collections.abc import Callable, Iterable

from gateway.dids import DidError
from gateway.jose import JoseError
from gateway.presentations.checks import Check, Outcome
from gateway.presentations.rules import CLAUSES, PresentationCheck


class RuleError(Exception):
    """A rule does not hold: *reason* is a stable word, *detail* one sentence without values of claims."""

    def __init__(self, reason: str, detail: str, *, outcome: Outcome = Outcome.FAILED) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail
        self.outcome = outcome


class Report:
    """The lines so far, in the order applied."""

    def __init__(self) -> None:
        self._checks: list[Check] = []

    @property
    def checks(self) -> tuple[Check, ...]:
        """The lines so far."""
        return tuple(self._checks)

    def apply(self, code: PresentationCheck, path: str, rule: Callable[[], str]) -> bool:
        """Apply *rule*, which returns a sentence or raises; True where it holds.

        What it may raise: `RuleError`, `JoseError`, `DidError`.
        """
        try:
            detail = rule()
        except RuleError as error:
            self._add(code, error.outcome, path, error.detail, error.reason)
        except JoseError as error:
            self._add(code, Outcome.FAILED, path, _sentence(error.message), error.code)
        except DidError as error:
            self.refuse_did(code, path, error)
        else:
            self._add(code, Outcome.PASSED, path, detail)
            return True
        return False

    def refuse_did(self, code: PresentationCheck, path: str, error: DidError) -> None:
        """The line for a DID that does not serve; where nobody could be asked, the outcome is unknown."""
        outcome = Outcome.UNKNOWN if error.transient else Outcome.FAILED
        detail = f"{_sentence(error.message)} ({error.fault}; {error.clause})"
        self._add(code, outcome, path, detail, error.outcome)

    def passed(self, code: PresentationCheck, path: str, detail: str) -> None:
        """The line for a rule that holds."""
        self._add(code, Outcome.PASSED, path, detail)

    def failed(self, code: PresentationCheck, path: str, reason: str, detail: str) -> None:
        """The line for a rule that does not hold."""
        self._add(code, Outcome.FAILED, path, detail, reason)

    def unknown(
        self, code: PresentationCheck, path: str, reason: str, detail: str, *, advisory: bool = False
    ) -> None:
        """The line for a question that could not be answered."""
        self._checks.append(Check(code, Outcome.UNKNOWN, CLAUSES[code], path, detail, advisory, reason))

    def skipped(self, code: PresentationCheck, path: str, detail: str) -> None:
        """The line for a rule that does not apply."""
        self._add(code, Outcome.SKIPPED, path, detail)

    def unreached(self, codes: Iterable[PresentationCheck], path: str) -> None:
        """The lines for rules about something that was refused before."""
        for code in codes:
            self._add(code, Outcome.SKIPPED, path, "Not applied: what it is about was refused before.")

    def extend(self, checks: Iterable[Check]) -> None:
        """Lines that another room made."""
        self._checks.extend(checks)

    def _add(
        self, code: PresentationCheck, outcome: Outcome, path: str, detail: str, reason: str = ""
    ) -> None:
        self._checks.append(Check(code, outcome, CLAUSES[code], path, detail, reason=reason))


def _sentence(message: str) -> str:
    return message[:1].upper() + message[1:] + "."
