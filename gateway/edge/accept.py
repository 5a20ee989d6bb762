"""Which representation a client asks for (RFC 9110 §12.5.1)."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

_RANGE: Final = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)/([!#$%&'*+.^_`|~0-9A-Za-z-]+)")
_QUALITY: Final = re.compile(r"0(\.[0-9]{0,3})?|1(\.0{0,3})?")


class _Range(NamedTuple):
    kind: str
    subtype: str
    quality: float
    position: int

    def specificity(self, media_type: str) -> int | None:
        """2 for the very type, 1 for ``type/*``, 0 for ``*/*``; None where it does not match."""
        kind, _, subtype = media_type.partition("/")
        if self.subtype == "*":
            if self.kind == "*":
                return 0
            return 1 if self.kind == kind else None
        return 2 if (self.kind, self.subtype) == (kind, subtype) else None


def preferred(values: Sequence[str], offered: Sequence[str]) -> str | None:
    """The one of *offered* (lower case, without parameters, the default first) that ``Accept`` asks for.

    *values* are those of the header, none of which means anything. The highest quality wins, then the more
    specific range, then the one named first, then the order of *offered*. None where nothing is acceptable.
    Parameters of a range other than ``q`` are passed over, and so is a range that cannot be read.
    """
    ranges = _ranges(values)
    if not any(value.strip() for value in values):
        return offered[0]
    best, chosen = (0.0, 0, 0), None
    for media_type in offered:
        rank = _rank(ranges, media_type)
        if rank is not None and rank[0] > 0 and (chosen is None or rank > best):
            best, chosen = rank, media_type
    return chosen


def _rank(ranges: Sequence[_Range], media_type: str) -> tuple[float, int, int] | None:
    """Quality, specificity and place of the most specific range for *media_type*: that one decides."""
    matching = [
        (specificity, -each.position, each.quality)
        for each in ranges
        if (specificity := each.specificity(media_type)) is not None
    ]
    if not matching:
        return None
    specificity, place, quality = max(matching)
    return quality, specificity, place


def _ranges(values: Sequence[str]) -> list[_Range]:
    ranges = []
    for position, element in enumerate(",".join(values).split(",")):
        media_range, *parameters = (part.strip().lower() for part in element.split(";"))
        match = _RANGE.fullmatch(media_range)
        quality = _quality(parameters)
        if match is not None and quality is not None:
            ranges.append(_Range(match[1], match[2], quality, position))
    return ranges


def _quality(parameters: Sequence[str]) -> float | None:
    """The weight (RFC 9110 §12.4.2), 1 without one; None where it is none."""
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            return float(value) if _QUALITY.fullmatch(value) else None
    return 1.0
