"""Whether anything grows while everything is used for a long time: memory, files, threads, sessions.

    python -m bench.soak [--minutes N] [--pace SECONDS] [--json FILE]

Two gateways at once: one with its keys in files and its data in SQLite; one with its key in SoftHSM and its
data in PostgreSQL, where those are there. Each gets the calls of `bench.soak_load`: mints, batches, proofs,
introspections, revocations, refreshes, enrollments, watchers that come and go, clients that connect and
leave, calls that fail and calls that are abandoned.

First all of it as fast as it goes, until everything that a gateway may remember is full (`bench.soak_fill`),
which takes some minutes. Then for N minutes at a gentle rate. A fifth of that passes before anything counts;
to each figure of the rest a line is fitted, which may rise by no more than the bound of that figure in
`bench.flatness`. Exits with 1 where one does, where a call failed, or where more than one round in a hundred
was refused as OVERLOADED.
"""

import argparse
import asyncio
import json
import re
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from bench import gateways
from bench.certificates import CLIENT
from bench.flatness import BOUNDS, trend
from bench.report import MIB
from bench.soak_fill import ROUNDS
from bench.soak_load import Load
from bench.soak_site import Soaked, gateway, identities_of, open_files, sessions_open
from softhsm.provision import Provisioned, find_module
from tests.support.postgres import running_postgres

_INTERVAL: Final = 5.0
"""Seconds between two samples."""
_WARM_UP: Final = 0.2
_SHED: Final = 0.01
"""Part of the rounds that a gateway may refuse as OVERLOADED: others may want the machine too."""
_METRICS_TIMEOUT: Final = 60.0
"""Seconds that the metrics may take: a machine that others keep busy is no defect of the gateway."""
_GAUGES: Final = {
    "countersign_database_connections": "database_connections",
    "countersign_streams_under_way": "streams",
    "countersign_https_connections": "https_connections",
}
_LINE: Final = re.compile(r"^(\w+)(?:\{[^}]*\})? ([0-9.eE+-]+)$", re.MULTILINE)


@dataclass(slots=True)
class Series:
    """The samples of one gateway: the seconds at which they were taken, and each figure by name."""

    seconds: list[float] = field(default_factory=list)
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, second: float, sample: Mapping[str, float]) -> None:
        """Add a sample; it has the same names as those before."""
        self.seconds.append(second)
        for name, value in sample.items():
            self.figures.setdefault(name, []).append(value)

    def judge(self, warm_up: float) -> Iterator[dict[str, Any]]:
        """One row for each figure, without what was sampled in the first *warm_up* seconds."""
        begin = next((index for index, second in enumerate(self.seconds) if second >= warm_up), 0)
        for name, values in self.figures.items():
            found = trend(self.seconds[begin:], values[begin:])
            rounded = {key: round(value, 2) for key, value in asdict(found).items()}
            yield {"figure": name, **rounded, "flat": found.is_flat(BOUNDS[name])}


def sample(soaked: Soaked, processes: list[psutil.Process]) -> dict[str, float]:
    """Everything that is watched, summed over the gateway's *processes*. Blocks for some milliseconds."""
    figures: dict[str, float] = {
        "rss_mib": sum(process.memory_info().rss for process in processes) / MIB,
        "files": sum(open_files(process.pid) for process in processes),
        "threads": sum(process.num_threads() for process in processes),
    }
    with urllib.request.urlopen(
        f"http://127.0.0.1:{soaked.metrics}/metrics", timeout=_METRICS_TIMEOUT
    ) as response:
        text = response.read().decode()
    totals = dict.fromkeys(_GAUGES.values(), 0.0)
    for name, value in _LINE.findall(text):
        if name in _GAUGES:
            totals[_GAUGES[name]] += float(value)
    figures |= totals
    if soaked.spy is not None:
        figures["pkcs11_sessions"] = sessions_open(soaked.spy)
    return figures


async def soak(
    *, minutes: float, pace: float, database_url: str, interval: float = _INTERVAL
) -> dict[str, Any]:
    """Soak for *minutes*; what was done, what failed, and the rows of each gateway.

    *database_url*: of an empty database of PostgreSQL; empty where there is none.
    """
    async with opened(database_url) as (sites, identities):
        loads = {name: Load(soaked, identities, secret=secret) for name, (soaked, secret) in sites.items()}
        full = {name: asyncio.Event() for name in sites}
        tasks = [
            asyncio.create_task(load.run(pace, fill=ROUNDS, full=full[name])) for name, load in loads.items()
        ]
        series = {name: Series() for name in sites}
        processes = {name: soaked.server.processes() for name, (soaked, _) in sites.items()}
        try:
            filling = time.monotonic()
            await all_set(full.values(), tasks)
            started = time.monotonic()
            while (now := time.monotonic() - started) < minutes * 60:
                for name, (soaked, _) in sites.items():
                    series[name].add(now, await asyncio.to_thread(sample, soaked, processes[name]))
                    _tell(name, series[name])
                done, _ = await asyncio.wait(tasks, timeout=interval, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return {
            "minutes": minutes,
            "filled_after": round(started - filling),
            "samples": len(next(iter(series.values())).seconds),
            "gateways": {
                name: {
                    "rounds": dict(loads[name].rounds),
                    "failures": dict(loads[name].failures),
                    "shed": loads[name].shed.total(),
                    "rows": list(each.judge(minutes * 60 * _WARM_UP)),
                }
                for name, each in series.items()
            },
        }


async def all_set(events: Iterable[asyncio.Event], tasks: Sequence[asyncio.Task[None]]) -> None:
    """Until all *events* are set. Raises what ends one of *tasks* before."""

    async def wait() -> None:
        for event in events:
            await event.wait()

    waiting = asyncio.create_task(wait())
    try:
        await asyncio.wait([waiting, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            if task.done():
                task.result()
        await waiting
    finally:
        waiting.cancel()


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[tuple[dict[str, tuple[Soaked, str]], Mapping[str, Any]]]:
    """The gateways by name, each with the secret of its client, and everybody's certificates."""
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="countersign-soak-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        identities = identities_of(folder)
        site = gateways.Site(folder, identities, workers=1, access_log=True)
        described = {"files, SQLite": gateway("files", folder / "files", site)}
        hsm = _softhsm(folder / "softhsm")
        if hsm is not None or url:
            title = " and ".join(filter(None, ("SoftHSM" if hsm else "", "PostgreSQL" if url else "")))
            described[title] = gateway("hsm", folder / "hsm", site, database_url=url, hsm=hsm)
        found = {}
        for name, soaked in described.items():
            stack.push_async_callback(soaked.server.stop)
            await soaked.server.start(gateways.READY, identities[CLIENT])
            facts = await gateways.fill(soaked.server, identities, tokens=0)
            found[name] = (soaked, facts.secret)
        yield found, identities


def _softhsm(folder: Path) -> Provisioned | None:
    try:
        find_module()
    except FileNotFoundError as error:
        print(f"Without SoftHSM: {error}", file=sys.stderr)
        return None
    return gateways.provision_softhsm(folder)


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of a database of its own; empty where there is no PostgreSQL."""
    try:
        with running_postgres() as server, server.new_database() as url:
            yield url
    except RuntimeError as error:
        print(f"Without PostgreSQL: {error}", file=sys.stderr)
        yield ""


def _tell(name: str, series: Series) -> None:
    if sys.stderr.isatty():
        last = ", ".join(f"{figure} {values[-1]:.0f}" for figure, values in series.figures.items())
        print(f"\r\x1b[K{series.seconds[-1]:.0f} s, {name}: {last}", end="", file=sys.stderr, flush=True)


def table(found: Mapping[str, Any]) -> str:
    """*found* of `soak` for a terminal."""
    lines = [
        f"{found['minutes']:g} minutes, {found['samples']} samples, full after {found['filled_after']} s"
    ]
    for name, each in found["gateways"].items():
        lines += ["", f"{name}: {sum(each['rounds'].values()):,} rounds: {each['rounds']}"]
        lines.append(f"{'':24}{'after warm-up':>14}{'at the end':>12}{'least':>9}{'most':>9}")
        lines += [
            f"{row['figure']:24}{row['first']:>14.1f}{row['last']:>12.1f}{row['least']:>9.1f}"
            f"{row['most']:>9.1f}{'' if row['flat'] else '  GROWS'}"
            for row in each["rows"]
        ]
        lines.append(f"refused as OVERLOADED: {each['shed']}")
        lines += [f"FAILED {count} x {failure}" for failure, count in each["failures"].items()]
    return "\n".join(lines)


def main() -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.soak", description="Look for what grows.")
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (30)")
    parser.add_argument("--pace", type=float, default=0.2, help="seconds between two mints (0.2)")
    parser.add_argument("--interval", type=float, default=_INTERVAL, help="seconds between samples (5)")
    parser.add_argument("--json", type=Path, default=None, help="write the result there too")
    options = parser.parse_args()
    with postgres() as url:
        found = asyncio.run(
            soak(minutes=options.minutes, pace=options.pace, database_url=url, interval=options.interval)
        )
    print(table(found))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    gateways_found = found["gateways"].values()
    flat = all(row["flat"] for each in gateways_found for row in each["rows"])
    failed = any(
        each["failures"] or each["shed"] > _SHED * sum(each["rounds"].values()) for each in gateways_found
    )
    return 0 if flat and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
