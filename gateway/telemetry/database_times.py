"""How long statements take, how often they fail, and what they purge, by their names in the store."""

from collections import Counter
from typing import Final

from signers.durations import Histogram

PURGE: Final = "purge."
"""What the names of statements begin with that delete expired rows; the table follows."""


class DatabaseTimes:
    """Counted on one event loop, whichever thread ran the statement."""

    def __init__(self) -> None:
        self.seconds: dict[str, Histogram] = {}
        self.errors: Counter[tuple[str, str]] = Counter()
        self.purged: Counter[str] = Counter()

    def add(self, statement: str, seconds: float, error: str, rows: int) -> None:
        """Count one run of *statement*; *error* is the reason of its failure, *rows* what it changed."""
        histogram = self.seconds.get(statement)
        if histogram is None:
            histogram = self.seconds[statement] = Histogram()
        histogram.add(seconds)
        if error:
            self.errors[statement, error] += 1
        elif rows and statement.startswith(PURGE):
            self.purged[statement.removeprefix(PURGE)] += rows
