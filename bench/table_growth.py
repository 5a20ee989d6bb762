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
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Final

import asyncpg
import psutil
from countersign import (
    AccessTokenFormat,
    CertificateName,
    CountersignError,
    GatewayClient,
    GrantType,
    TlsClientAuth,
    TlsConfig,
    TokenRequest,
)

from bench import cases, gateways
from bench.certificates import ADMIN, CLIENT, RESOURCE, SERVER, Authority, Identity, spiffe_id
from bench.connections import Kind
from bench.facts import AUDIENCE, CLIENT_ID, DPOP_CLIENT_ID, ISSUER, SCOPES, Facts
from bench.generators import Generators, Load
from bench.report import MIB
from bench.servers import Server
from bench.table_rows import TABLES, Table, fill_postgresql, fill_sqlite
from signers import Algorithm
from tests.support.postgres import PostgresServer, running_postgres

SMALL: Final = 1_000
LARGE: Final = 10_000_000
TARGET: Final = 1.3
SHARED_BUFFERS: Final = "128MB"
"""PostgreSQL's own default (https://www.postgresql.org/docs/18/runtime-config-resource.html)."""
MINT_RATIO: Final = "mint_cost_1e7_vs_1e3_rows"
INTROSPECT_RATIO: Final = "introspect_cost_1e7_vs_1e3_rows"
OPAQUE_CLIENT_ID: Final = "bench-opaque"

_MINT: Final = "/countersign.v1.TokenService/MintToken"
_INTROSPECT: Final = "/countersign.v1.IntrospectionService/IntrospectToken"


@dataclass(frozen=True, slots=True)
class _Case:
    """One kind of call. `requests` are made of the tokens of its own gateway."""

    name: str
    caller: str
    method: str
    requests: Callable[["_Tokens"], Sequence[bytes]]
    kind: Kind = Kind.GRPC


@dataclass(frozen=True, slots=True)
class _Tokens:
    jwt: Sequence[str]
    opaque: Sequence[str]


def _mint(client_id: str) -> Callable[[_Tokens], Sequence[bytes]]:
    return lambda _: cases.mint_requests(Facts((), {}), client_id)


def _introspect(choose: Callable[[_Tokens], Sequence[str]]) -> Callable[[_Tokens], Sequence[bytes]]:
    def requests(tokens: _Tokens) -> Sequence[bytes]:
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


@dataclass(slots=True)
class _Site:
    """A gateway at tables of `rows` rows."""

    rows: int
    server: Server
    tokens: _Tokens
    ready_seconds: float
    rest_mib: float
    load_seconds: float


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
        postgres = await stack.enter_async_context(_postgres()) if database == "postgresql" else None
        sites = []
        for count in (SMALL, rows):
            progress(f"{database}: filling {count:,} rows")
            sites.append(await _open(folder, identities, count, postgres, tables, stack))
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


def _name(case: _Case, site: _Site) -> str:
    return f"{case.name}@{site.rows}"


async def _window(
    name: str, generators: Generators, server: Server, postgres: PostgresServer | None
) -> tuple[float, float]:
    """CPU microseconds per call, and calls per second."""
    clock: list[float] = []

    def read_clock() -> None:
        clock.append(server.cpu_seconds() + _cpu_seconds(postgres))

    window = await generators.run(name, read_clock, read_clock)
    return 1e6 * (clock[1] - clock[0]) / window.calls, window.calls / window.seconds


def _cpu_seconds(postgres: PostgresServer | None) -> float:
    """User and system time of all processes of the server."""
    if postgres is None:
        return 0.0
    root = psutil.Process(postgres.pid)
    times = []
    for process in [root, *root.children(recursive=True)]:
        try:
            times.append(process.cpu_times())
        except psutil.NoSuchProcess:
            continue  # A worker of autovacuum that has just ended.
    # What ended children used is with their parent.
    return sum(each.user + each.system for each in times) + times[0].children_user + times[0].children_system


@asynccontextmanager
async def _postgres() -> AsyncIterator[PostgresServer]:
    # Its own way in and out runs event loops, so it needs a thread without one.
    context = running_postgres(shared_buffers=SHARED_BUFFERS)
    server = await asyncio.to_thread(context.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def _open(
    folder: Path,
    identities: dict[str, Identity],
    rows: int,
    postgres: PostgresServer | None,
    tables: Sequence[Table],
    stack: AsyncExitStack,
) -> _Site:
    """A gateway at a database with *rows* rows in each table, started anew when they were loaded."""
    home = folder / f"rows-{rows}"
    home.mkdir()
    common = gateways.Site(folder, identities, workers=1, access_log=False)
    key = gateways.file_key(home, Algorithm.EDDSA)
    server = gateways.hosted(f"{rows} rows", home, common, Algorithm.EDDSA, key, {})
    url = ""
    if postgres is not None:
        url = await _new_database(postgres, f"rows_{rows}")
        config = home / "countersign.toml"
        text = config.read_text().replace('url = "sqlite:///countersign.db"', f"url = {json.dumps(url)}")
        config.write_text(text)
    await server.start(gateways.READY, identities[CLIENT])
    await gateways.fill(server, identities, tokens=0)
    await server.stop()
    started = time.perf_counter()
    if url:
        await fill_postgresql(url, rows, tables)
    else:
        await asyncio.to_thread(fill_sqlite, home / "countersign.db", rows, tables)
    loaded = time.perf_counter() - started
    server = replace(server, _processes=[])
    stack.push_async_callback(server.stop)
    await server.start(gateways.READY, identities[CLIENT])
    await asyncio.sleep(2.0)
    ready, rest = server.ready_seconds, server.rest_bytes()[0] / MIB
    # Minted now: tokens that are in use were written not long ago, and their pages are in memory.
    return _Site(rows, server, await _tokens(server, identities), ready, rest, loaded)


async def _new_database(postgres: PostgresServer, name: str) -> str:
    connection = await asyncpg.connect(postgres.url())
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return postgres.url(name)


async def _tokens(server: Server, identities: dict[str, Identity]) -> _Tokens:
    async with _client(server, identities[ADMIN]) as admin:
        await admin.create_client(
            OPAQUE_CLIENT_ID,
            authentication=TlsClientAuth(CertificateName.SAN_URI, spiffe_id(CLIENT)),
            grant_types=[GrantType.CLIENT_CREDENTIALS],
            scopes=SCOPES,
            audiences=[AUDIENCE],
            certificate_bound_access_tokens=True,
            access_token_format=AccessTokenFormat.OPAQUE,
        )
    async with _client(server, identities[CLIENT]) as client:
        return _Tokens(await _minted(client, CLIENT_ID), await _minted(client, OPAQUE_CLIENT_ID))


async def _minted(client: GatewayClient, client_id: str) -> list[str]:
    """As many tokens as are introspected."""
    values: list[str] = []
    wanted = [TokenRequest(scope=SCOPES, resource=(AUDIENCE,))] * 500
    while len(values) < cases.KNOWN + cases.FRESH:
        for token in await client.batch_mint_tokens(client_id, wanted, timeout=30):
            if isinstance(token, CountersignError):
                raise token
            values.append(token.value)
    return values


def _client(server: Server, identity: Identity) -> GatewayClient:
    tls = TlsConfig(ca=identity.authority, certificate=identity.certificate, private_key=identity.private_key)
    return GatewayClient(server.address, tls=tls)


def _figures(
    sites: Sequence[_Site], costs: dict[str, list[float]], rates: dict[str, list[float]]
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
