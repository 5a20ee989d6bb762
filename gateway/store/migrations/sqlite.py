"""Migrating a SQLite file."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from gateway.store.failures import from_sqlite, raise_instead
from gateway.store.migrations.revisions import upgrade_script
from gateway.store.options import StoreOptions
from gateway.store.sqlite_file import SqliteFile, require_sqlite
from gateway.store.sqlite_lock import SqliteLock

_HAS_VERSION = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'alembic_version'"
_VERSION = "SELECT version_num FROM alembic_version"


async def upgrade(path: Path, options: StoreOptions) -> str | None:
    """Migrate to the head; returns the revision before, None for a new database."""
    return await asyncio.to_thread(_upgrade, path, options)


async def revision(path: Path, options: StoreOptions) -> str | None:
    """The revision of the file; None where it does not exist or is empty."""
    return await asyncio.to_thread(_read_revision, path, options)


def _upgrade(path: Path, options: StoreOptions) -> str | None:
    require_sqlite()
    try:
        _create(path)
        connection = SqliteFile(path).open(busy_timeout=options.busy_timeout)
        lock = SqliteLock(path)
        try:
            lock.acquire(timeout=options.busy_timeout)
            # Persistent in the file: readers never wait for a writer.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            before = _revision(connection)
            for statement in _statements(upgrade_script("sqlite", before)):
                connection.execute(statement)
            connection.execute("COMMIT")
            return before
        finally:
            # Closing undoes a transaction that was not committed.
            connection.close()
            lock.close()
    except (sqlite3.Error, OSError) as error:
        raise_instead(from_sqlite(error), error)


def _read_revision(path: Path, options: StoreOptions) -> str | None:
    require_sqlite()
    if not path.exists():
        return None
    try:
        connection = SqliteFile(path).open(busy_timeout=options.busy_timeout, query_only=True)
        try:
            return _revision(connection)
        finally:
            connection.close()
    except (sqlite3.Error, OSError) as error:
        raise_instead(from_sqlite(error), error)


def _revision(connection: sqlite3.Connection) -> str | None:
    if connection.execute(_HAS_VERSION).fetchone() is None:
        return None
    row = connection.execute(_VERSION).fetchone()
    return None if row is None else str(row[0])


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
