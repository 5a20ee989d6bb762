"""A database that is read-only, full, gone, busy or corrupt: the reason is told, and nothing is lost."""

import asyncio
import shutil
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import asyncpg
import pytest

from gateway.errors import AvailabilityError, Reason
from gateway.store import Store, StoreCause, StoreOptions, open_store
from gateway.store.options import SqliteUrl, parse_url
from gateway.store.restored import NEVER_RESTORED, RestoreMarks
from gateway.store.sqlite_file import SqliteFile
from gateway.tokens.ports import Revocation
from tests.support.postgres import PostgresServer, running_postgres
from tests.support.stores import NOW, SettableClock, client, empty_database

IMPATIENT = StoreOptions(busy_timeout=0.2, connect_timeout=2, command_timeout=2)


async def refused(attempt: object, cause: StoreCause) -> AvailabilityError:
    """Await *attempt*, which must fail with STORE_UNAVAILABLE for *cause*, without SQL in its message."""
    with pytest.raises(AvailabilityError) as caught:
        await attempt  # type: ignore[misc]  # An awaitable.
    assert (caught.value.reason, caught.value.cause) == (Reason.STORE_UNAVAILABLE, cause)
    assert caught.value.message == "The gateway's database is not available."
    assert (caught.value.retry_after is None) == (cause is StoreCause.CORRUPT)
    return caught.value


async def use(store: Store, value: str) -> bool:
    """Use *value* once."""
    return await store.replay.use_once("fault", value, expire_time=NOW)


class TestSqlite:
    """Faults of a file."""

    @pytest.fixture
    def url(self, tmp_path: Path) -> Iterator[str]:
        """A new database."""
        with empty_database("sqlite", tmp_path) as url:
            yield url

    @pytest.fixture
    def path(self, url: str) -> Path:
        """Its file."""
        target = parse_url(url)
        assert isinstance(target, SqliteUrl)
        return target.path

    @pytest.fixture
    async def store(self, url: str) -> AsyncIterator[Store]:
        """A store that waits for locks for a fifth of a second only."""
        async with open_store(url, options=IMPATIENT, clock=SettableClock(), migrate=True) as store:
            yield store

    async def on_writer(self, store: Store, statement: str) -> None:
        """Run *statement* on the writing connection."""

        async def work(transaction):
            transaction._connection.execute(statement)

        await store.database.transaction(work)

    async def test_a_full_disk_is_told_and_survived(self, store):
        """Writes fail as store_full, reads go on; with room again writes do, and what failed was not done."""
        await store.clients.create(client(), None)
        await self.on_writer(store, "PRAGMA max_page_count = 1")
        number = 0
        try:
            while number < 10_000:
                await use(store, str(number))
                number += 1
        except AvailabilityError as error:
            assert error.cause == StoreCause.FULL  # noqa: PT017  # The loop finds when it fills up.
        await refused(store.clients.create(client("x" * 9000), None), StoreCause.FULL)
        assert await store.clients.get("backend") == client()
        await self.on_writer(store, "PRAGMA max_page_count = 1000000")
        assert await use(store, str(number))
        assert await store.clients.get("x" * 9000) is None
        await store.check_writable()

    async def test_a_read_only_file_is_told(self, url, store, monkeypatch):
        """Opened without the right to write: writes and the write check fail, reads answer."""
        await use(store, "a")
        await store.revocations.revoke(Revocation("t1", None, NOW, NOW))

        def open_read_only(file, *, busy_timeout, query_only=False):
            return sqlite3.connect(
                f"file:{file.path}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=busy_timeout,
            )

        monkeypatch.setattr(SqliteFile, "open", open_read_only)
        async with open_store(url, options=IMPATIENT) as read_only:
            await refused(use(read_only, "b"), StoreCause.READ_ONLY)
            await refused(read_only.check_writable(), StoreCause.READ_ONLY)
            await refused(read_only.clients.create(client(), None), StoreCause.READ_ONLY)
            assert await read_only.revocations.is_revoked("t1")
        assert await use(store, "b")
        assert await store.clients.get("backend") is None

    async def test_a_deleted_file_acknowledges_nothing(self, store, path):
        """SQLite would go on writing to the deleted file; the store notices before it answers."""
        shutil.rmtree(path.parent)
        await refused(use(store, "a"), StoreCause.GONE)
        await refused(store.check_writable(), StoreCause.GONE)
        await refused(store.clients.get("backend"), StoreCause.GONE)
        await refused(store.clients.list(after=None, limit=1), StoreCause.GONE)
        assert not path.exists()

    async def test_a_file_that_comes_back_is_used_again(self, store, path):
        """Moved away and back, as an unmounted disk: service resumes without a restart, with all data."""
        await store.clients.create(client(), None)
        away = path.parent.with_name("away")
        path.parent.rename(away)
        await refused(use(store, "a"), StoreCause.GONE)
        await refused(store.clients.get("backend"), StoreCause.GONE)
        away.rename(path.parent)
        assert await use(store, "a")
        assert not await use(store, "a")
        assert await store.clients.get("backend") == client()

    async def test_a_replaced_file_is_noticed(self, store, path):
        """Another file at the path: the write under way is refused, and the next goes to the new file."""
        copy = path.with_name("copy.db")
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        await use(store, "a")
        copy.replace(path)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
        await refused(use(store, "b"), StoreCause.GONE)
        assert await use(store, "b")

    async def test_a_file_that_is_no_database_is_told(self, url, store, path):
        """A start on garbage fails as store_corrupt, and the file stays as it is."""
        garbage = path.with_name("garbage.db")
        garbage.write_bytes(b"not a database " * 1000)
        await refused(open_store(f"sqlite:///{garbage}").__aenter__(), StoreCause.CORRUPT)
        assert garbage.read_bytes() == b"not a database " * 1000

    async def test_a_missing_table_is_told(self, store, path):
        """A schema that was changed from outside is store_corrupt to reads and writes."""
        with closing(sqlite3.connect(path)) as other:
            other.execute("DROP TABLE replays")
            other.execute("DROP TABLE revocations")
        await refused(use(store, "a"), StoreCause.CORRUPT)
        await refused(store.revocations.is_revoked("t1"), StoreCause.CORRUPT)

    async def test_a_document_that_is_none_is_told(self, store, path):
        """A client's row that cannot be read is an error, never a client or a missing one."""
        await store.clients.create(client(), None)
        with closing(sqlite3.connect(path)) as other:
            other.execute("UPDATE clients SET document = '{}'")
            other.commit()
        await refused(store.clients.get("backend"), StoreCause.CORRUPT)

    async def test_another_writer_delays_and_then_refuses(self, store, path):
        """While another process holds the write lock writes fail as store_busy, and reads go on."""
        await store.clients.create(client(), None)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            error = await refused(use(store, "a"), StoreCause.BUSY)
            assert error.retry_after is not None
            assert await store.clients.get("backend") == client()
            other.execute("ROLLBACK")
        assert await use(store, "a")

    async def test_a_reader_that_meets_a_lock_waits_off_the_loop(self, store, path):
        """An exclusive lock of another process: the read waits in a thread and answers when it is lifted."""
        await store.clients.create(client(), None)
        await store.database.aclose()
        with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
            other.execute("PRAGMA journal_mode = DELETE")
            other.execute("BEGIN EXCLUSIVE")
            async with locked_out(path) as reader:
                reading = asyncio.create_task(reader.clients.get("backend"))
                await asyncio.sleep(0)
                other.execute("COMMIT")
                assert await reading == client()


@asynccontextmanager
async def locked_out(path: Path) -> AsyncIterator[Store]:
    """A store whose checks at the start are not held up by a lock."""
    with pytest.MonkeyPatch.context() as patch:

        async def checked(*_arguments: object, **_options: object) -> None:
            pass

        async def usable(*_arguments: object, **_options: object) -> RestoreMarks:
            return NEVER_RESTORED

        patch.setattr("gateway.store.check_revision", checked)
        patch.setattr("gateway.store.require_usable", usable)
        async with open_store(f"sqlite:///{path}") as store:
            yield store


class TestPostgresql:
    """Faults of a server."""

    @pytest.fixture
    def server(self) -> Iterator[PostgresServer]:
        """A server of this test's own."""
        with running_postgres() as server:
            yield server

    @pytest.fixture
    async def store(self, server: PostgresServer) -> AsyncIterator[Store]:
        """A store on it that waits for locks for a fifth of a second only."""
        async with open_store(server.url(), options=IMPATIENT, clock=SettableClock(), migrate=True) as store:
            yield store

    @pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
    async def test_a_server_that_restarts_is_found_again(self, server, store, how):
        """Stopped, everything fails as store_gone; started again, all that was acknowledged is there."""
        await store.clients.create(client(), None)
        assert await use(store, "a")
        await asyncio.to_thread(server.stop, how)
        error = await refused(use(store, "b"), StoreCause.GONE)
        assert error.retry_after is not None
        await refused(store.clients.get("backend"), StoreCause.GONE)
        await refused(store.check_writable(), StoreCause.GONE)
        await asyncio.to_thread(server.start)
        assert await store.clients.get("backend") == client()
        assert not await use(store, "a")
        assert await use(store, "b")

    async def test_a_read_does_not_notice_a_cut_connection(self, server, store):
        """Connections cut by an administrator are replaced within the call that finds out."""
        await store.clients.create(client(), None)
        other = await asyncpg.connect(server.url())
        try:
            for _ in range(3):
                await other.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
                )
                assert await store.clients.get("backend") == client()
        finally:
            await other.close()

    async def test_a_read_only_server_is_told(self, server, store):
        """Writes and the write check fail as store_read_only, reads answer; writable again, writes do."""
        await store.clients.create(client(), None)
        other = await asyncpg.connect(server.url())
        try:
            await other.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            await other.execute("SELECT pg_reload_conf()")
            await self.shows(store, "on")
            await refused(use(store, "a"), StoreCause.READ_ONLY)
            await refused(store.check_writable(), StoreCause.READ_ONLY)
            await refused(store.clients.create(client("other"), None), StoreCause.READ_ONLY)
            assert await store.clients.get("backend") == client()
            await other.execute("ALTER SYSTEM RESET default_transaction_read_only")
            await other.execute("SELECT pg_reload_conf()")
            await self.shows(store, "off")
        finally:
            await other.close()
        assert await use(store, "a")
        assert await store.clients.get("other") is None

    async def shows(self, store: Store, value: str) -> None:
        """Wait until the store's sessions have taken up the setting."""
        connection = await store.database._pool.acquire()
        async with asyncio.timeout(5):
            # The server tells nobody when it has reloaded.
            while await connection.fetchval("SHOW default_transaction_read_only") != value:  # noqa: ASYNC110  # See above.
                await asyncio.sleep(0.01)
        store.database._pool.release(connection)

    async def test_a_lock_that_is_not_released_is_told(self, server, store):
        """A frozen replica inside a transaction delays others for the lock timeout, no longer."""
        other = await asyncpg.connect(server.url())
        try:
            async with other.transaction():
                await other.execute("SELECT * FROM counters WHERE name = 'revocations' FOR UPDATE")
                await refused(store.revocations.revoke(Revocation("t1", None, NOW, NOW)), StoreCause.BUSY)
                assert not await store.revocations.is_revoked("t1")
        finally:
            await other.close()
        assert await store.revocations.revoke(Revocation("t1", None, NOW, NOW))

    async def test_a_missing_table_is_told(self, server, store):
        """A schema that was changed from outside is store_corrupt to reads and writes."""
        other = await asyncpg.connect(server.url())
        try:
            await other.execute("DROP TABLE replays, revocations")
        finally:
            await other.close()
        await refused(use(store, "a"), StoreCause.CORRUPT)
        await refused(store.revocations.is_revoked("t1"), StoreCause.CORRUPT)

    async def test_a_server_that_cannot_be_reached_stops_the_start(self, tmp_path):
        """The start fails as store_gone."""
        url = f"postgresql://postgres@/postgres?host={tmp_path}"
        await refused(open_store(url, options=IMPATIENT).__aenter__(), StoreCause.GONE)
