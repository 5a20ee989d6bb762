"""From an entry of the descriptor map to the credential it names, level by level."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from gateway.presentations.checks import Check
from gateway.presentations.exchange.credential import (
    Presented,
    PresentedCredential,
    PresentedPresentation,
)
from gateway.presentations.exchange.rules import ExchangeCheck, checked
from gateway.presentations.exchange.submission import SubmissionEntry
from gateway.presentations.exchange.work import Budget

# What comparing one encoding with another costs.
_TEXT_STEPS: Final = 16
_OBJECT_STEPS: Final = 1024

Container: TypeAlias = PresentedCredential | PresentedPresentation


@dataclass(frozen=True, slots=True)
class Located:
    """What an entry leads to; `credential` is None where it leads nowhere, and the checks say why."""

    credential: PresentedCredential | None
    presentations: tuple[PresentedPresentation, ...]
    checks: tuple[Check, ...]


def locate(entry: SubmissionEntry, presented: Presented, budget: Budget, *, path: str) -> Located:
    """Follow *entry*, which stands at *path* of the submission, through the presented containers.

    Each level's value must be the exact encoding of a container that was verified; the last one's a
    credential. Inside a presentation the path may start at the JWT's payload or at its ``vp``: wallets do
    either, and where both lead somewhere they must lead to the same. Raises `WorkExceededError`.
    """
    target = presented.target
    roots = target.roots() if isinstance(target, PresentedPresentation) else (target,)
    passed_through: list[PresentedPresentation] = []
    checks: list[Check] = []
    for level, step in enumerate(entry.steps):
        at = path + ".path_nested" * level
        last = level == len(entry.steps) - 1
        values = _distinct([node.value for root in roots if (node := step.path.first(root, budget))], budget)
        container: Container | None = None
        if len(values) == 1:
            candidates: Sequence[Container] = presented.credentials if last else presented.presentations
            container = _by_encoding(candidates, values[0], budget)
        if container is None:
            detail = _why_not(values, last=last)
            failed = checked(ExchangeCheck.DESCRIPTOR_LOCATED, passed=False, path=f"{at}.path", detail=detail)
            return Located(None, tuple(passed_through), (*checks, failed))
        checks.append(_declared(container.format, step.format, at))
        if isinstance(container, PresentedCredential):
            found = checked(
                ExchangeCheck.DESCRIPTOR_LOCATED,
                passed=True,
                path=f"{at}.path",
                detail="The path leads to one verified credential.",
            )
            return Located(container, tuple(passed_through), (found, *checks))
        passed_through.append(container)
        roots = container.roots()
    raise AssertionError("an entry has at least one step")


def _declared(actual: str, declared: str, path: str) -> Check:
    same = actual == declared
    detail = "The format is as declared." if same else f"The format is {actual}, not what the entry declares."
    return checked(ExchangeCheck.FORMAT_DECLARED, passed=same, path=f"{path}.format", detail=detail)


def _distinct(values: list[Any], budget: Budget) -> list[Any]:
    distinct: list[Any] = []
    for value in values:
        budget.charge(_TEXT_STEPS if isinstance(value, str) else _OBJECT_STEPS)
        if value not in distinct:
            distinct.append(value)
    return distinct


def _by_encoding(candidates: Sequence[Container], value: Any, budget: Budget) -> Container | None:
    for candidate in candidates:
        budget.charge(_TEXT_STEPS if isinstance(value, str) else _OBJECT_STEPS)
        if candidate.encoded == value:
            return candidate
    return None


def _why_not(values: list[Any], *, last: bool) -> str:
    if not values:
        return "The path leads to nothing."
    if len(values) > 1:
        return "The path leads to different values from the payload and from its vp."
    return f"The path leads to no verified {'credential' if last else 'presentation'}."
