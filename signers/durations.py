"""How long things took: counted in buckets where they happen, read by whoever reports them."""

import threading
from bisect import bisect_left
from collections.abc import Mapping
from contextvars import ContextVar
from enum import StrEnum
from typing import Final

BOUNDS: Final = (
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
)  # fmt: skip
"""Upper bounds of the buckets in seconds, inclusive: from a curve in memory to a device that is stuck."""


class Histogram:
    """Durations by bucket. Written by one thread; another may read it and see the last one half counted."""

    __slots__ = ("counts", "seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS) + 1)
        self.seconds = 0.0

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds

    def merge(self, other: "Histogram") -> None:
        """Add all that *other* counted."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.seconds += other.seconds


class Stage(StrEnum):
    """A part of a signature's time. What a backend does not have apart, it does not report."""

    QUEUE = "queue"
    SIGN = "sign"
    VERIFY = "verify"


class _Shard:
    __slots__ = ("queue", "sign", "verify")

    def __init__(self) -> None:
        self.queue = Histogram()
        self.sign = Histogram()
        self.verify = Histogram()


class StageTimes:
    """The stages of one key's signatures. Each thread counts for itself, so that none waits for another."""

    def __init__(self) -> None:
        self._own = threading.local()
        self._shards: list[_Shard] = []

    @property
    def of_this_thread(self) -> _Shard:
        """Where the calling thread counts: attributes `queue`, `sign` and `verify`."""
        try:
            shard: _Shard = self._own.shard
        except AttributeError:
            shard = self._own.shard = _Shard()
            self._shards.append(shard)
        return shard

    def totals(self) -> Mapping[Stage, Histogram]:
        """The sums over all threads."""
        totals = {stage: Histogram() for stage in Stage}
        for shard in tuple(self._shards):
            totals[Stage.QUEUE].merge(shard.queue)
            totals[Stage.SIGN].merge(shard.sign)
            totals[Stage.VERIFY].merge(shard.verify)
        return totals


call_stages: Final[ContextVar[StageTimes | None]] = ContextVar("call_stages", default=None)
"""Where the stages of the call under way are counted once more, for who traces it; None for nobody."""
