"""Fields of a descriptor against one credential (Presentation Exchange, Input Evaluation)."""

from dataclasses import dataclass

from gateway.presentations.checks import Check, Outcome
from gateway.presentations.exchange.credential import PresentedCredential
from gateway.presentations.exchange.json_path import Location, Node
from gateway.presentations.exchange.model import Field, Preference, Version
from gateway.presentations.exchange.rules import ExchangeCheck, checked, undecided
from gateway.presentations.exchange.work import Budget


@dataclass(frozen=True, slots=True)
class FieldResult:
    """The line of one field, and where its value was found (None where nothing was)."""

    check: Check
    location: Location | None


def evaluate_field(
    field: Field, version: Version, credential: PresentedCredential, budget: Budget, *, path: str
) -> FieldResult:
    """Apply *field*, which stands at *path*, to *credential*. Raises `WorkExceededError`.

    The paths are tried in order, each on the credential as decoded and then on its data model; the first node
    of a query counts. In 1.0.0 the first path with a result decides; in 2.x the first whose result passes the
    filter. An optional field may be absent, but where its value is there, it must pass.
    """
    found = False
    for query in field.paths:
        node = credential.first(query, budget)
        if node is None:
            continue
        found = True
        if _passes(field, node, budget):
            return FieldResult(_line(field, path, passed=True), node.location)
        if version is Version.V1:
            break
    if found:
        return FieldResult(_line(field, path, passed=False), None)
    if field.optional:
        detail = "The credential does not have this optional field."
        return FieldResult(
            undecided(ExchangeCheck.FIELD_PRESENT, Outcome.SKIPPED, path=path, detail=detail), None
        )
    detail = "No path of the field leads to a value in the credential."
    return FieldResult(checked(ExchangeCheck.FIELD_PRESENT, passed=False, path=path, detail=detail), None)


def _passes(field: Field, node: Node, budget: Budget) -> bool:
    if field.filter is None:
        return True
    if field.predicate is not None and node.value is True:
        return True  # The derived boolean itself (1.0.0 §4.2, predicate).
    if field.predicate is Preference.REQUIRED:
        return False
    return field.filter.accepts(node.value, budget)


def _line(field: Field, path: str, *, passed: bool) -> Check:
    if field.predicate is not None:
        detail = "The predicate holds." if passed else "The predicate is not shown to hold."
        return checked(ExchangeCheck.FIELD_PREDICATE, passed=passed, path=path, detail=detail)
    if field.filter is not None:
        detail = "The value passes the filter." if passed else "The value does not pass the filter."
        return checked(ExchangeCheck.FIELD_FILTER, passed=passed, path=path, detail=detail)
    return checked(ExchangeCheck.FIELD_PRESENT, passed=True, path=path, detail="The value is there.")
