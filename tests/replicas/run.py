"""Three replicas on one PostgreSQL under load while everything fails that may, audited from the outside.

    python -m tests.replicas.run --minutes 10 --seed 1 --folder /tmp/run

Prints the figures as Markdown, and exits with 1 where the checker finds anything. What every client was told
is in FOLDER/history.jsonl then, and the replicas' logs beside it.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.replicas import rules, stored
from tests.replicas.cluster import Cluster, running_cluster
from tests.replicas.faults import FaultLog, Saboteur, quick_schedule, schedule
from tests.replicas.fleet import Fleet, open_fleet
from tests.replicas.history import History
from tests.replicas.load_enrollment import (
    Enrollments,
    Finalization,
    ask_list,
    ask_status,
    enroll,
    fetch,
    finalize,
)
from tests.replicas.load_grants import Families, Family, authorize, refresh
from tests.replicas.load_keys import Watcher, observe_active, replace_key
from tests.replicas.load_presentations import Presentations, look_at, new_presentations, present
from tests.replicas.load_tokens import (
    TokenValues,
    introspect_many,
    mint,
    mint_batch,
    use_assertion_twice,
    use_proof_twice,
)
from tests.replicas.registered import Registered, register
from tests.replicas.report import report
from tests.replicas.verdict import Violation
from tests.support.postgres import PostgresServer, running_postgres

_AT_ONCE: Final = 8


@dataclass
class Run:
    """Everything that a run makes. *seconds* is None for one that meets a few faults once each and ends."""

    seconds: float | None
    seed: int
    history: History = field(default_factory=History)
    faults: FaultLog = field(default_factory=FaultLog)
    held: TokenValues = field(default_factory=TokenValues)
    families: Families = field(default_factory=Families)
    presentations: Presentations = field(default_factory=new_presentations)
    watchers: list[Watcher] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    fleet: Fleet | None = None
    load_seconds: float = 0.0


async def execute(run: Run, folder: Path, postgres: PostgresServer, url: str, *, hsm: bool = False) -> None:
    """Run load and faults on a new cluster, look at everything once more, and check it all."""
    async with running_cluster(folder, postgres, url, hsm=hsm) as cluster:
        targets = [replica.target for replica in cluster.replicas]
        async with open_fleet(targets, cluster.root.pem, cluster.operator, run.history, run.seed) as fleet:
            run.fleet = fleet
            registered = await register(fleet.clients[0])
            enrollments = Enrollments(cluster.issuing_ca)
            await _under_load(run, fleet, cluster, registered, enrollments)
            await _look_again(run, fleet, registered, enrollments)
    found = await stored.look(url)
    run.violations = rules.violations(run.history) + stored.violations(run.history, found)


async def _under_load(
    run: Run, fleet: Fleet, cluster: Cluster, registered: Registered, enrollments: Enrollments
) -> None:
    """Clients and faults, until the time is over; every client finishes what it began."""
    stop = asyncio.Event()
    began = time.monotonic()
    count = len(cluster.replicas)
    quick = run.seconds is None
    faults = quick_schedule(run.seed, replicas=count) if quick else schedule(run.seed, replicas=count)
    saboteur = Saboteur(cluster, run.faults, fleet.now)

    def client(work: Callable[[], Awaitable[None]], pause: float) -> Awaitable[None]:
        return _repeat(work, fleet, pause, stop)

    keys = iter(range(1_000_000))
    clients = [
        *(client(lambda: mint(fleet, run.held), 0.1) for _ in range(3)),
        client(lambda: mint_batch(fleet, run.held), 1.0),
        client(lambda: use_proof_twice(fleet, run.held, registered), 0.3),
        client(lambda: use_assertion_twice(fleet, run.held, registered), 0.5),
        *(client(lambda: authorize(fleet, run.held, run.families, registered), 0.2) for _ in range(2)),
        *(client(lambda: enroll(fleet, enrollments, cluster.provider), 0.3) for _ in range(2)),
        *(client(lambda: present(fleet, run.presentations), 0.3) for _ in range(2)),
        client(lambda: replace_key(fleet, run.held, next(keys)), 1.0 if quick else 4.0),
        client(lambda: ask_list(fleet), 1.0),
    ]
    run.watchers = [Watcher(fleet, number) for number in range(count)]
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(watcher.run()) for watcher in run.watchers]
        sabotage = asyncio.create_task(saboteur.run(faults, pause=1.0 if quick else 2.0))
        working = [tasks.create_task(each) for each in clients]  # type: ignore[arg-type]  # Coroutines.
        await asyncio.wait([sabotage], timeout=run.seconds)
        await _finish(sabotage)
        stop.set()
        await asyncio.gather(*working)
        run.load_seconds = time.monotonic() - began
        wanted = run.history.revoked()
        await asyncio.gather(*(watcher.until_seen(wanted) for watcher in run.watchers))
        for task in watching:
            task.cancel()


async def _repeat(
    work: Callable[[], Awaitable[None]], fleet: Fleet, pause: float, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        await work()
        with suppress(TimeoutError):
            async with asyncio.timeout(fleet.random.uniform(0, 2 * pause)):
                await stop.wait()


async def _finish(sabotage: "asyncio.Task[None]") -> None:
    """End the faults; one that is under way is carried to its end."""
    sabotage.cancel()
    with suppress(asyncio.CancelledError):
        await sabotage


async def _look_again(run: Run, fleet: Fleet, registered: Registered, enrollments: Enrollments) -> None:
    """Ask every replica about everything that anybody was told."""

    def using(family: Family) -> Callable[[], Awaitable[object]]:
        return lambda: refresh(fleet, run.held, family, registered)

    def finishing(finalization: Finalization) -> Callable[[], Awaitable[object]]:
        async def finish() -> None:
            await fetch(fleet, enrollments, await finalize(fleet, finalization))

        return finish

    await _some_at_once([using(family) for family in run.families.alive])
    await _some_at_once([finishing(each) for each in enrollments.finalizations])
    token_ids = list(run.history.tokens)

    async def look(replica: int) -> None:
        await observe_active(fleet, replica=replica)
        await ask_list(fleet, replica=replica)
        await introspect_many(fleet, run.held, token_ids, replica)
        for name in list(enrollments.certificates):
            await fetch(fleet, enrollments, name, replica=replica)
            await ask_status(fleet, enrollments, name, replica=replica)
        for name in run.presentations.names:
            await look_at(fleet, name, replica=replica)

    await asyncio.gather(*(look(replica) for replica in range(len(fleet.clients))))


async def _some_at_once(calls: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Make all *calls*, a few at a time."""
    left = iter(calls)

    async def worker() -> None:
        for call in left:
            await call()

    await asyncio.gather(*(worker() for _ in range(_AT_ONCE)))


def main() -> None:
    """Run and report."""
    parser = argparse.ArgumentParser(description="Replicas under faults, audited from the outside.")
    parser.add_argument("--minutes", type=float, help="by default as long as a few faults take")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where history and logs go; by default a new one")
    parser.add_argument("--hsm", action="store_true", help="the key of the tokens lies in SoftHSM")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="replicas-"))
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(None if arguments.minutes is None else arguments.minutes * 60, arguments.seed)
    with running_postgres() as postgres, postgres.new_database() as url:
        asyncio.run(execute(run, folder, postgres, url, hsm=arguments.hsm))
    run.history.write(folder / "history.jsonl")
    sys.stdout.write(report(run))
    sys.stdout.write("".join(f"\n{violation}\n" for violation in run.violations[:20]))
    sys.exit(1 if run.violations else 0)


if __name__ == "__main__":
    main()
