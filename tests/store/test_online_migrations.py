"""Upgrading while gateways serve: who may use which database, what waits for whom, and being killed."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from countersign import CertificateName, GrantType, TlsClientAuth

from gateway.cli import main
from gateway.errors import AvailabilityError
from gateway.store import SchemaRevisionError, check_revision, open_store, upgrade
from gateway.store import replicas as replicas_module
from gateway.store.migrations import HEAD_REVISION, SCRIPTS, pending_steps, revisions, schema_state
from gateway.store.migrations.revisions import Revisions
from tests.support.future import future
from tests.support.gateway import RESOURCE, prepare, running_gateway
from tests.support.stores import DATABASES, REPOSITORY, client, empty_database

NAME = "backend"


@pytest.fixture(params=DATABASES)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """An empty database of each kind."""
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[str]:
    """An empty PostgreSQL database."""
    with empty_database("postgresql", tmp_path) as url:
        yield url


async def query(url: str, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """The rows of *statement*, run with nothing of the store between."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            rows = file.execute(statement, values).fetchall()
            file.commit()
            return rows
    server = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await server.fetch(statement, *values)]
    finally:
        await server.close()


async def forget_replicas(url: str) -> None:
    """As if a minute had passed without a sign of life."""
    await query(url, "UPDATE replicas SET seen_time = 0")


async def register(gateway) -> None:
    async with gateway.client(gateway.admin) as admin:
        await admin.create_client(
            NAME,
            authentication=TlsClientAuth(CertificateName.SAN_DNS, "backend.example.org"),
            grant_types=[GrantType.CLIENT_CREDENTIALS],
            scopes=["read"],
            audiences=[RESOURCE],
            default_audience=RESOURCE,
        )


class Load:
    """Mints, introspects and revokes until it is told to stop; any failure is raised at the end."""

    def __init__(self, gateway) -> None:
        self._gateway = gateway
        self._stop = asyncio.Event()
        self.calls = 0
        self.more = asyncio.Condition()

    async def run(self) -> None:
        certificate = self._gateway.root.leaf(dns=("backend.example.org",))
        async with (
            self._gateway.client(certificate) as caller,
            self._gateway.client(self._gateway.api) as api,
            self._gateway.client(self._gateway.admin) as admin,
        ):
            while not self._stop.is_set():
                token = await caller.mint_token(NAME)
                assert await api.introspect_token(token.value) is not None
                await admin.revoke_token_id(token.token_id)
                assert await api.introspect_token(token.value) is None
                async with self.more:
                    self.calls += 4
                    self.more.notify_all()

    async def some(self) -> None:
        """Wait until it has done a few more calls."""
        goal = self.calls + 12
        async with asyncio.timeout(60), self.more:
            await self.more.wait_for(lambda: self.calls >= goal)

    def stop(self) -> None:
        self._stop.set()


async def test_an_upgrade_under_load(tmp_path, url, monkeypatch):
    """No call fails while the database is migrated; then programs of both versions serve from it."""
    prepared = await prepare(tmp_path / "old", database_url=url)
    async with running_gateway(tmp_path / "old", prepared=prepared) as old:
        await register(old)
        load = Load(old)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(load.run())
            await load.some()
            await upgrade(url, to=future("9001"))
            await load.some()
            with monkeypatch.context() as newer:
                newer.setattr(revisions, "CURRENT", future("9001"))
                async with running_gateway(tmp_path / "new", prepared=prepared) as new:
                    other = Load(new)
                    task = tasks.create_task(other.run())
                    await asyncio.gather(other.some(), load.some())
                    programs = {each.program for each in await new_replicas(url)}
                    other.stop()
                    await task
            load.stop()
    assert programs == {int(HEAD_REVISION), 9001}
    assert await new_replicas(url) == []


async def new_replicas(url: str):
    """Who is alive, as another program sees it."""
    async with open_store(url) as store:
        return list(await store.replicas.alive())


async def test_the_window_of_versions(url):
    """A program works one additive revision ahead of it, and is told that it is too old for the one after."""
    await upgrade(url, to=future("9001"))
    await check_revision(url)
    await upgrade(url, to=future("9002"))
    for migrate in (False, True):
        with pytest.raises(
            SchemaRevisionError, match="programs from revision 9001 on work; this one was made"
        ):
            await open_store(url, migrate=migrate).__aenter__()


async def test_a_replica_that_starts_again_in_an_upgrade(tmp_path, url, capsys):
    """With `--migrate` it finds the database ahead of it, changes nothing, and serves."""
    prepared = await prepare(tmp_path / "old", database_url=url)
    await upgrade(url, to=future("9001"))
    assert await upgrade(url) == "9001"
    assert not await pending_steps(url)
    async with open_store(url, migrate=True) as store:
        await store.clients.create(client(), None)
    assert (
        await asyncio.to_thread(
            main, ["migrate", "up", "--config", str(prepared.folder / "countersign.toml")]
        )
        == 0
    )
    assert f"revision 9001, ahead of this program's {HEAD_REVISION}" in capsys.readouterr().out
    assert (await schema_state(url)).revision == "9001"


async def test_a_newer_program_needs_its_revision(url, monkeypatch):
    """It refuses the database of the program before, and says that migrating needs no stop."""
    await upgrade(url)
    monkeypatch.setattr(revisions, "CURRENT", future("9001"))
    with pytest.raises(SchemaRevisionError, match="migrate up`, also while programs of the revision before"):
        await open_store(url).__aenter__()


async def test_a_contraction_waits_for_older_programs(url):
    """While a program that it would break is alive, nothing is changed, and its process is named."""
    await upgrade(url)
    async with open_store(url) as store, store.replicas.announced():
        with pytest.raises(
            SchemaRevisionError, match=r"'9002' needs programs from revision '9001' on.*process"
        ):
            await upgrade(url, to=future("9002"))
        # The additive step before it was taken, which the older program bears.
        assert (await schema_state(url)).revision == "9001"
        await store.check_writable()
    await upgrade(url, to=future("9002"))
    assert (await schema_state(url)).revision == "9002"


async def test_a_program_that_was_thought_dead(url, monkeypatch):
    """One that was silent for a minute is left behind; its next sign of life tells it, and readiness ends."""
    monkeypatch.setattr(replicas_module, "BEAT", 0.05)
    await upgrade(url)
    async with open_store(url) as store:
        beats = store.replicas.announced()
        await beats.__aenter__()
        monkeypatch.setattr(replicas_module, "BEAT", 3_600.0)
        await query(url, "SELECT 1")
        async with asyncio.timeout(30):
            # A beat that is under way may come between: it is silenced again until the migration is through.
            while (await schema_state(url)).revision != "9002":
                await forget_replicas(url)
                with suppress(SchemaRevisionError):
                    await upgrade(url, to=future("9002"))
        task = next(each for each in asyncio.all_tasks() if each.get_name() == "store-replica")
        task.cancel()
        monkeypatch.setattr(replicas_module, "BEAT", 0.05)
        with pytest.raises(SchemaRevisionError, match="needs a newer program"):
            await store.replicas.announced().__aenter__()
        with pytest.raises(AvailabilityError) as failed:
            await store.check_writable()
        assert failed.value.cause == "store_left_behind"


async def test_a_program_that_starts_in_the_middle_of_a_contraction(postgres):
    """It waits for the migration, and then finds itself left behind: looking and starting are one."""
    await upgrade(postgres, to=future("9001"))
    server = await asyncpg.connect(postgres)
    async with open_store(postgres) as store:
        migration = server.transaction()
        await migration.start()
        await server.execute("UPDATE counters SET value = 9001 WHERE name = 'oldest_program'")
        starting = asyncio.create_task(store.replicas.announced().__aenter__())
        while not await query(postgres, "SELECT 1 FROM pg_locks WHERE NOT granted"):
            assert not starting.done()
        await migration.commit()
        with pytest.raises(SchemaRevisionError, match="needs a newer program"):
            await starting
    await server.close()


def test_being_killed_before_every_statement(tmp_path):
    """SIGKILL before any statement leaves a revision from which the next attempt goes on (SQLite)."""
    _kill(f"sqlite:///{tmp_path}/state.db")


def test_being_killed_before_every_statement_on_postgresql(postgres):
    """The same on PostgreSQL, the online index included."""
    _kill(postgres)


def _kill(url: str) -> None:
    asyncio.run(upgrade(url))
    asyncio.run(_store_client(url))
    command = [sys.executable, "-m", "tests.support.killed_migration", url]
    ran = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=300, check=False)
    assert ran.returncode == 0, ran.stderr
    *attempts, last = ran.stdout.splitlines()
    assert last == "done"
    seen = [line.split()[0] for line in attempts]
    # Several kills at the old revision, several at the one between, and only ever forward.
    assert seen == sorted(seen)
    assert set(seen) == {HEAD_REVISION, "9001", "9002"}
    assert min(seen.count(HEAD_REVISION), seen.count("9001")) >= 3
    assert asyncio.run(query(url, "SELECT client_id, note FROM clients")) == [(NAME, None)]


async def _store_client(url: str) -> None:
    async with open_store(url) as store:
        await store.clients.create(client(NAME), None)


async def test_two_programs_build_an_index_once(postgres):
    """Both succeed, and the index is whole."""
    await upgrade(postgres, to=future("9001"))
    await asyncio.gather(*(upgrade(postgres, to=future("9002")) for _ in range(2)))
    assert await index(postgres) == [
        ("CREATE INDEX clients_by_note ON public.clients USING btree (note)", True)
    ]


async def test_an_index_that_was_cut_short_is_built_anew(postgres):
    """What a killed CREATE INDEX CONCURRENTLY leaves is no index."""
    await upgrade(postgres, to=future("9001"))
    async with open_store(postgres) as store:
        for name in ("one", "two"):
            await store.clients.create(client(name), None)
    with pytest.raises(asyncpg.UniqueViolationError):
        await query(postgres, "CREATE UNIQUE INDEX CONCURRENTLY clients_by_note ON clients (disabled)")
    ((_, valid),) = await index(postgres)
    assert not valid
    await upgrade(postgres, to=future("9002"))
    assert await index(postgres) == [
        ("CREATE INDEX clients_by_note ON public.clients USING btree (note)", True)
    ]


async def index(url: str) -> list[tuple[Any, ...]]:
    return await query(
        url,
        "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index"
        " WHERE indexrelid = to_regclass('clients_by_note')",
    )


async def test_a_migration_that_waits_for_a_lock_lets_others_pass(postgres):
    """A long reader of the table holds the migration up, and not those who come after it."""
    await upgrade(postgres)
    reader = await asyncpg.connect(postgres)
    reading = reader.transaction()
    await reading.start()
    await reader.fetch("SELECT * FROM clients")
    migrating = asyncio.create_task(upgrade(postgres, to=future("9001")))
    while not await query(
        postgres, "SELECT 1 FROM pg_locks WHERE NOT granted AND mode = 'AccessExclusiveLock'"
    ):
        assert not migrating.done()
    # Behind the one who waits; it would be for as long as the reader reads.
    await query(postgres, "SELECT count(*) FROM clients")
    assert not migrating.done()
    await reading.rollback()
    await reader.close()
    await migrating
    assert (await schema_state(postgres)).revision == "9001"


def test_every_revision_says_whom_it_leaves_behind():
    """Each declares the oldest program that works after it, never an older one than the one before."""
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    scripts = list(ScriptDirectory.from_config(config).walk_revisions())[::-1]
    oldest = [script.module.oldest_program for script in scripts]
    assert oldest == sorted(oldest)
    assert all(each <= script.revision for each, script in zip(oldest, scripts, strict=True))
    assert [script.revision for script in scripts] == [f"{n:04d}" for n in range(1, len(scripts) + 1)]


async def test_a_revision_that_does_not_say_is_not_run(tmp_path, url):
    """Without a declaration nobody knows whom it breaks."""
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "r9001.py").write_text(
        f'"""Silent."""\nrevision = "9001"\ndown_revision = "{HEAD_REVISION}"\n'
        "branch_labels = depends_on = None\n\n\ndef upgrade():\n    pass\n"
    )
    await upgrade(url)
    with pytest.raises(SchemaRevisionError, match="does not declare oldest_program"):
        await upgrade(url, to=Revisions("9001", (*revisions.CURRENT.folders, folder)))


async def test_a_dry_run_changes_nothing(tmp_path, url, monkeypatch, capsys):
    """`migrate up --dry-run` prints the SQL, `migrate status` what is to be done; then nothing is."""
    prepared = await prepare(tmp_path / "gateway", database_url=url)
    config = ["--config", str(prepared.folder / "countersign.toml")]
    assert await asyncio.to_thread(main, ["migrate", "status", *config]) == 0
    monkeypatch.setattr(revisions, "CURRENT", future("9002"))
    assert await asyncio.to_thread(main, ["migrate", "status", *config]) == 1
    assert await asyncio.to_thread(main, ["migrate", "up", "--dry-run", *config]) == 0
    printed = capsys.readouterr().out
    assert "9001: " in printed
    assert f"(additive: needs programs from revision {HEAD_REVISION} on)" in printed
    assert "(a contraction: needs programs from revision 9001 on)" not in printed
    assert "ALTER TABLE clients ADD COLUMN note TEXT" in printed
    assert (await schema_state(url)).revision == HEAD_REVISION
    assert await asyncio.to_thread(main, ["migrate", "up", *config]) == 0
    assert await asyncio.to_thread(main, ["migrate", "status", *config]) == 0
    assert list(await pending_steps(url)) == []


async def test_every_revision_keeps_what_is_stored(url):
    """From the first revision to the newest, each with a row in every table that is there, no row changes."""
    stored: dict[str, list[tuple[Any, ...]]] = {}
    columns: dict[str, dict[str, str]] = {}
    for number in range(1, int(HEAD_REVISION) + 1):
        revision = f"{number:04d}"
        await upgrade(url, to=Revisions(revision))
        for table, before in stored.items():
            if (table, revision) in FORGOTTEN:
                continue
            after = await rows(url, table, list(columns[table]))
            # A revision may add rows of its own, such as counters.
            assert [row for row in before if row not in after] == [], (table, revision)
        columns = await columns_of(url)
        new = {table for table in columns if table not in stored or (table, revision) in FORGOTTEN}
        for table in new:
            await fill(url, table, columns[table])
        stored = {table: await kept_rows(url, table, list(columns[table])) for table in columns}


async def kept_rows(url: str, table: str, columns: list[str]) -> list[tuple[Any, ...]]:
    """All rows, without the one number that migrations themselves write."""
    found = [row for row in await rows(url, table, columns) if row[0] != "oldest_program"]
    assert found, table
    return found


FORGOTTEN = {("pending_logins", "0007")}
"""Revision 0007 ends logins that are under way, as it says: they last minutes."""


async def columns_of(url: str) -> dict[str, dict[str, str]]:
    """Columns and their types, by table; Alembic's own table left out."""
    if url.startswith("sqlite"):
        found = await query(
            url,
            "SELECT m.name, c.name, c.type FROM sqlite_master AS m, pragma_table_info(m.name) AS c"
            " WHERE m.type = 'table'",
        )
    else:
        found = await query(
            url,
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public'",
        )
    tables: dict[str, dict[str, str]] = {}
    for table, column, kind in found:
        tables.setdefault(table, {})[column] = kind.lower()
    del tables["alembic_version"]
    return tables


async def fill(url: str, table: str, columns: dict[str, str]) -> None:
    """One row with a value of its own in every column."""
    values = {"bigint": 7_000_000, "text": f"of {table}", "bytea": b"octets", "blob": b"octets"}
    places = ", ".join("?" if url.startswith("sqlite") else f"${n}" for n in range(1, len(columns) + 1))
    insert = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - our own names
    await query(url, insert, *(values[kind] for kind in columns.values()))


async def rows(url: str, table: str, columns: list[str]) -> list[tuple[Any, ...]]:
    return await query(url, f"SELECT {', '.join(columns)} FROM {table}")  # noqa: S608 - our own names
