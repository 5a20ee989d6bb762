"""What a call costs as the tables grow: two gateways, one at small tables and one at large, in turns.

    python -m bench.table_growth [--rows N] [--tables NAMES] [--only sqlite,postgresql] [--rounds N] ...

Cost is CPU time of the gateway and of PostgreSQL per call; the ratios are those of the medians over the
rounds. A round is one window of each case at each size, so that whatever else the machine does falls on all
alike. Every table that these calls read or write has the rows (`bench.table_rows`). 10^7 rows take some
10 GB of disk per database.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import cases
from bench.certificates import ADMIN, CLIENT, RESOURCE, SERVER, Authority
from bench.connections import Kind
from bench.facts import CLIENT_ID, DPOP_CLIENT_ID, ISSUER, Facts
from bench.generators import Generators, Load
from bench.servers import Server
from bench.table_rows import TABLES, Table
from bench.table_site import OPAQUE_CLIENT_ID, Site, Tokens, cpu_seconds, open_site, postgres_server
from tests.support.postgres import PostgresServer

SMALL: Final = 1_000
LARGE: Final = 10_000_000
TARGET: Final = 1.3
MINT_RATIO: Final = "mint_cost_1e7_vs_1e3_rows"
INTROSPECT_RATIO: Final = "introspect_cost_1e7_vs_1e3_rows"

_MINT: Final = "/countersign.v1.TokenService/MintToken"
_INTROSPECT: Final = "/countersign.v1.IntrospectionService/IntrospectToken"


@dataclass(frozen=True, slots=True)
class _Case:
    """One kind of call. `requests` are made of the tokens of its own gateway."""

    name: str
    caller: str
    method: str
    requests: Callable[[Tokens], Sequence[bytes]]
    kind: Kind = Kind.GRPC


def _mint(client_id: str) -> Callable[[Tokens], Sequence[bytes]]:
    return lambda _: cases.mint_requests(Facts((), {}), client_id)


def _introspect(choose: Callable[[Tokens], Sequence[str]]) -> Callable[[Tokens], Sequence[bytes]]:
    def requests(tokens: Tokens) -> Sequence[bytes]:
        chosen = choose(tokens)
        return cases.introspect_requests(Facts(chosen, {}), slice(len(chosen)))

    return requests


_CASES: Final = (
    _Case("mint_jwt", CLIENT, _MINT, _mint(CLIENT_ID)),
    _Case("mint_opaque", CLIENT, _MINT, _mint(OPAQUE_CLIENT_ID)),
    _Case("mint_dpop", CLIENT, _MINT, _mint(DPOP_CLIENT_ID), Kind.DPOP),
    _Case("introspect_jwt_seen", RESOURCE, _INTROSPECT, _introspect(lambda t: t.jwt[: cases.KNOWN])),
    _Case("introspect_jwt_fresh", RESOURCE, _INTROSPECT, _introspect(lambda t: t.jwt[cases.KNOWN :])),
    _Case("introspect_opaque_seen", RESOURCE, _INTROSPECT, _introspect(lambda t: t.opaque[: cases.KNOWN])),
    _Case("introspect_opaque_fresh", RESOURCE, _INTROSPECT, _introspect(lambda t: t.opaque[cases.KNOWN :])),
)


async def measure(
    database: str,
    *,
    rows: int,
    tables: Sequence[Table],
    seconds: float,
    rounds: int,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """The figures of *database* (``sqlite``, ``postgresql``)."""
    load = Load(1, 2, 4, min(0.5, seconds / 2), seconds)
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="countersign-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        authority = Authority(folder)
        identities = {name: authority.issue(name) for name in (SERVER, ADMIN, CLIENT, RESOURCE)}
        postgres = await stack.enter_async_context(postgres_server()) if database == "postgresql" else None
        sites = []
        for count in (SMALL, rows):
            progress(f"{database}: filling {count:,} rows")
            sites.append(await open_site(folder, identities, count, postgres, tables, stack))
        generators = await stack.enter_async_context(Generators(load))
        for case in _CASES:
            for site in sites:
                await generators.prepare(
                    _name(case, site),
                    address=site.server.address,
                    identity=identities[case.caller],
                    method=case.method,
                    requests=case.requests(site.tokens),
                    kind=case.kind,
                    target=ISSUER + case.method,
                )
        costs: dict[str, list[float]] = {_name(case, site): [] for case in _CASES for site in sites}
        rates: dict[str, list[float]] = {name: [] for name in costs}
        for number in range(1, rounds + 1):
            for case in _CASES:
                # The order changes, so that neither size always comes after the other.
                for site in sites if number % 2 else sites[::-1]:
                    progress(f"{database}: round {number} of {rounds}: {_name(case, site)}")
                    cost, rate = await _window(_name(case, site), generators, site.server, postgres)
                    costs[_name(case, site)].append(cost)
                    rates[_name(case, site)].append(rate)
        return _figures(sites, costs, rates)


def _name(case: _Case, site: Site) -> str:
    return f"{case.name}@{site.rows}"


async def _window(
    name: str, generators: Generators, server: Server, postgres: PostgresServer | None
) -> tuple[float, float]:
    """CPU microseconds per call, and calls per second."""
    clock: list[float] = []

    def read_clock() -> None:
        clock.append(server.cpu_seconds() + cpu_seconds(postgres))

    window = await generators.run(name, read_clock, read_clock)
    return 1e6 * (clock[1] - clock[0]) / window.calls, window.calls / window.seconds


def _figures(
    sites: Sequence[Site], costs: dict[str, list[float]], rates: dict[str, list[float]]
) -> dict[str, Any]:
    small, large = sites
    found = {}
    for case in _CASES:
        cost = [median(costs[_name(case, site)]) for site in (small, large)]
        rate = [median(rates[_name(case, site)]) for site in (small, large)]
        found[case.name] = {
            "cpu_us_per_call": [round(each, 1) for each in cost],
            "calls_per_second": [round(each, 1) for each in rate],
            "cost_ratio": round(cost[1] / cost[0], 3),
            "time_ratio": round(rate[0] / rate[1], 3),
        }
    return {
        "rows": [small.rows, large.rows],
        "cases": found,
        "ready_seconds": [round(site.ready_seconds, 2) for site in sites],
        "rest_rss_mib": [round(site.rest_mib, 1) for site in sites],
        "load_seconds": [round(site.load_seconds, 1) for site in sites],
    }


def ratios(found: dict[str, Any]) -> dict[str, float]:
    """The dearest mint and the dearest introspection of all databases in *found*."""
    every = [(name, case) for figures in found.values() for name, case in figures["cases"].items()]
    return {
        ratio: max(case["cost_ratio"] for name, case in every if name.startswith(kind))
        for ratio, kind in ((MINT_RATIO, "mint"), (INTROSPECT_RATIO, "introspect"))
    }


def _progress(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.table_growth", description=__doc__)
    parser.add_argument("--rows", type=int, default=LARGE, help=f"rows of the large tables ({LARGE:,})")
    parser.add_argument("--only", default="sqlite,postgresql", help="databases (sqlite,postgresql)")
    names = ",".join(table.name for table in TABLES)
    parser.add_argument("--tables", default=names, help=f"what is filled, beside clients ({names})")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of one window (2)")
    parser.add_argument("--rounds", type=int, default=7, help="windows of each case and size (7)")
    parser.add_argument("--out", type=Path, help="write the figures here too")
    options = parser.parse_args()
    found = {
        database: asyncio.run(
            measure(
                database,
                rows=options.rows,
                tables=[table for table in TABLES if table.name in options.tables.split(",")],
                seconds=options.seconds,
                rounds=options.rounds,
                progress=_progress,
            )
        )
        for database in options.only.split(",")
    }
    text = json.dumps(
        {"ratios": ratios(found), "targets": dict.fromkeys(ratios(found), TARGET)} | found, indent=1
    )
    if options.out:
        options.out.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
