"""Migrating a PostgreSQL database while it is used: one short transaction per revision.

Nobody waits long for a migration. A step that does not get its table locks within `_LOCK_TIMEOUT` lets go,
so that the calls queued behind it run, and tries again. Indexes on tables that may be large are built with
CREATE INDEX CONCURRENTLY, before the transaction that records their revision.

Steps are serialized by an advisory lock of the transaction, which works behind a pooler too; an index, which
no transaction can hold, by what PostgreSQL says of its progress.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gateway.store.failures import StoreCause, from_postgresql, raise_instead, unavailable
from gateway.store.migrations.revisions import OnlineIndex, Revisions, Step, number_of
from gateway.store.migrations.schema import (
    ALIVE_MICROSECONDS,
    OlderProgram,
    SchemaState,
    missing_steps,
    require_none_older,
)
from gateway.store.options import StoreOptions
from gateway.store.postgresql_driver import connect, import_asyncpg

logger = logging.getLogger(__name__)

# Any number that nothing else in the database uses for its advisory locks; ASCII "cntrsign".
_LOCK = int.from_bytes(b"cntrsign", "big", signed=True)
_LOCK_TIMEOUT = 500
"""Milliseconds: less than a call that serves waits for a lock (`StoreOptions.busy_timeout`)."""
_ATTEMPTS = 120
_PAUSE = 0.5  # seconds
_STEP_TIMEOUT = 3600.0  # seconds

_HAS_TABLE = "SELECT to_regclass($1) IS NOT NULL"
_VERSION = "SELECT version_num FROM alembic_version"
_OLDEST = "SELECT value FROM counters WHERE name = 'oldest_program'"
_RAISE_OLDEST = "UPDATE counters SET value = $1 WHERE name = 'oldest_program' AND value < $1"
_OLDER = (
    "SELECT host, process_id, build, program FROM replicas WHERE program < $1"
    " AND seen_time > extract(epoch FROM clock_timestamp()) * 1000000 - $2::bigint"
)
_INDEX_VALID = "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)"
_INDEX_BUILDING = (
    "SELECT count(*) > 0 FROM pg_stat_progress_create_index WHERE index_relid = to_regclass($1)::oid"
)


async def upgrade(dsn: str, options: StoreOptions, revisions: Revisions) -> str | None:
    """Migrate to the head; returns the revision before, None for a new database."""
    async with connected(dsn, options) as connection:
        before = (await _state(connection)).revision
        while await _advance(connection, revisions):
            pass
        return before


async def state(dsn: str, options: StoreOptions) -> SchemaState:
    """The schema of the database."""
    async with connected(dsn, options) as connection:
        return await _state(connection)


async def pending(dsn: str, options: StoreOptions, revisions: Revisions) -> list[Step]:
    """The steps that `upgrade` would take now."""
    found = await state(dsn, options)
    return list(await asyncio.to_thread(missing_steps, "postgresql", found, revisions))


@asynccontextmanager
async def connected(dsn: str, options: StoreOptions) -> AsyncIterator[Any]:
    """A connection of one's own. What goes wrong on it is raised as `AvailabilityError`."""
    asyncpg = import_asyncpg()
    try:
        connection = await connect(dsn, options)
        try:
            yield connection
        finally:
            await connection.close(timeout=options.command_timeout)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise_instead(from_postgresql(error, asyncpg), error)


async def _advance(connection: Any, revisions: Revisions) -> bool:
    """Take the next step, whoever took those before; False where there is none left.

    Raises `AvailabilityError` (``store_busy``) where others hold the tables for too long.
    """
    found = await _state(connection)
    todo = await asyncio.to_thread(missing_steps, "postgresql", found, revisions)
    if not todo:
        return False
    step = todo[0]
    for index in step.indexes:
        await _build(connection, index)
    refused = import_asyncpg().LockNotAvailableError, import_asyncpg().DeadlockDetectedError
    for attempt in range(_ATTEMPTS):
        try:
            await _take(connection, step)
        except refused as error:
            logger.info("Revision %s waits for a lock (attempt %d)", step.revision, attempt + 1)
            cause = error
            await asyncio.sleep(_PAUSE)
        else:
            return True
    raise unavailable(StoreCause.BUSY, cause)


async def _take(connection: Any, step: Step) -> None:
    """Take *step* in a transaction, unless somebody else has."""
    async with connection.transaction():
        # Whoever is before us may have to wait for locks itself.
        await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})", timeout=None)
        await connection.execute(f"SET LOCAL lock_timeout = {_LOCK_TIMEOUT}")
        if (await _state(connection)).revision != step.before:
            return
        oldest = number_of(step.oldest_program)
        if await connection.fetchval(_HAS_TABLE, "counters"):
            # From here on nobody announces itself until the step is done: see `gateway.store.replicas`.
            await connection.execute(_RAISE_OLDEST, oldest)
        if await connection.fetchval(_HAS_TABLE, "replicas"):
            rows = await connection.fetch(_OLDER, oldest, ALIVE_MICROSECONDS)
            require_none_older(step, [OlderProgram(*row) for row in rows])
        await connection.execute(step.script, timeout=_STEP_TIMEOUT)
        await connection.execute(_RAISE_OLDEST, oldest)


async def _build(connection: Any, index: OnlineIndex) -> None:
    """Build *index* unless it is there. One whose building was cut short is dropped and built anew."""
    asyncpg = import_asyncpg()
    async with asyncio.timeout(_STEP_TIMEOUT):
        while not (valid := await connection.fetchval(_INDEX_VALID, index.name)):
            if valid is not None and await connection.fetchval(_INDEX_BUILDING, index.name):
                await asyncio.sleep(_PAUSE)
                continue
            try:
                if valid is not None:
                    await connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {index.name}", timeout=None)
                await connection.execute(index.sql(concurrently=True), timeout=_STEP_TIMEOUT)
            except (asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError) as error:
                if isinstance(error, asyncpg.UniqueViolationError) and error.schema_name != "pg_catalog":
                    raise  # The rows are at fault.
                # Two programs began at once, and PostgreSQL ended one of them.
                logger.info("Index %s is built by somebody else too", index.name)
                await asyncio.sleep(_PAUSE)


async def _state(connection: Any) -> SchemaState:
    if not await connection.fetchval(_HAS_TABLE, "alembic_version"):
        return SchemaState(None)
    version: str | None = await connection.fetchval(_VERSION)
    if version is None:
        return SchemaState(None)
    return SchemaState(version, await connection.fetchval(_OLDEST) or 0)
