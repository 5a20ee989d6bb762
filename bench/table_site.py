"""A gateway at tables of any size, for `bench.table_growth`, and the PostgreSQL that it may work on."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

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
from bench.certificates import ADMIN, CLIENT, Identity, spiffe_id
from bench.facts import AUDIENCE, CLIENT_ID, SCOPES
from bench.report import MIB
from bench.servers import Server
from bench.table_rows import Table, fill_postgresql, fill_sqlite
from signers import Algorithm
from tests.support.postgres import PostgresServer, running_postgres

SHARED_BUFFERS: Final = "128MB"
"""PostgreSQL's own default (https://www.postgresql.org/docs/18/runtime-config-resource.html)."""
OPAQUE_CLIENT_ID: Final = "bench-opaque"


@dataclass(frozen=True, slots=True)
class Tokens:
    """What is introspected at one gateway."""

    jwt: Sequence[str]
    opaque: Sequence[str]


@dataclass(slots=True)
class Site:
    """A gateway at tables of `rows` rows."""

    rows: int
    server: Server
    tokens: Tokens
    ready_seconds: float
    rest_mib: float
    load_seconds: float


def cpu_seconds(postgres: PostgresServer | None) -> float:
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
async def postgres_server() -> AsyncIterator[PostgresServer]:
    """A server of its own, with the default of what it keeps in memory."""
    # Its own way in and out runs event loops, so it needs a thread without one.
    context = running_postgres(shared_buffers=SHARED_BUFFERS)
    server = await asyncio.to_thread(context.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def open_site(
    folder: Path,
    identities: dict[str, Identity],
    rows: int,
    postgres: PostgresServer | None,
    tables: Sequence[Table],
    stack: AsyncExitStack,
) -> Site:
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
    return Site(rows, server, await _tokens(server, identities), ready, rest, loaded)


async def _new_database(postgres: PostgresServer, name: str) -> str:
    connection = await asyncpg.connect(postgres.url())
    try:
        await connection.execute(f"CREATE DATABASE {name}")
    finally:
        await connection.close()
    return postgres.url(name)


async def _tokens(server: Server, identities: dict[str, Identity]) -> Tokens:
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
        return Tokens(await _minted(client, CLIENT_ID), await _minted(client, OPAQUE_CLIENT_ID))


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
