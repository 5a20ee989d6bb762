"""Bringing a database to the revision that this program needs, and refusing any other.

Alembic writes the SQL; it runs on the driver that serves, inside one transaction that holds a lock, so that
replicas started together migrate once and a migration that fails leaves nothing behind.
"""

import logging
from pathlib import Path

from gateway.store.failures import SchemaRevisionError
from gateway.store.migrations import postgresql, sqlite
from gateway.store.migrations.revisions import HEAD_REVISION
from gateway.store.options import SqliteUrl, StoreOptions, parse_url

__all__ = ["HEAD_REVISION", "SCRIPTS", "check_revision", "upgrade"]

SCRIPTS = Path(__file__).parent
"""Alembic's script location."""

logger = logging.getLogger(__name__)


async def upgrade(url: str, *, options: StoreOptions | None = None) -> None:
    """Make what is missing (a SQLite file and its folder too) and migrate to `HEAD_REVISION`.

    Raises `StoreUrlError`, `MissingDriverError`, `SchemaRevisionError` (the database is newer than this
    program) and `AvailabilityError`.
    """
    target = parse_url(url)
    options = options or StoreOptions()
    if isinstance(target, SqliteUrl):
        before = await sqlite.upgrade(target.path, options)
    else:
        before = await postgresql.upgrade(target.dsn, options)
    if before != HEAD_REVISION:
        logger.info("Migrated the database from revision %s to %s", before or "none", HEAD_REVISION)


async def check_revision(url: str, *, options: StoreOptions | None = None) -> None:
    """Raise `SchemaRevisionError`, with a sentence for the operator, unless the database is at the head.

    Raises `StoreUrlError`, `MissingDriverError` and `AvailabilityError` too.
    """
    target = parse_url(url)
    options = options or StoreOptions()
    if isinstance(target, SqliteUrl):
        revision = await sqlite.revision(target.path, options)
    else:
        revision = await postgresql.revision(target.dsn, options)
    if revision is None:
        raise SchemaRevisionError(
            "The database is empty or does not exist; start with `countersign serve --migrate` to make it."
        )
    if revision != HEAD_REVISION:
        raise SchemaRevisionError(
            f"The database is at revision {revision!r}, this program needs {HEAD_REVISION!r}; "
            "migrate it, or run the program that made it."
        )
