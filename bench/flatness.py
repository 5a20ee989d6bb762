"""Whether a figure grows: a line fitted to its samples after the warm-up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Bound:
    """How much a figure may grow from the warm-up to the end: *absolute*, or *part* of its mean if more."""

    absolute: float
    part: float = 0.0


BOUNDS: Final[Mapping[str, Bound]] = {
    "rss_mib": Bound(4.0),
    "files": Bound(3.0),
    "threads": Bound(2.0),
    "database_connections": Bound(1.0),
    "pkcs11_sessions": Bound(1.0),
    "streams": Bound(2.0),
    "https_connections": Bound(3.0),
}
"""By name, for a whole run, however long it is. Memory is the sum over all processes, whatever they have: it
breathes by some MiB with what is collected when, and so does the fitted line by a part of that. The others
are counted."""


@dataclass(frozen=True, slots=True)
class Trend:
    """*first* and *last*: what the fitted line says at the end of the warm-up and at the end of the run."""

    first: float
    last: float
    least: float
    most: float

    @property
    def growth(self) -> float:
        """From one to the other."""
        return self.last - self.first

    def is_flat(self, bound: Bound) -> bool:
        """Whether it grew by no more than *bound*."""
        mean = (self.first + self.last) / 2
        return self.growth <= max(bound.absolute, bound.part * mean)


def trend(seconds: Sequence[float], values: Sequence[float]) -> Trend:
    """The least-squares line through *values* at *seconds*. Raises `ValueError` for fewer than three."""
    if len(values) < 3:
        raise ValueError("a trend needs three samples")
    mean_x, mean_y = sum(seconds) / len(seconds), sum(values) / len(values)
    spread = sum((x - mean_x) ** 2 for x in seconds)
    together = sum((x - mean_x) * (y - mean_y) for x, y in zip(seconds, values, strict=True))
    slope = together / spread if spread else 0.0
    first, last = (mean_y + slope * (x - mean_x) for x in (seconds[0], seconds[-1]))
    return Trend(first, last, min(values), max(values))
