"""Rows by the million, for `bench.table_growth`: what a gateway that has run for long finds in its tables.

Keys are spread evenly over their space, as real ones are, and loaded in order, so that a B-tree takes them at
its end. Secondary indexes are dropped before and made after. Nothing expires while it is measured.
"""

import asyncio
import base64
import os
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

MAX_CLIENTS = 1_000_000
"""Clients are registered one by one, by people or their tools: a deployment with more is not known to us."""

_SESSIONS = 2
"""How many tables PostgreSQL fills at once."""
_LOADING = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    # The log takes at most about this much of the disk.
    "max_wal_size": "'4GB'",
    "checkpoint_timeout": "'1h'",
}
_SPACE = 2**64
_SUFFIX = 24
_HOUR = 3_600_000_000  # microseconds
_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_SORTED = bytes.maketrans(_STANDARD, bytes(sorted(_STANDARD.replace(b"+/", b"-_"))))


@dataclass(frozen=True, slots=True)
class Table:
    """A table to fill.

    - `row`: the row of a key of 32 octets, its number, and the time in microseconds.
    - `sql`: the same as PostgreSQL makes it, of ``key``, ``name`` (`_text` of the key), ``i`` and ``now``.
    """

    name: str
    columns: tuple[str, ...]
    row: Callable[[bytes, int, int], tuple[Any, ...]]
    sql: str


def _text(key: bytes) -> str:
    """22 characters of base64url, in the order of the keys."""
    return base64.b64encode(key[:16]).translate(_SORTED)[:22].decode()


def _expiry(number: int, now: int) -> int:
    """Between one and 24 hours from now, in no order."""
    return now + _HOUR + (number * 7_919 % 82_800) * 1_000_000


_GRANT = '{"subject":"user-%d","scope":["orders:read"],"audience":["https://api.bench.example"]}'
_CLAIMS = (
    b'{"iss":"https://id.bench.example","sub":"bench-client","client_id":"bench-client",'
    b'"aud":"https://api.bench.example","iat":1760000000,"exp":1760003600,"scope":"orders:read orders:write",'
    b'"jti":"%s"}'
)

_SQL_EXPIRY = "now + 3600000000 + (i * 7919 % 82800) * 1000000"
_SQL_CLAIMS = "convert_to(replace($claims$" + _CLAIMS.decode() + "$claims$, '%s', name), 'UTF8')"

TABLES: Sequence[Table] = (
    Table(
        "revocations",
        ("token_id", "client_id", "revoke_time", "expire_time", "sequence_number"),
        lambda key, number, now: (_text(key), "bench-client", now, _expiry(number, now), number),
        f"name, 'bench-client', now, {_SQL_EXPIRY}, i",
    ),
    Table(
        "opaque_tokens",
        ("digest", "claims", "expire_time"),
        lambda key, number, now: (key, _CLAIMS % _text(key).encode(), _expiry(number, now)),
        f"key, {_SQL_CLAIMS}, {_SQL_EXPIRY}",
    ),
    Table(
        "replays",
        ("digest", "expire_time"),
        lambda key, number, now: (key, _expiry(number, now)),
        f"key, {_SQL_EXPIRY}",
    ),
    Table(
        "grants",
        ("grant_id", "client_id", "document", "create_time", "expire_time"),
        lambda key, number, now: (_text(key), "bench-client", _GRANT % number, now, _expiry(number, now)),
        f"name, 'bench-client', replace('{_GRANT}', '%d', i::text), now, {_SQL_EXPIRY}",
    ),
    Table(
        "refresh_tokens",
        ("digest", "grant_id", "issue_time", "idle_expire_time", "expire_time", "replays"),
        lambda key, number, now: (key, _text(key), now, _expiry(number, now), _expiry(number, now), 0),
        f"key, name, now, {_SQL_EXPIRY}, {_SQL_EXPIRY}, 0",
    ),
)

# Half of the numbers are negative: two's complement covers the whole space of eight octets.
_SQL_ROWS = """\
INSERT INTO {table} ({columns}) SELECT {values} FROM (
  SELECT i, {now}::bigint AS now, key,
         translate(rtrim(encode(substr(key, 1, 16), 'base64'), '='), '+/', '-_') AS name
  FROM (SELECT i, decode(lpad(to_hex((i - 1 - {half}) * {step}), 16, '0') || md5(i::text)
        || substr(md5((-i)::text), 1, 16), 'hex') AS key
        FROM generate_series(1, {count}::bigint) AS i) AS keys) AS named"""
_SQL_CLIENTS = """\
INSERT INTO clients (client_id, revision, authentication_method, disabled, create_time, document)
SELECT 'filler-' || lpad(i::text, 8, '0'), revision, authentication_method, disabled, create_time, document
FROM clients, generate_series(1, {count}) AS i WHERE client_id = 'bench-client'"""


def _rows(table: Table, count: int) -> Iterator[tuple[Any, ...]]:
    now = time.time_ns() // 1_000
    step, chance = _SPACE // count, random.Random(table.name)  # noqa: S311 - not a secret
    for number in range(1, count + 1):
        key = ((number - 1) * step).to_bytes(8, "big") + chance.randbytes(_SUFFIX)
        yield table.row(key, number, now)


def _clients(count: int, like: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    for number in range(1, min(count, MAX_CLIENTS) + 1):
        yield f"filler-{number:08d}", *like


_CLIENT_COLUMNS = ("client_id", "revision", "authentication_method", "disabled", "create_time", "document")
_A_CLIENT = (
    "SELECT revision, authentication_method, disabled, create_time, document FROM clients "
    "WHERE client_id = 'bench-client'"
)


def fill_sqlite(path: Path, count: int, tables: Sequence[Table]) -> None:
    """*count* rows more in each of *tables* of the file at *path*, which no gateway has open."""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        # Nobody else has it open, and a load that fails is thrown away: no log, half of the writing.
        file.execute("PRAGMA journal_mode = OFF")
        file.execute("PRAGMA synchronous = OFF")
        file.execute("PRAGMA cache_size = -500000")
        like = file.execute(_A_CLIENT).fetchone()
        sources: list[tuple[str, tuple[str, ...], Iterator[tuple[Any, ...]]]] = [
            ("clients", _CLIENT_COLUMNS, _clients(count, like))
        ]
        sources += [(table.name, table.columns, _rows(table, count)) for table in tables]
        for name, columns, rows in sources:
            indexes = file.execute(
                "SELECT name, sql FROM sqlite_master"
                " WHERE type = 'index' AND tbl_name = ? AND sql IS NOT NULL",
                (name,),
            ).fetchall()
            for index, _ in indexes:
                file.execute(f"DROP INDEX {index}")
            places = ", ".join("?" * len(columns))
            insert = f"INSERT INTO {name} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - our own names
            file.execute("BEGIN")
            file.executemany(insert, rows)
            file.execute("COMMIT")
            for _, sql in indexes:
                file.execute(sql)
        advance = "UPDATE counters SET value = ? WHERE name = 'revocations' AND value < ?"
        file.execute(advance, (count, count))
        file.execute("PRAGMA journal_mode = WAL")


async def fill_postgresql(url: str, count: int, tables: Sequence[Table]) -> None:
    """*count* rows more in each of *tables* of the database at *url*, of a server that nobody else loads.

    The rows are made by the server, in two sessions, so that a machine of two processors is busy with both.
    """
    fills = {table.name: _filling(table, count) for table in tables} | {
        "clients": _SQL_CLIENTS.format(count=min(count, MAX_CLIENTS))
    }
    left = iter(fills.items())

    async def work() -> None:
        async with _session(url) as server:
            await server.execute("SET synchronous_commit = off; SET maintenance_work_mem = '1GB'")
            for name, fill in left:
                await _fill_table(server, name, fill)

    async with _session(url) as server, _loading(server):
        async with asyncio.TaskGroup() as sessions:
            for _ in range(_SESSIONS):
                sessions.create_task(work())
        advance = "UPDATE counters SET value = $1 WHERE name = 'revocations' AND value < $1"
        await server.execute(advance, count)
        await server.execute("CHECKPOINT")
    # While `fsync` was off nothing was flushed; what the system writes later would be measured.
    await asyncio.to_thread(os.sync)


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[Any]:
    server = await asyncpg.connect(url, command_timeout=3600)
    try:
        yield server
    finally:
        await server.close()


@asynccontextmanager
async def _loading(server: Any) -> AsyncIterator[None]:
    """A load that fails is thrown away: until the end of the block nothing has to survive a crash."""
    try:
        for name, value in _LOADING.items():
            await server.execute(f"ALTER SYSTEM SET {name} = {value}")
        await server.execute("SELECT pg_reload_conf()")
        yield
    finally:
        for name in _LOADING:
            await server.execute(f"ALTER SYSTEM RESET {name}")
        await server.execute("SELECT pg_reload_conf()")


def _filling(table: Table, count: int) -> str:
    return _SQL_ROWS.format(
        table=table.name,
        columns=", ".join(table.columns),
        values=table.sql,
        now=time.time_ns() // 1_000,
        half=count // 2,
        step=_SPACE // count,
        count=count,
    )


async def _fill_table(server: Any, name: str, fill: str) -> None:
    """Run *fill* without the secondary indexes of the table, and leave autovacuum nothing to do there."""
    indexes = await server.fetch(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = $1 AND indexname NOT LIKE '%pkey'", name
    )
    for index, _ in indexes:
        await server.execute(f"DROP INDEX {index}")
    await server.execute(fill)
    for _, sql in indexes:
        await server.execute(sql)
    await server.execute(f"VACUUM (ANALYZE) {name}")
