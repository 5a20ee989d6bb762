"""What is particular to reading a SQLite file."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.errors import AvailabilityError, Reason
from gateway.store import MissingDriverError, Store, StoreOptions, exposed_file, open_store
from tests.support.stores import client


@pytest.fixture
def url(tmp_path: Path) -> str:
    """Where the database will be."""
    return f"sqlite:///{tmp_path}/state.db"


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """A store in which two scans may wait or run."""
    async with open_store(url, options=StoreOptions(scan_queue_size=2), migrate=True) as store:
        yield store


async def test_more_scans_than_may_wait_are_refused(store):
    """Reads of many rows are bounded, and a point read is not held up by them."""
    await store.clients.create(client(), None)
    scans = [asyncio.create_task(store.clients.list(after=None, limit=10)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(AvailabilityError) as caught:
        await store.clients.list(after=None, limit=10)
    assert caught.value.reason is Reason.OVERLOADED
    assert await store.clients.get("backend") == client()
    for page in await asyncio.gather(*scans):
        assert page.clients == (client(),)


async def test_reads_cannot_write(store):
    """The connection that reads refuses to change anything, whatever the statement."""
    await store.clients.get("backend")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        store.database._reader.execute("DELETE FROM clients")


async def test_a_file_that_others_may_open_is_reported(url, store, tmp_path):
    """For a warning: not as it is made, but once its mode was widened; a missing one and a server are not."""
    assert exposed_file(url) is None
    (tmp_path / "state.db").chmod(0o640)
    assert exposed_file(url) == tmp_path / "state.db"
    assert exposed_file(f"sqlite:///{tmp_path}/other.db") is None
    assert exposed_file("postgresql://host/name") is None


async def test_a_sqlite_that_is_too_old_stops_the_start(url, monkeypatch):
    """Python is told which version it was built with, and which is needed."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    with pytest.raises(MissingDriverError, match=r"3\.35\.0 or later"):
        await open_store(url, migrate=True).__aenter__()


async def test_a_parsed_client_is_kept_within_the_bound(url):
    """The same document is parsed once; the least recently used is forgotten first."""
    async with open_store(url, options=StoreOptions(client_cache_size=2), migrate=True) as store:
        for name in ("a", "b", "c"):
            await store.clients.create(client(name), None)
        first = await store.clients.get("a")
        assert await store.clients.get("a") is first
        await store.clients.get("b")
        await store.clients.get("a")
        await store.clients.get("c")
        assert await store.clients.get("a") is first
        assert list(store.clients._parsed) == ["c", "a"]
