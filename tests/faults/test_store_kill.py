"""kill -9 of a process while it commits: what it acknowledged is there, and nothing is half done."""

import asyncio
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from gateway.store import open_store
from gateway.store.migrations import upgrade
from gateway.store.options import SqliteUrl, parse_url
from tests.support.stores import DATABASES, REPOSITORY, empty_database, store_process

ROUNDS = 3
ACKNOWLEDGED = 60
"""Acknowledgements that are read from the process before it is killed."""

COUNTS = {
    "clients": "SELECT count(*) FROM clients",
    "requests": "SELECT count(*) FROM idempotency",
    "client changes": "SELECT value FROM counters WHERE name = 'clients'",
    "revocations": "SELECT count(*) FROM revocations",
    "last revocation": "SELECT coalesce(max(sequence_number), 0) FROM revocations",
    "revocation changes": "SELECT value FROM counters WHERE name = 'revocations'",
}


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


async def counts(url: str) -> dict[str, int]:
    """The figures of `COUNTS`, read with nothing of the store between."""
    target = parse_url(url)
    if isinstance(target, SqliteUrl):
        with closing(sqlite3.connect(target.path)) as file:
            assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return {name: file.execute(query).fetchone()[0] for name, query in COUNTS.items()}
    server = await asyncpg.connect(url)
    try:
        return {name: await server.fetchval(query) for name, query in COUNTS.items()}
    finally:
        await server.close()


async def write_and_kill(url: str, name: str) -> set[tuple[str, str]]:
    """Let a process write until it acknowledged enough, and kill it; returns all that it acknowledged."""
    process = await asyncio.create_subprocess_exec(
        *store_process(url, "write", name), cwd=REPOSITORY, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    lines = [await process.stdout.readline() for _ in range(ACKNOWLEDGED)]
    process.kill()
    # What it had said when it died counts as well; a line that it did not finish was not said.
    rest = await process.stdout.read()
    await process.wait()
    lines += [line for line in rest.splitlines(keepends=True) if line.endswith(b"\n")]
    return {(kind, name) for kind, name in (line.decode().split() for line in lines)}


async def test_what_was_acknowledged_survives_a_kill(url):
    """Clients with request ids and counters, and revocations with their numbers: whole or not at all."""
    await upgrade(url)
    acknowledged: set[tuple[str, str]] = set()
    for round_ in range(ROUNDS):
        acknowledged |= await write_and_kill(url, f"round{round_}")
        async with open_store(url) as store:
            for kind, name in acknowledged:
                if kind == "client":
                    assert await store.clients.get(name) is not None
                else:
                    assert await store.revocations.is_revoked(name)
        found = await counts(url)
        assert found["clients"] == found["requests"] == found["client changes"]
        assert found["revocations"] == found["last revocation"] == found["revocation changes"]
        assert found["clients"] + found["revocations"] >= len(acknowledged)
