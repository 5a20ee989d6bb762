"""Migrating a SQLite file, one transaction per revision."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gateway.store.failures import from_sqlite, raise_instead
from gateway.store.migrations.revisions import Revisions, Step, number_of
from gateway.store.migrations.schema import (
    ALIVE_MICROSECONDS,
    OlderProgram,
    SchemaState,
    missing_steps,
    require_none_older,
)
from gateway.store.options import StoreOptions
from gateway.store.sqlite_file import SqliteFile, require_sqlite
from gateway.store.sqlite_lock import SqliteLock

_HAS_TABLE = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
_VERSION = "SELECT version_num FROM alembic_version"
_OLDEST = "SELECT value FROM counters WHERE name = 'oldest_program'"
_RAISE_OLDEST = "UPDATE counters SET value = ? WHERE name = 'oldest_program' AND value < ?"
_OLDER = (
    "SELECT host, process_id, build, program FROM replicas WHERE program < ?"
    " AND seen_time > (julianday('now') - 2440587.5) * 86400000000.0 - ?"
)


async def upgrade(path: Path, options: StoreOptions, revisions: Revisions) -> str | None:
    """Migrate to the head; returns the revision before, None for a new database."""
    return await asyncio.to_thread(_upgrade, path, options, revisions)


async def state(path: Path, options: StoreOptions) -> SchemaState:
    """The schema of the file."""
    return await asyncio.to_thread(_read_state, path, options)


async def pending(path: Path, options: StoreOptions, revisions: Revisions) -> list[Step]:
    """The steps that `upgrade` would take now."""
    found = await state(path, options)
    return list(await asyncio.to_thread(missing_steps, "sqlite", found, revisions))


def _upgrade(path: Path, options: StoreOptions, revisions: Revisions) -> str | None:
    require_sqlite()
    try:
        _create(path)
        with (
            closing(SqliteFile(path).open(busy_timeout=options.busy_timeout)) as connection,
            closing(SqliteLock(path)) as lock,
        ):
            lock.acquire(timeout=options.busy_timeout)
            # Persistent in the file: readers never wait for a writer.
            connection.execute("PRAGMA journal_mode = WAL")
            lock.release()
            before = _state(connection).revision
            while _advance(connection, lock, options, revisions):
                pass
            return before
    except (sqlite3.Error, OSError) as error:
        raise_instead(from_sqlite(error), error)


def _advance(
    connection: sqlite3.Connection, lock: SqliteLock, options: StoreOptions, revisions: Revisions
) -> bool:
    """Take the next step, whoever took those before; False where there is none left."""
    # Alembic writes the SQL before the turn begins: others write meanwhile.
    todo = missing_steps("sqlite", _state(connection), revisions)
    if not todo:
        return False
    lock.acquire(timeout=options.busy_timeout)
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            if _state(connection).revision == todo[0].before:
                _take(connection, todo[0])
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    finally:
        lock.release()
    return True


def _take(connection: sqlite3.Connection, step: Step) -> None:
    oldest = number_of(step.oldest_program)
    if _has(connection, "replicas"):
        rows = connection.execute(_OLDER, (oldest, ALIVE_MICROSECONDS)).fetchall()
        require_none_older(step, [OlderProgram(*row) for row in rows])
    for statement in _statements(step.script):
        connection.execute(statement)
    connection.execute(_RAISE_OLDEST, (oldest, oldest))


def _read_state(path: Path, options: StoreOptions) -> SchemaState:
    require_sqlite()
    if not path.exists():
        return SchemaState(None)
    try:
        with closing(SqliteFile(path).open(busy_timeout=options.busy_timeout, query_only=True)) as connection:
            return _state(connection)
    except (sqlite3.Error, OSError) as error:
        raise_instead(from_sqlite(error), error)


def _state(connection: sqlite3.Connection) -> SchemaState:
    if not _has(connection, "alembic_version"):
        return SchemaState(None)
    row = connection.execute(_VERSION).fetchone()
    if row is None:
        return SchemaState(None)
    oldest = connection.execute(_OLDEST).fetchone()
    return SchemaState(str(row[0]), 0 if oldest is None else oldest[0])


def _has(connection: sqlite3.Connection, table: str) -> bool:
    return connection.execute(_HAS_TABLE, (table,)).fetchone() is not None


def _create(path: Path) -> None:
    """Make the file 0600 and its folders 0700; what exists keeps the mode its owner gave it."""
    missing = [folder for folder in path.parents if not folder.exists()]
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return


def _statements(script: str) -> Iterator[str]:
    """The statements of *script*. `sqlite3.executescript` would commit our transaction first."""
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
