"""What goes wrong, and when: a schedule from a seed, and its execution. One thing at a time."""

import asyncio
import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from tests.replicas.cluster import Cluster, Replica
from tests.replicas.program import LATER, NEXT, TODAY


class FaultKind(StrEnum):
    """What can be done to the cluster."""

    KILL = "kill -9"
    FREEZE = "freeze"
    UPGRADE = "upgrade"
    """One replica is replaced by one of the program that migrated last, as a deployment does it."""
    ROLL = "rolling upgrade"
    """Every replica, one after the other."""
    MIGRATE = "database migrated"
    """By the next program, while those before it serve."""
    TOO_EARLY = "contraction asked for too early"
    """A program two revisions ahead is refused, as long as today's serve."""
    CUT = "cut off"
    SILENCE = "silent network"
    RESTART_DATABASE = "database restarted"
    CRASH_DATABASE = "database crashed"


@dataclass(frozen=True, slots=True)
class Fault:
    """`seconds` is how long it lasts, where it lasts; `replica` whom it hits, where it hits one."""

    kind: FaultKind
    replica: int = 0
    seconds: float = 0.0


LONGEST_FREEZE: Final = 12.0
"""Seconds: longer than a rotated refresh token still gives its successor (`tokens.refresh_grace`)."""
_COUNTED_AS_ALIVE: Final = 90.0
"""Seconds: more than a program counts as alive without a sign of life (docs/upgrades.md)."""
_EACH: Final = (
    *(FaultKind.KILL, FaultKind.KILL, FaultKind.FREEZE, FaultKind.FREEZE, FaultKind.ROLL),
    *(FaultKind.CUT, FaultKind.SILENCE),
)
"""What is drawn from, again and again; the database fails once in every way beside that."""
_QUICK: Final = (
    *(FaultKind.KILL, FaultKind.FREEZE, FaultKind.CRASH_DATABASE),
    *(FaultKind.MIGRATE, FaultKind.UPGRADE, FaultKind.CUT),
)


def quick_schedule(seed: int, *, replicas: int) -> list[Fault]:
    """A few faults, each once, on one replica after the other."""
    first = random.Random(seed).randrange(replicas)  # noqa: S311 - a schedule, no secret
    hit = ((first + number) % replicas for number in range(len(_QUICK)))
    return [Fault(kind, replica, 1.5) for kind, replica in zip(_QUICK, hit, strict=False)]


def schedule(seed: int, *, replicas: int) -> list[Fault]:
    """The faults of a long run, in order: more than fit into ten minutes."""
    draw = random.Random(seed)  # noqa: S311 - a schedule, no secret
    faults = []
    for _ in range(20):
        kinds = draw.sample(_EACH, k=len(_EACH))
        faults += [
            Fault(kind, draw.randrange(replicas), round(draw.uniform(1.0, LONGEST_FREEZE), 1))
            for kind in kinds
        ]
    faults.insert(3, Fault(FaultKind.RESTART_DATABASE))
    faults.insert(9, Fault(FaultKind.CRASH_DATABASE))
    # What follows hits programs of both kinds, until all are replaced; only then today's may be left behind.
    faults[1:1] = [Fault(FaultKind.MIGRATE), Fault(FaultKind.TOO_EARLY)]
    replaced = next(at for at, fault in enumerate(faults) if at > 1 and fault.kind is FaultKind.ROLL)
    faults.insert(replaced + 1, Fault(FaultKind.MIGRATE))
    return faults


@dataclass
class FaultLog:
    """What was done, and how long a replica took to serve again after it."""

    counts: Counter[str] = field(default_factory=Counter)
    recoveries: dict[str, list[float]] = field(default_factory=dict)
    spans: list[tuple[float, float, Fault]] = field(default_factory=list)
    """Begin and end of each, in seconds since the run began."""

    def note(self, fault: Fault, began: float, ended: float, recovery: Sequence[float]) -> None:
        """*recovery*: seconds of each replica, or of the database."""
        self.counts[fault.kind] += 1
        self.recoveries.setdefault(fault.kind, []).extend(recovery)
        self.spans.append((began, ended, fault))


class Saboteur:
    """Carries faults out on *cluster*."""

    def __init__(self, cluster: Cluster, log: FaultLog, now: Callable[[], float]) -> None:
        self._cluster = cluster
        self._log = log
        self._now = now
        self._ways: dict[FaultKind, Callable[[Fault], Awaitable[Sequence[float]]]] = {
            FaultKind.KILL: self._kill,
            FaultKind.FREEZE: self._freeze,
            FaultKind.UPGRADE: lambda fault: self._upgrade([self._cluster.replicas[fault.replica]]),
            FaultKind.ROLL: lambda _: self._upgrade(self._cluster.replicas),
            FaultKind.MIGRATE: lambda _: self._migrate(),
            FaultKind.TOO_EARLY: lambda _: self._migrate_too_early(),
            FaultKind.CUT: self._cut,
            FaultKind.SILENCE: self._silence,
            FaultKind.RESTART_DATABASE: lambda _: self._stop_database(signal.SIGINT),
            FaultKind.CRASH_DATABASE: lambda _: self._stop_database(signal.SIGQUIT),
        }

    async def run(self, faults: Sequence[Fault], *, pause: float) -> None:
        """One after the other, *pause* seconds apart; cancelled, it mends what it has begun."""
        for fault in faults:
            await asyncio.sleep(pause)
            began = self._now()
            under_way = asyncio.ensure_future(self._ways[fault.kind](fault))
            try:
                recovery = await asyncio.shield(under_way)
            except asyncio.CancelledError:
                self._log.note(fault, began, self._now(), await under_way)
                raise
            self._log.note(fault, began, self._now(), recovery)

    async def _kill(self, fault: Fault) -> Sequence[float]:
        replica = self._cluster.replicas[fault.replica]
        await replica.kill()
        return [await replica.start()]

    async def _freeze(self, fault: Fault) -> Sequence[float]:
        replica = self._cluster.replicas[fault.replica]
        replica.freeze()
        await asyncio.sleep(fault.seconds)
        replica.thaw()
        return []

    async def _upgrade(self, replicas: Sequence[Replica]) -> Sequence[float]:
        took = []
        for replica in replicas:
            await replica.drain()
            replica.revision = self._cluster.revision
            took.append(await replica.start())
        return took

    async def _migrate(self) -> Sequence[float]:
        """A process that was killed counts as alive for a minute, and so long may it take."""
        began, revision = self._now(), NEXT if self._cluster.revision == TODAY else LATER
        while not await self._cluster.migrate(revision):
            if self._now() > began + _COUNTED_AS_ALIVE:
                raise RuntimeError(f"programs that do not live keep revision {revision} off")
            await asyncio.sleep(1.0)
        return [self._now() - began]

    async def _migrate_too_early(self) -> Sequence[float]:
        if await self._cluster.migrate(LATER):
            raise RuntimeError("a revision did not wait for the programs that it leaves behind")
        return []

    async def _cut(self, fault: Fault) -> Sequence[float]:
        self._cluster.proxy.cut()
        await asyncio.sleep(fault.seconds)
        self._cluster.proxy.mend()
        return []

    async def _silence(self, fault: Fault) -> Sequence[float]:
        self._cluster.proxy.silence()
        await asyncio.sleep(fault.seconds)
        self._cluster.proxy.mend()
        return []

    async def _stop_database(self, how: signal.Signals) -> Sequence[float]:
        began = self._now()
        await asyncio.to_thread(self._cluster.postgres.stop, how)
        await asyncio.to_thread(self._cluster.postgres.start)
        return [self._now() - began]
