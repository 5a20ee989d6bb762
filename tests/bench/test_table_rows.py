"""The rows of the table growth bench: as many as asked for, indexes as before, a store that takes more."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest

from bench.table_growth import INTROSPECT_RATIO, MINT_RATIO, ratios
from bench.table_rows import TABLES, fill_postgresql, fill_sqlite
from gateway.store import open_store, upgrade
from gateway.tokens.ports import Revocation
from tests.support.stores import client, empty_database

COUNT = 500


@pytest.fixture
def postgres(tmp_path: Path):
    """An empty PostgreSQL database."""
    with empty_database("postgresql", tmp_path) as url:
        yield url


async def prepare(url: str) -> None:
    async with open_store(url, migrate=True) as store:
        await store.clients.create(client("bench-client"), None)


async def use(url: str) -> None:
    """What a gateway does with the full tables."""
    async with open_store(url) as store:
        assert await store.clients.get("filler-00000001") is not None
        assert await store.revocations.revoke(Revocation("new", None, time.time(), time.time() + 60))
        assert await store.revocation_feed.last_number() == COUNT + 1
        assert await store.replay.use_once("k", "v", expire_time=time.time())


async def test_sqlite(tmp_path):
    """Every table is filled, and keeps its indexes."""
    path = tmp_path / "state.db"
    await prepare(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as file:
        indexes = "SELECT name, sql FROM sqlite_master WHERE type = 'index' ORDER BY name"
        before = file.execute(indexes).fetchall()
    fill_sqlite(path, COUNT, TABLES)
    with closing(sqlite3.connect(path)) as file:
        assert file.execute(indexes).fetchall() == before
        for table in TABLES:
            assert file.execute(f"SELECT count(*) FROM {table.name}").fetchone() == (COUNT,)  # noqa: S608 - ours
    await use(f"sqlite:///{path}")


async def test_postgresql(postgres):
    """The same there, with keys that differ and cover their space, and settings as they were before."""
    await prepare(postgres)
    server = await asyncpg.connect(postgres)
    indexes = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    before = await server.fetch(indexes)
    await fill_postgresql(postgres, COUNT, TABLES)
    assert await server.fetch(indexes) == before
    for table in TABLES:
        assert await server.fetchval(f"SELECT count(*) FROM {table.name}") == COUNT  # noqa: S608 - ours
    low, high = await server.fetchrow(
        "SELECT min(get_byte(digest, 0)), max(get_byte(digest, 0)) FROM replays WHERE length(digest) = 32"
    )
    changed = "SELECT name FROM pg_file_settings WHERE sourcefile LIKE '%postgresql.auto.conf'"
    assert await server.fetch(changed) == []
    await server.close()
    assert (low, high) == (0, 255)
    await use(postgres)


async def test_an_empty_table_stays_empty(tmp_path):
    """Only the tables that were asked for are filled."""
    path = tmp_path / "state.db"
    await upgrade(f"sqlite:///{path}")
    await prepare(f"sqlite:///{path}")
    fill_sqlite(path, 10, TABLES[:1])
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT count(*) FROM revocations").fetchone() == (10,)
        assert file.execute("SELECT count(*) FROM replays").fetchone() == (0,)


def test_the_ratio_is_that_of_the_dearest_call():
    """Over all kinds of one call and all databases."""
    found = {
        "sqlite": {"cases": {"mint_jwt": {"cost_ratio": 1.1}, "introspect_jwt_seen": {"cost_ratio": 1.2}}},
        "postgresql": {"cases": {"mint_dpop": {"cost_ratio": 1.25}, "introspect_x": {"cost_ratio": 1.0}}},
    }
    assert ratios(found) == {MINT_RATIO: 1.25, INTROSPECT_RATIO: 1.2}
