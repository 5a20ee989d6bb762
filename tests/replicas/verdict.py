"""What a rule finds."""

from dataclasses import dataclass
from typing import Final

from tests.replicas.history import Attempt

KEY_LAG: Final = 1.0
"""Seconds after which a change of a key is in force on every replica (docs/operations.md)."""


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with `subject`, and the attempts that show it."""

    rule: str
    subject: str
    message: str
    evidence: tuple[Attempt, ...] = ()

    def __str__(self) -> str:
        """The sentence, and the history of the object below it."""
        lines = [f"{self.rule}: {self.subject}: {self.message}"]
        return "\n".join(lines + [f"    {attempt.line()}" for attempt in self.evidence])
