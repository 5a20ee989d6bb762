"""The figures of `bench.scaling`: what a call costs at a setting, and what bounds the calls per second."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

_BUSY: Final = 0.9
"""From which part of its time a worker or the machine counts as busy."""
_OWN: Final = 0.75
"""The part of a busy machine that the bench has to use itself."""


@dataclass(frozen=True, slots=True)
class Setting:
    """So many replicas of so many workers each."""

    replicas: int
    workers: int

    @property
    def title(self) -> str:
        """For a table."""
        return f"{self.replicas} replica(s) of {self.workers} worker(s)"


@dataclass(frozen=True, slots=True)
class Measured:
    """One window: calls per second of all replicas, and microseconds of CPU time per call.

    *machine_busy*: the part of all processors' time that anybody used, in [0, 1].
    """

    per_second: float
    gateway_us: float
    database_us: float
    generator_us: float
    machine_busy: float

    @property
    def gateway_processors(self) -> float:
        """How many processors the gateways kept busy."""
        return self.gateway_us * self.per_second / 1e6

    @property
    def processors(self) -> float:
        """How many gateways, database and generators kept busy together."""
        return self.gateway_processors + (self.database_us + self.generator_us) * self.per_second / 1e6


def bound_of(setting: Setting, measured: Measured, cpus: int) -> str:
    """What kept the calls per second from being more.

    - ``workers``: each is busy, and processors are free.
    - ``processors``: none is free, and this bench uses them; ``others``: somebody else does.
    - ``waiting``: neither; calls wait for the disk, a lock, or there are too few of them under way.
    """
    if measured.machine_busy >= _BUSY:
        return "processors" if measured.processors >= _OWN * cpus else "others"
    workers = setting.replicas * setting.workers
    return "workers" if measured.gateway_processors >= _BUSY * workers else "waiting"


def busy_part(before: Any, after: Any) -> float:
    """The part of the time between two `psutil.cpu_times` that was not idle."""
    spent = [end - begin for begin, end in zip(before, after, strict=True)]
    idle = (after.idle - before.idle) + (getattr(after, "iowait", 0.0) - getattr(before, "iowait", 0.0))
    # Guests' time is in that of users too.
    total = sum(spent) - (getattr(after, "guest", 0.0) - getattr(before, "guest", 0.0))
    return 1.0 - idle / total if total > 0 else 0.0


def row_of(
    setting: Setting, case: str, windows: Sequence[Measured], before: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """The cell of *case* at *setting*. Its cost is compared with the first of that case in *before*."""
    middle = Measured(
        *(
            median(getattr(each, name) for each in windows)
            for name in ("per_second", "gateway_us", "database_us", "generator_us", "machine_busy")
        )
    )
    cost = middle.gateway_us + middle.database_us
    first = next((row for row in before if row["case"] == case), None)
    one = cost if first is None else first["gateway_cpu_us_per_call"] + first["database_cpu_us_per_call"]
    return {
        "replicas": setting.replicas,
        "workers": setting.workers,
        "case": case,
        "calls_per_second": round(middle.per_second, 1),
        "gateway_cpu_us_per_call": round(middle.gateway_us, 1),
        "database_cpu_us_per_call": round(middle.database_us, 1),
        "generator_cpu_us_per_call": round(middle.generator_us, 1),
        "cost_vs_one": round(cost / one, 2),
        "processors_used": round(middle.processors, 2),
        "machine_busy": round(middle.machine_busy, 2),
        "bound_by": bound_of(setting, middle, os.cpu_count() or 1),
    }
