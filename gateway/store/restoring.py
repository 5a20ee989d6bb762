"""Backups of a SQLite file, and making a database that was restored from a backup safe to serve.

What the rules are for is in docs/upgrades.md. All marks and deletions of a restore are one transaction, and a
database is refused by `gateway.store.restored.require_usable` until it has happened.
"""

import asyncio
import os
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from gateway.clock import Clock
from gateway.store import counters as counting
from gateway.store.database import Database, Transaction, to_microseconds
from gateway.store.enrollment_tables import crls
from gateway.store.failures import StoreError, from_sqlite, raise_instead
from gateway.store.presentation_tables import presentation_requests
from gateway.store.replica_tables import database_origin, replicas
from gateway.store.restored import (
    BACKUP_TIME,
    CRL_NUMBER,
    ISSUED_BEFORE,
    RESTORE_TIME,
    identity,
    read_marks,
)
from gateway.store.sqlite_file import SqliteFile, require_sqlite
from gateway.store.statement import SqlDialect, Statement
from gateway.store.tables import (
    authorization_codes,
    counters,
    grants,
    key_rotations,
    opaque_tokens,
    pending_logins,
    pushed_requests,
    refresh_tokens,
)

_JUMP: Final = 1_000_000_000
"""More revocations than can have been numbered between a backup and the restore."""

_SET = Statement(
    lambda _: (
        sa.update(counters)
        .where(counters.c.name == sa.bindparam("counter"), counters.c.value < sa.bindparam("to"))
        .values(value=sa.bindparam("to"))
    )
)
_ADD = Statement(
    lambda _: (
        sa.update(counters)
        .where(counters.c.name == sa.bindparam("counter"))
        .values(value=counters.c.value + sa.bindparam("more", type_=sa.BigInteger))
    )
)
_LAST_CRL = Statement(lambda _: sa.select(sa.func.max(crls.c.number)))
# Codes that were used before the backup stay, so that their replay still ends their grants.
_OUTSTANDING = (
    Statement(lambda _: sa.delete(authorization_codes).where(authorization_codes.c.grant_id.is_(None))),
    Statement(lambda _: sa.delete(pushed_requests)),
    Statement(lambda _: sa.delete(pending_logins)),
    Statement(lambda _: sa.delete(presentation_requests).where(presentation_requests.c.outcome.is_(None))),
    Statement(lambda _: sa.delete(key_rotations)),
    Statement(lambda _: sa.delete(crls)),
)
_NO_REPLICAS = Statement(lambda _: sa.delete(replicas))
_TOKENS = (
    Statement(
        lambda _: sa.delete(refresh_tokens).where(refresh_tokens.c.issue_time <= sa.bindparam("before"))
    ),
    Statement(lambda _: sa.delete(grants).where(grants.c.create_time <= sa.bindparam("before"))),
)
# Only its claims, which the verifier reads, say when an opaque token was issued: none is kept.
_OPAQUE = Statement(lambda _: sa.delete(opaque_tokens))


def _set_origin(dialect: SqlDialect) -> sa.Executable:
    insert = dialect.insert(database_origin).values(name="origin", identity=sa.bindparam("identity"))
    statement: sa.Executable = insert.on_conflict_do_update(
        index_elements=[database_origin.c.name], set_={"identity": insert.excluded.identity}
    )
    return statement


_SET_ORIGIN = Statement(_set_origin)


@dataclass(frozen=True, slots=True)
class Restored:
    """What `mark_restored` did: rows deleted, and the number that revocation lists begin after."""

    tokens: int
    outstanding: int
    crl_number: int


async def mark_restored(
    database: Database, *, has_identity: bool, clock: Clock, revoke_before: float | None
) -> Restored:
    """Make *database*, restored from a backup, refuse whatever it may have forgotten.

    *has_identity*: it is PostgreSQL. *revoke_before*: tokens and grants issued up to then, seconds since the
    epoch, are revoked; None keeps them.

    Nobody may serve from the database meanwhile. Raises `AvailabilityError`.
    """
    now = clock()
    here = await identity(database) if has_identity else ""

    async def work(transaction: Transaction) -> Restored:
        row = await transaction.fetch_one(_LAST_CRL)
        # Lists are numbered one by one, and not one a second: the seconds since 1970 are ahead of any.
        floor = int(now) + (row[0] or 0 if row is not None else 0)
        for counter, value in ((RESTORE_TIME, to_microseconds(now)), (CRL_NUMBER, floor)):
            await transaction.execute(_SET, counter=counter, to=value)
        await transaction.execute(_ADD, counter=counting.REVOCATIONS, more=_JUMP)
        for counter in (counting.CLIENTS, counting.KEYS):
            await transaction.execute(_ADD, counter=counter, more=1)
        outstanding = sum([await transaction.execute(each) for each in _OUTSTANDING])
        await transaction.execute(_NO_REPLICAS)
        tokens = 0
        if revoke_before is not None:
            before = to_microseconds(revoke_before)
            await transaction.execute(_SET, counter=ISSUED_BEFORE, to=before)
            tokens = sum([await transaction.execute(each, before=before) for each in _TOKENS])
            tokens += await transaction.execute(_OPAQUE)
        if here:
            await transaction.execute(_SET_ORIGIN, identity=here)
        return Restored(tokens, outstanding, floor)

    return await database.transaction(work)


async def mark_complete(database: Database, *, has_identity: bool) -> None:
    """Take *database* for what it is a copy of: nothing was written to the original after the copy was made.

    Raises `AvailabilityError`.
    """
    marks = await read_marks(database)
    here = await identity(database) if has_identity else ""

    async def work(transaction: Transaction) -> None:
        await transaction.execute(_SET, counter=RESTORE_TIME, to=to_microseconds(marks.backup_time))
        await transaction.execute(_NO_REPLICAS)
        if here:
            await transaction.execute(_SET_ORIGIN, identity=here)

    await database.transaction(work)


async def back_up(path: Path, copy: Path, *, clock: Clock, busy_timeout: float) -> None:
    """Copy the SQLite file at *path*, which may be in use, to the new file *copy*, of mode 0600.

    One consistent state, by SQLite's backup API (https://sqlite.org/backup.html); a file that is copied while
    it is written to is torn, and without its write-ahead log incomplete. Writers do not wait. The copy is
    checked, marked as a backup, flushed to disk, and only then has its name. Raises `StoreError` where *copy*
    exists or turns out damaged, `AvailabilityError`.
    """
    await asyncio.to_thread(_back_up, path, copy, to_microseconds(clock()), busy_timeout)


async def put_in_place(source: Path, path: Path, *, busy_timeout: float) -> Path:
    """Copy the SQLite file *source* beside *path*, check it, and return the copy; `replace` puts it there."""
    staged = path.with_name(f"{path.name}.restoring")
    await asyncio.to_thread(_copy, source, staged, None, busy_timeout)
    return staged


def replace(staged: Path, path: Path) -> None:
    """Put *staged* in the place of *path*; what was there is kept as ``*.replaced-TIME``.

    Killed in between, it leaves no file at *path*, and no gateway starts.
    """
    suffix = time.strftime(".replaced-%Y%m%dT%H%M%S", time.gmtime())
    log = staged.with_name(f"{staged.name}-wal")
    if log.exists() and log.stat().st_size:
        raise StoreError(f"{staged} is still open somewhere; end that process and restore again.")
    for part in ("-wal", "-shm", "-lock"):
        staged.with_name(staged.name + part).unlink(missing_ok=True)
    # The file first: without it nobody reads its log, and a log beside another file is taken for its own.
    for part in ("", "-wal", "-shm"):
        old = path.with_name(path.name + part)
        if old.exists():
            old.rename(path.with_name(path.name + suffix + part))
    staged.rename(path)
    _flush_folder(path.parent)


def _back_up(path: Path, copy: Path, now: int, busy_timeout: float) -> None:
    if copy.exists():
        raise StoreError(f"{copy} exists; name a new file.")
    partial = copy.with_name(f".{copy.name}.partial")
    _copy(path, partial, now, busy_timeout)
    # A link fails where the name was taken meanwhile; a rename would replace what is there.
    os.link(partial, copy)
    partial.unlink()
    _flush_folder(copy.parent)


def _copy(source: Path, target: Path, backup_time: int | None, busy_timeout: float) -> None:
    """One consistent copy in the new file *target*, without companions; marked where there is a time."""
    require_sqlite()
    for part in ("", "-wal", "-shm", "-journal"):
        target.with_name(target.name + part).unlink(missing_ok=True)
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        with (
            closing(SqliteFile(source).open(busy_timeout=busy_timeout, query_only=True)) as original,
            closing(SqliteFile(target).open(busy_timeout=busy_timeout)) as copied,
        ):
            # All pages in one step, in one snapshot: writers go on, and nothing makes it begin anew.
            original.backup(copied)
            copied.execute("PRAGMA journal_mode = DELETE")
            found = copied.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise StoreError(f"The copy of {source} is damaged: {found}.")
            if backup_time is not None:
                copied.execute("UPDATE counters SET value = ? WHERE name = ?", (backup_time, BACKUP_TIME))
        with target.open("rb") as file:
            os.fsync(file.fileno())
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise_instead(from_sqlite(error), error)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
