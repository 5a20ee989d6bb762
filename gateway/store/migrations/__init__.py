"""Bringing a database to the revision that this program needs, also while older programs use it.

Alembic writes the SQL; it runs on the driver that serves, one transaction per revision, which records the
revision as well. Whoever is killed in between leaves a database at one of them, and the next run goes on.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from gateway.store.migrations import postgresql, revisions, sqlite
from gateway.store.migrations.revisions import HEAD_REVISION, OnlineIndex, Revisions, Step
from gateway.store.migrations.schema import SchemaState
from gateway.store.options import SqliteUrl, StoreOptions, parse_url

__all__ = [
    "HEAD_REVISION",
    "SCRIPTS",
    "OnlineIndex",
    "Revisions",
    "SchemaState",
    "Step",
    "check_revision",
    "pending_steps",
    "schema_state",
    "upgrade",
]

SCRIPTS = Path(__file__).parent
"""Alembic's script location."""

logger = logging.getLogger(__name__)


async def upgrade(
    url: str, *, options: StoreOptions | None = None, to: Revisions | None = None
) -> str | None:
    """Make what is missing (a SQLite file and its folder too) and migrate to the last of *to*'s revisions.

    Without *to* those are the program's. Returns the revision before, None for an empty database; one that is
    ahead of the program, which works on it, is left as it is.

    Raises `StoreUrlError`, `MissingDriverError`, `SchemaRevisionError` (the database has left this program
    behind, or older programs than the next revision allows are alive) and `AvailabilityError`.
    """
    target, options, to = parse_url(url), options or StoreOptions(), to or revisions.CURRENT
    if isinstance(target, SqliteUrl):
        before = await sqlite.upgrade(target.path, options, to)
    else:
        before = await postgresql.upgrade(target.dsn, options, to)
    if before != to.head and not SchemaState(before).is_ahead(to):
        logger.info("Migrated the database from revision %s to %s", before or "none", to.head)
    return before


async def pending_steps(
    url: str, *, options: StoreOptions | None = None, to: Revisions | None = None
) -> Sequence[Step]:
    """What `upgrade` would do now, in order. Raises what `upgrade` raises."""
    target, options, to = parse_url(url), options or StoreOptions(), to or revisions.CURRENT
    if isinstance(target, SqliteUrl):
        return await sqlite.pending(target.path, options, to)
    return await postgresql.pending(target.dsn, options, to)


async def schema_state(url: str, *, options: StoreOptions | None = None) -> SchemaState:
    """The database's revision, and the oldest programs that may use it.

    Raises `StoreUrlError`, `MissingDriverError` and `AvailabilityError`.
    """
    target, options = parse_url(url), options or StoreOptions()
    if isinstance(target, SqliteUrl):
        return await sqlite.state(target.path, options)
    return await postgresql.state(target.dsn, options)


async def check_revision(url: str, *, options: StoreOptions | None = None) -> None:
    """Raise `SchemaRevisionError`, a sentence for the operator, unless this program may use the database.

    Raises `StoreUrlError`, `MissingDriverError` and `AvailabilityError` too.
    """
    (await schema_state(url, options=options)).require(revisions.CURRENT)
