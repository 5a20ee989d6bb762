"""Migrations: from nothing to the head on both databases, and no start on any other revision."""

import asyncio
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import asyncpg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.errors import AvailabilityError
from gateway.store import SchemaRevisionError, check_revision, open_store, upgrade
from gateway.store.migrations import HEAD_REVISION, SCRIPTS
from gateway.store.options import SqliteUrl, parse_url
from gateway.store.statement import POSTGRESQL
from gateway.store.tables import metadata
from tests.support.stores import DATABASES, client, empty_database


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database."""
    with empty_database(request.param, tmp_path) as url:
        yield url


async def execute(url: str, statement: str) -> None:
    """Run *statement* with nothing of the store between."""
    target = parse_url(url)
    if isinstance(target, SqliteUrl):
        with closing(sqlite3.connect(target.path)) as file:
            file.execute(statement)
            file.commit()
        return
    server = await asyncpg.connect(url)
    try:
        await server.execute(statement)
    finally:
        await server.close()


async def test_an_empty_database_is_brought_to_the_head(url):
    """Afterwards the store opens; migrating again changes nothing and loses nothing."""
    await upgrade(url)
    await check_revision(url)
    async with open_store(url) as store:
        await store.clients.create(client(), None)
    await upgrade(url)
    async with open_store(url) as store:
        assert await store.clients.get("backend") == client()


async def test_replicas_started_together_migrate_once(url):
    """Several at the same time all succeed."""
    await asyncio.gather(*(upgrade(url) for _ in range(4)))
    await check_revision(url)


async def test_an_empty_database_is_refused(url):
    """Without being asked to migrate nothing is made, not even a file."""
    with pytest.raises(SchemaRevisionError, match="empty or does not exist"):
        await open_store(url).__aenter__()
    target = parse_url(url)
    assert not isinstance(target, SqliteUrl) or not target.path.exists()


async def test_another_revision_is_refused(url):
    """A database that has left this program behind is neither used nor migrated."""
    await upgrade(url)
    await execute(url, "UPDATE alembic_version SET version_num = '9999'")
    await execute(url, "UPDATE counters SET value = 9998 WHERE name = 'oldest_program'")
    refused = f"revision '9999', on which programs from revision 9998 on .* made for '{HEAD_REVISION}'"
    with pytest.raises(SchemaRevisionError, match=refused):
        await open_store(url).__aenter__()
    with pytest.raises(SchemaRevisionError, match=refused):
        await upgrade(url)


async def test_a_migration_that_fails_leaves_nothing(url):
    """A table that is in the way stops it; what it had made before is undone."""
    target = parse_url(url)
    if isinstance(target, SqliteUrl):
        target.path.parent.mkdir()
    await execute(url, "CREATE TABLE idempotency (something INTEGER)")
    with pytest.raises(AvailabilityError):
        await upgrade(url)
    await execute(url, "DROP TABLE idempotency")
    with pytest.raises(SchemaRevisionError, match="empty"):
        await check_revision(url)
    await upgrade(url)
    await check_revision(url)


def test_the_head_is_the_last_revision():
    """The constant that a start compares with is Alembic's head."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD_REVISION]


def test_a_developers_alembic_runs_on_a_connection(tmp_path):
    """The environment's other mode, which ``alembic revision --autogenerate`` uses, makes the same tables."""
    engine = sa.create_engine(f"sqlite:///{tmp_path}/state.db")
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []
    engine.dispose()


async def test_the_migrations_make_the_tables_of_the_model(tmp_path):
    """On SQLite Alembic finds no difference between a migrated file and tables.py."""
    path = tmp_path / "state.db"
    await upgrade(f"sqlite:///{path}")
    engine = sa.create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    engine.dispose()


@pytest.fixture
def two_databases(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two empty PostgreSQL databases."""
    with empty_database("postgresql", tmp_path) as one, empty_database("postgresql", tmp_path) as two:
        yield one, two


async def test_the_migrations_make_the_columns_of_the_model_on_postgresql(two_databases):
    """Every column has the type, collation and nullability that tables.py gives it, every index its SQL."""
    migrated, modeled = two_databases
    await upgrade(migrated)
    dialect = POSTGRESQL.compiler()
    for table in metadata.sorted_tables:
        await execute(modeled, str(sa.schema.CreateTable(table).compile(dialect=dialect)))
        for index in table.indexes:
            await execute(modeled, str(sa.schema.CreateIndex(index).compile(dialect=dialect)))
    assert await described(modeled) == await described(migrated)


async def described(url: str) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    """Columns and indexes as PostgreSQL describes them, Alembic's own table left out."""
    server = await asyncpg.connect(url)
    try:
        columns = await server.fetch(
            "SELECT table_name, column_name, data_type, collation_name, is_nullable"
            " FROM information_schema.columns WHERE table_schema = 'public'"
            " AND table_name <> 'alembic_version' ORDER BY 1, 2"
        )
        indexes = await server.fetch(
            "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'"
            " AND tablename <> 'alembic_version' ORDER BY 1"
        )
    finally:
        await server.close()
    return [tuple(row) for row in columns], [tuple(row) for row in indexes]


async def test_a_new_file_is_its_owners_alone(tmp_path):
    """The file and its companions are 0600, folders made for it 0700; one that was there is left alone."""
    tmp_path.chmod(0o755)
    path = tmp_path / "a" / "b" / "state.db"
    async with open_store(f"sqlite:///{path}", migrate=True) as store:
        await store.check_writable()
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600, "state.db-lock": 0o600}
    assert [stat.S_IMODE(each.stat().st_mode) for each in list(path.parents)[:3]] == [0o700, 0o700, 0o755]
