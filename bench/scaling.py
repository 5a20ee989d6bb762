"""Whether workers and replicas share what they should not: mints and introspections with more of either.

    python -m bench.scaling [--seconds N] [--rounds N] [--calls N]

Replicas have one PostgreSQL and one key in a file. Each setting is measured in turn, `rounds` times. What
bounds the calls per second is said of each cell: only where it is the workers, more of them can give more;
where the processors of the machine are busy, gateway, database and generators share them out. The CPU time
per call tells in any case: it stays where it is (`cost_vs_one`) as long as nothing is shared that should not
be. Exits with 1 where a call failed.
"""

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import psutil

from bench import cases, gateways
from bench.certificates import ADMIN, CLIENT, RESOURCE, SERVER, Authority, Identity
from bench.facts import Facts
from bench.generators import GeneratorError, Generators, Load
from bench.scaling_figures import Measured, Setting, busy_part, row_of
from bench.servers import Server
from signers import Algorithm
from tests.support.postgres import running_postgres

_CHANNELS: Final = 4
"""Connections of each generator, so that the kernel finds connections for every worker."""
_REST: Final = 0.15
"""CPU seconds a second of a gateway that nobody calls, at most."""
_REST_TIMEOUT: Final = 90
_NAMES: Final = ("mint_file_es256", "introspect")


SETTINGS: Final = (Setting(1, 1), Setting(1, 2), Setting(1, 4), Setting(2, 1), Setting(3, 1))


class Replicas:
    """The replicas of one setting, each with a generator of its own."""

    def __init__(self, servers: Sequence[Server], generators: Sequence[Generators]) -> None:
        self._servers = servers
        self._generators = generators

    async def window(self, case: str) -> Measured:
        """One window of *case* at all replicas at once. Raises `GeneratorError`."""
        before, database, machine = self._cpu(), _postgres_cpu(), psutil.cpu_times()
        windows = await asyncio.gather(
            *(each.run(case, lambda: None, lambda: None) for each in self._generators)
        )
        gateway_cpu, database_cpu = self._cpu() - before, _postgres_cpu() - database
        busy = busy_part(machine, psutil.cpu_times())
        # There is no warm-up within a window, so that the CPU time is that of the calls that are counted.
        calls = sum(window.calls for window in windows)
        return Measured(
            sum(window.calls / window.seconds for window in windows),
            gateway_cpu / calls * 1e6,
            database_cpu / calls * 1e6,
            sum(window.generator_cpu_seconds for window in windows) / calls * 1e6,
            busy,
        )

    def _cpu(self) -> float:
        return sum(server.cpu_seconds() for server in self._servers)


async def measure(url: str, *, seconds: float, rounds: int, calls: int) -> dict[str, Any]:
    """Every setting on the database at *url*, which is empty. Raises `GeneratorError`, `ServerError`."""
    load = Load(1, _CHANNELS, calls, 0.0, seconds)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as name:
        folder = Path(name)
        authority = Authority(folder)
        identities = {each: authority.issue(each) for each in (SERVER, ADMIN, CLIENT, RESOURCE)}
        uri = f"file:{folder / gateways.file_key(folder, Algorithm.ES256).removeprefix('file:')}"
        facts: Facts | None = None
        for setting in SETTINGS:
            async with _replicas(setting, folder, url, uri, identities, load, facts) as (replicas, facts):
                for case in _NAMES:
                    await replicas.window(case)
                    windows = [await replicas.window(case) for _ in range(rounds)]
                    rows.append(row_of(setting, case, windows, rows))
                    print(_line(rows[-1]), flush=True)
    return {"cpus": os.cpu_count(), "seconds": seconds, "rounds": rounds, "calls": calls, "rows": rows}


@asynccontextmanager
async def _replicas(
    setting: Setting,
    folder: Path,
    url: str,
    uri: str,
    identities: Mapping[str, Identity],
    load: Load,
    facts: Facts | None,
) -> AsyncIterator[tuple[Replicas, Facts]]:
    """The replicas of *setting*; what they know is filled in by the first of all."""
    async with AsyncExitStack() as stack:
        site = gateways.Site(folder, identities, workers=setting.workers, access_log=True)
        servers, generators = [], []
        for number in range(setting.replicas):
            home = folder / f"replica-{setting.workers}-{number}"
            shutil.rmtree(home, ignore_errors=True)
            home.mkdir()
            server = gateways.hosted(setting.title, home, site, Algorithm.ES256, uri, {}, database_url=url)
            stack.push_async_callback(server.stop)
            await server.start(gateways.READY, identities[CLIENT])
            servers.append(server)
        known = facts or await gateways.fill(servers[0], dict(identities), tokens=cases.TOKENS)
        for server in servers:
            generator = await stack.enter_async_context(Generators(load))
            for case in cases.CASES:
                if case.name in _NAMES:
                    await generator.prepare(
                        case.name,
                        address=server.address,
                        identity=identities[case.caller],
                        method=case.method,
                        requests=case.requests(known),
                    )
            generators.append(generator)
        for server in servers:
            await _at_rest(server)
        yield Replicas(servers, generators), known


async def _at_rest(server: Server) -> None:
    """A gateway answers once its first worker does; the others load for some seconds more.

    Raises `GeneratorError` where it does not come to rest.
    """
    for _ in range(_REST_TIMEOUT):
        before = server.cpu_seconds()
        await asyncio.sleep(1.0)
        if server.cpu_seconds() - before < _REST:
            return
    raise GeneratorError(f"{server.name} was still busy after {_REST_TIMEOUT} s without a call")


def _postgres_cpu() -> float:
    """CPU seconds of the database's processes, which are children of this one; those that ended included."""
    used = 0.0
    for child in psutil.Process().children():
        if child.name() == "postgres":
            times = [child.cpu_times(), *(each.cpu_times() for each in child.children())]
            used += sum(each.user + each.system for each in times)
            used += times[0].children_user + times[0].children_system
    return used


def _line(row: Mapping[str, Any]) -> str:
    return (
        f"{row['replicas']:>8}{row['workers']:>9}  {row['case']:20}{row['calls_per_second']:>10,.0f}"
        f"{row['gateway_cpu_us_per_call']:>16,.0f}{row['database_cpu_us_per_call']:>17,.0f}"
        f"{row['generator_cpu_us_per_call']:>18,.0f}{row['cost_vs_one']:>9.2f}"
        f"{row['processors_used']:>12.2f}  {row['bound_by']}"
    )


def main() -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.scaling", description="Measure workers and replicas."
    )
    parser.add_argument("--seconds", type=float, default=4.0, help="length of one window (4)")
    parser.add_argument("--rounds", type=int, default=3, help="windows of each case (3)")
    parser.add_argument("--calls", type=int, default=8, help="calls under way on each connection (8)")
    parser.add_argument("--json", type=Path, default=None, help="write the figures there too")
    options = parser.parse_args()
    figures = f"{'calls/s':>10}{'gateway us/call':>16}{'database us/call':>17}{'generator us/call':>18}"
    figures += f"{'vs one':>9}{'processors':>12}  bound by"
    print(f"{'replicas':>8}{'workers':>9}  {'':20}{figures}")
    try:
        with running_postgres() as server, server.new_database() as url:
            found = asyncio.run(
                measure(url, seconds=options.seconds, rounds=options.rounds, calls=options.calls)
            )
    except GeneratorError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
