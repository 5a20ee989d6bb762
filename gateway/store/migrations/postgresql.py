"""Migrating a PostgreSQL database."""

from typing import Any

from gateway.store.failures import from_postgresql, raise_instead
from gateway.store.migrations.revisions import upgrade_script
from gateway.store.options import StoreOptions
from gateway.store.postgresql_driver import connect, import_asyncpg

# Any number that nothing else in the database uses for its advisory locks; ASCII "cntrsign".
_LOCK = int.from_bytes(b"cntrsign", "big", signed=True)

_HAS_VERSION = "SELECT to_regclass('alembic_version') IS NOT NULL"
_VERSION = "SELECT version_num FROM alembic_version"


async def upgrade(dsn: str, options: StoreOptions) -> str | None:
    """Migrate to the head; returns the revision before, None for a new database."""
    asyncpg = import_asyncpg()
    try:
        connection = await connect(dsn, options)
        try:
            # A migration may take longer than a statement that serves; the other replicas wait for it.
            async with connection.transaction():
                await connection.execute(f"SELECT pg_advisory_xact_lock({_LOCK})", timeout=None)
                before = await _revision(connection)
                script = upgrade_script("postgresql", before)
                if script:
                    await connection.execute(script, timeout=3600)
            return before
        finally:
            await connection.close(timeout=options.command_timeout)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise_instead(from_postgresql(error, asyncpg), error)


async def revision(dsn: str, options: StoreOptions) -> str | None:
    """The revision of the database; None where it is empty."""
    asyncpg = import_asyncpg()
    try:
        connection = await connect(dsn, options)
        try:
            return await _revision(connection)
        finally:
            await connection.close(timeout=options.command_timeout)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
        raise_instead(from_postgresql(error, asyncpg), error)


async def _revision(connection: Any) -> str | None:
    if not await connection.fetchval(_HAS_VERSION):
        return None
    version: str | None = await connection.fetchval(_VERSION)
    return version
