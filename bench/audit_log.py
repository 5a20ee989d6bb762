"""What the audit log costs: the same gateway with it and without, in turns, on SQLite and PostgreSQL.

    python -m bench.audit_log [--only sqlite,postgresql] [--seconds N] [--rounds N] [--calls N]

A round is one window of each gateway, the order changing from round to round. The ratios are those of the
medians over the rounds: calls per second with the log by calls per second without, and CPU time of the
gateway per call likewise. A gateway has one worker; disks decide how long a commit takes.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import cases, gateways
from bench.certificates import ADMIN, CLIENT, RESOURCE, SERVER, Authority, Identity
from bench.facts import CLIENT_ID, ISSUER, Facts
from bench.generators import Generators, Load
from bench.servers import Server
from signers import Algorithm
from tests.support.postgres import PostgresServer, running_postgres

_MINT: Final = "/countersign.v1.TokenService/MintToken"
_MODES: Final = ("off", "on")
_LOG: Final = """
[audit]
enabled = true

[[keys]]
purpose = "audit"
algorithm = "ES256"
uri = "{uri}"
"""


@dataclass(slots=True)
class _Windows:
    """What was measured of one gateway."""

    per_second: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)


async def measure(
    database: str, *, load: Load, rounds: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """The figures of *database* (``sqlite``, ``postgresql``)."""
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="countersign-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        for part in ("off", "on/audit"):
            (folder / part).mkdir(parents=True)
        authority = Authority(folder)
        identities = {name: authority.issue(name) for name in (SERVER, ADMIN, CLIENT, RESOURCE)}
        postgres = await _postgres(stack) if database == "postgresql" else None
        servers = {
            mode: await _open(folder / mode, identities, postgres, stack, audit=mode == "on")
            for mode in _MODES
        }
        generators = await stack.enter_async_context(Generators(load))
        for mode, server in servers.items():
            await generators.prepare(
                mode,
                address=server.address,
                identity=identities[CLIENT],
                method=_MINT,
                requests=cases.mint_requests(Facts((), {}), CLIENT_ID),
                target=ISSUER + _MINT,
            )
        windows = {mode: _Windows() for mode in _MODES}
        for number in range(1, rounds + 1):
            for mode in _MODES if number % 2 else _MODES[::-1]:
                progress(f"{database}: round {number} of {rounds}: {mode}")
                await _window(mode, generators, servers[mode], windows[mode])
        return _figures(windows)


async def _postgres(stack: AsyncExitStack) -> PostgresServer:
    # Its way in and out runs event loops, so it needs a thread without one.
    context = running_postgres()
    stack.push_async_callback(asyncio.to_thread, context.__exit__, None, None, None)
    return await asyncio.to_thread(context.__enter__)


async def _database(postgres: PostgresServer, stack: AsyncExitStack) -> str:
    context = postgres.new_database()
    stack.push_async_callback(asyncio.to_thread, context.__exit__, None, None, None)
    return await asyncio.to_thread(context.__enter__)


async def _open(
    folder: Path,
    identities: Mapping[str, Identity],
    postgres: PostgresServer | None,
    stack: AsyncExitStack,
    *,
    audit: bool,
) -> Server:
    url = "" if postgres is None else await _database(postgres, stack)
    sections = ""
    if audit:
        gateways.file_key(folder / "audit", Algorithm.ES256)
        sections = _LOG.format(uri="file:audit/tokens.pem")
    site = gateways.Site(folder, identities, workers=1, access_log=True)
    server = gateways.hosted(
        folder.name,
        folder,
        site,
        Algorithm.EDDSA,
        gateways.file_key(folder, Algorithm.EDDSA),
        {},
        sections=sections,
        database_url=url,
    )
    stack.push_async_callback(server.stop)
    await server.start(gateways.READY, identities[ADMIN])
    await gateways.fill(server, identities, tokens=0)
    return server


async def _window(mode: str, generators: Generators, server: Server, windows: _Windows) -> None:
    clock: list[float] = []

    def read_clock() -> None:
        clock.append(server.cpu_seconds())

    window = await generators.run(mode, read_clock, read_clock)
    windows.per_second.append(window.calls / window.seconds)
    windows.cpu_us.append(1e6 * (clock[1] - clock[0]) / window.calls)
    for percent, kept in ((50, windows.p50_ms), (99, windows.p99_ms)):
        kept.append(window.latencies_us[len(window.latencies_us) * percent // 100] / 1e3)


def _figures(windows: Mapping[str, _Windows]) -> dict[str, Any]:
    on, off = windows["on"], windows["off"]
    return {
        "mint_audit_on_vs_off": round(median(on.per_second) / median(off.per_second), 3),
        "mint_audit_cpu_on_vs_off": round(median(on.cpu_us) / median(off.cpu_us), 3),
        **{
            mode: {
                "calls_per_second": round(median(each.per_second)),
                "cpu_us_per_call": round(median(each.cpu_us)),
                "p50_ms": round(median(each.p50_ms), 2),
                "p99_ms": round(median(each.p99_ms), 2),
                "calls_per_second_by_round": [round(rate) for rate in each.per_second],
            }
            for mode, each in windows.items()
        },
    }


def main() -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.audit_log", description=__doc__)
    parser.add_argument("--only", default="sqlite,postgresql", help="databases, separated by commas")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a window (2)")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=32, help="under way at once (32)")
    options = parser.parse_args()
    load = Load(1, 4, max(1, options.calls // 4), min(0.5, options.seconds / 2), options.seconds)
    results = {
        database: asyncio.run(
            measure(
                database, load=load, rounds=options.rounds, progress=lambda text: print(text, file=sys.stderr)
            )
        )
        for database in options.only.split(",")
    }
    print(json.dumps(results, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
