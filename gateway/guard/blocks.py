"""Which addresses are blocked, and until when: longer each time that one has to be."""

from dataclasses import dataclass
from typing import Final

FIRST: Final = 5.0
"""Seconds; each time twice as long as before."""
LONGEST: Final = 60.0
MEMORY: Final = 300.0
"""Seconds after the end of a block for which it is remembered."""
MOST: Final = 256
"""Blocked at the same time: a filter has 4,096 instructions (BPF_MAXINSNS), and a network of IPv6 takes 5."""


@dataclass(slots=True)
class _Block:
    until: float
    seconds: float


class Blocks:
    """Sites as in `gateway.limits.peers`; times in seconds of one monotonic clock."""

    def __init__(self) -> None:
        self._blocks: dict[str, _Block] = {}

    def block(self, site: str, now: float) -> float | None:
        """Block *site* from *now* on, for as many seconds as are given back; None where it is already, or
        where no more can be.
        """
        self._forget(now)
        before = self._blocks.get(site)
        if before is None:
            if len(self._blocks) >= MOST:
                return None
            seconds = FIRST
        elif before.until > now:
            return None
        else:
            seconds = min(LONGEST, 2 * before.seconds)
        self._blocks[site] = _Block(now + seconds, seconds)
        return seconds

    def blocked(self, now: float) -> frozenset[str]:
        """The sites that are blocked *now*."""
        return frozenset(site for site, block in self._blocks.items() if block.until > now)

    def _forget(self, now: float) -> None:
        for site, block in tuple(self._blocks.items()):
            if block.until + MEMORY <= now:
                del self._blocks[site]
        if len(self._blocks) < MOST:
            return
        for site, block in tuple(self._blocks.items()):
            if block.until <= now:
                del self._blocks[site]
                return
