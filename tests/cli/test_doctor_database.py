"""What the doctor finds at the database: each rule broken once, and what it says to do."""

import asyncio
import sqlite3
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from gateway.cli import doctor
from gateway.cli.doctor_database import (
    database_findings,
    postgresql_findings,
    sqlite_log,
    sqlite_space,
)
from gateway.cli.findings import Finding
from gateway.store import open_store
from gateway.store.condition import ServerCondition, TableSize, server_condition
from gateway.store.options import StoreOptions
from gateway.wiring.store import store_options, store_url
from tests.support.gateway import Prepared, prepare
from tests.support.stores import DATABASES, empty_database

GIB = 2**30
SOUND = ServerCondition(
    settings={
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "default_transaction_isolation": "read committed",
        "max_connections": "100",
        "superuser_reserved_connections": "3",
    },
    in_recovery=False,
    connections_used=20,
    behind_pooler=False,
    largest=(TableSize("replays", 5 * GIB, 10_000_000),),
)


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


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose name leaves room for that of a socket: a path may have about 100 characters."""
    with tempfile.TemporaryDirectory(prefix="pool-") as folder:
        yield Path(folder)


async def found(prepared: Prepared, subject: str) -> Finding:
    """The one finding on *subject*."""
    (finding,) = [each for each in await database_findings(prepared.settings) if each.subject == subject]
    return finding


@asynccontextmanager
async def serving(prepared: Prepared, *, clock=time.time) -> AsyncIterator[None]:
    """A process that has announced itself, with a clock of its own."""
    async with (
        open_store(
            store_url(prepared.settings), options=store_options(prepared.settings), clock=clock
        ) as store,
        store.replicas.announced(),
    ):
        yield


async def execute(url: str, statement: str) -> None:
    """Run *statement* with nothing of the store between."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as file:
            file.execute(statement)
            file.commit()
        return
    server = await asyncpg.connect(url)
    try:
        await server.execute(statement)
    finally:
        await server.close()


async def test_a_sound_database_has_nothing_to_do(tmp_path, url):
    """With a gateway that serves, every finding is well."""
    prepared = await prepare(tmp_path / "gateway", database_url=url)
    async with serving(prepared):
        findings = await database_findings(prepared.settings)
    assert [each for each in findings if each.remedy] == []
    assert (await found(prepared, "replicas")).detail == "none is alive"


async def test_replicas_are_named_with_their_versions(tmp_path, url):
    """Those alive are counted, with version and revision."""
    prepared = await prepare(tmp_path / "gateway", database_url=url)
    async with serving(prepared), serving(prepared):
        finding = await found(prepared, "replicas")
    assert finding.detail.startswith("2 alive, of ")
    assert "revision 00" in finding.detail


async def test_versions_that_differ_are_an_upgrade_to_be_finished(tmp_path, url):
    """Two versions side by side are allowed, and said."""
    prepared = await prepare(tmp_path / "gateway", database_url=url)
    async with serving(prepared), serving(prepared):
        await execute(
            url,
            "UPDATE replicas SET build = '0.0.1' WHERE replica_id = (SELECT min(replica_id) FROM replicas)",
        )
        finding = await found(prepared, "replicas")
    assert (finding.remedy, finding.fatal) == ("finish the upgrade: all of one version", False)


async def test_a_replica_whose_clock_is_off_is_named(tmp_path, url):
    """More than tokens.clock_skew is a failure."""
    prepared = await prepare(tmp_path / "gateway", database_url=url)
    async with serving(prepared, clock=lambda: time.time() + 60):
        finding = await found(prepared, "replicas")
    assert "+60" in finding.detail or "+59" in finding.detail
    assert finding.fatal
    assert "synchronize its clock" in finding.remedy


async def test_a_database_ahead_is_an_upgrade_to_be_finished(tmp_path, url):
    """A program on a newer database works, and is told that it is the older one."""
    prepared = await prepare(tmp_path / "gateway", database_url=url)
    await execute(url, "UPDATE alembic_version SET version_num = '9999'")
    finding = await found(prepared, "migrations")
    assert (finding.fatal, finding.remedy) == (False, "finish the upgrade: replace this program too")


async def test_rows_that_should_be_gone_are_counted(tmp_path, url):
    """A purge that is behind is seen by what it left, table by table."""
    prepared = await prepare(tmp_path / "gateway", database_url=url)
    async with open_store(store_url(prepared.settings)) as store:
        for number in range(3):
            await store.replay.use_once("k", str(number), expire_time=time.time() - 3_600)
    finding = await found(prepared, "purge")
    assert "replays (3)" in finding.detail
    assert not finding.fatal


@pytest.mark.parametrize(
    ("free", "size", "said", "fatal"),
    [
        (50 * 2**20, 0, "make room: without any", True),
        (GIB // 2, 0, "make room soon", False),
        (5 * GIB, 100 * GIB, "make room soon", False),
        (50 * GIB, 100 * GIB, "", True),
    ],
)
def test_room_on_the_disk(free, size, said, fatal):
    """Too little is a failure, little is a warning, measured by the file too."""
    finding = sqlite_space(free, size)
    assert finding.remedy.startswith(said)
    assert bool(finding.remedy) == bool(said)
    assert finding.fatal is fatal


def test_a_log_that_cannot_shrink():
    """A reader that does not end is suspected."""
    assert not sqlite_log(2**20).remedy
    assert "sqlite3 shell" in sqlite_log(2 * GIB).remedy


async def judged(tmp_path: Path, subject: str, *, options: StoreOptions | None = None, **changes) -> Finding:
    """What is said of a server that differs from a sound one in *changes*."""
    prepared = await prepare(tmp_path / "gateway", key_uri="")
    settings = changes.pop("settings", {})
    server = replace(SOUND, settings=SOUND.settings | settings, **changes)
    (finding,) = [
        each
        for each in postgresql_findings(server, prepared.settings, options or StoreOptions())
        if each.subject == subject
    ]
    return finding


@pytest.mark.parametrize("name", ["fsync", "full_page_writes", "synchronous_commit"])
async def test_what_a_crash_would_lose(tmp_path, name):
    """A setting that acknowledges what is not on disk is warned of by its name."""
    finding = await judged(tmp_path, "durability", settings={name: "off"})
    assert (finding.detail, finding.fatal) == (f"{name} = off", False)
    assert "turn it on" in finding.remedy
    assert not (await judged(tmp_path, "durability")).remedy


async def test_another_isolation_by_default(tmp_path):
    """Statements alone run under the default; stricter ones fail for nothing."""
    finding = await judged(tmp_path, "isolation", settings={"default_transaction_isolation": "serializable"})
    assert "read committed" in finding.remedy


async def test_connections_that_are_left(tmp_path):
    """Too few for one more replica are said, with the numbers."""
    finding = await judged(tmp_path, "connections", connections_used=95)
    assert finding.detail.startswith("2 of 100 are left")
    assert "max_connections" in finding.remedy
    assert not (await judged(tmp_path, "connections")).remedy


async def test_a_pooler_and_what_it_cannot_hold(tmp_path):
    """Prepared statements and notifications want a connection of their own."""
    assert not (await judged(tmp_path, "pooler")).remedy
    finding = await judged(tmp_path, "pooler", behind_pooler=True)
    assert "store.statement_cache = false" in finding.remedy
    without = StoreOptions(prepared_statements=False)
    finding = await judged(tmp_path, "pooler", behind_pooler=True, options=without)
    assert "store.notify = false" in finding.remedy
    plain = StoreOptions(prepared_statements=False, notifications=False)
    assert not (await judged(tmp_path, "pooler", behind_pooler=True, options=plain)).remedy


async def test_a_standby_is_no_database_to_serve_from(tmp_path):
    """It takes no writes."""
    assert "primary" in (await judged(tmp_path, "server", in_recovery=True)).remedy


async def test_a_real_server_is_read_rightly(postgres):
    """Settings, connections and the pooler's absence come from the server itself."""
    other = await asyncpg.connect(postgres)
    try:
        condition = await server_condition(postgres, StoreOptions())
    finally:
        await other.close()
    assert set(condition.settings) == set(SOUND.settings)
    assert condition.settings["max_connections"] == "100"
    assert condition.connections_used >= 1
    assert not condition.behind_pooler
    assert not condition.in_recovery


async def test_a_pooler_is_noticed_by_the_process_it_names(postgres, short_folder):
    """What stands between gives out a key of its own, whose process is not the one that answers."""
    folder = Path(postgres.rpartition("host=")[2])
    path = short_folder / ".s.PGSQL.5432"

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: bytes) -> None:
        while octets := await reader.read(65_536):
            at = octets.find(b"K\0\0\0\x0c") if key else -1  # BackendKeyData, 12 octets: process and secret.
            if at >= 0:
                octets = octets[: at + 5] + key + octets[at + 9 :]
            writer.write(octets)
            await writer.drain()
        writer.close()

    async def pool(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_unix_connection(folder / ".s.PGSQL.5432")
        await asyncio.gather(relay(reader, up_writer, b""), relay(up_reader, writer, b"\0\0\0\x07"))

    async with await asyncio.start_unix_server(pool, path):
        url = postgres.replace(f"host={folder}", f"host={short_folder}")
        assert (await server_condition(url, StoreOptions())).behind_pooler


async def test_secrets_that_others_can_read(tmp_path):
    """A file with a secret is named with the command that closes it."""
    prepared = await prepare(tmp_path / "gateway")
    key = prepared.settings.path(prepared.settings.server.private_key)
    key.chmod(0o600)
    assert not doctor._secret_files(prepared.settings)[0].remedy
    key.chmod(0o644)
    (finding,) = doctor._secret_files(prepared.settings)
    assert finding.remedy == f"chmod 600 {key}"
