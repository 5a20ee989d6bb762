"""The turn to write: one holder at a time, a bounded wait, and an end with the process."""

import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import AvailabilityError
from gateway.store import StoreCause, StoreOptions, open_store
from gateway.store.sqlite_lock import SqliteLock
from tests.support.stores import NOW, REPOSITORY

_HOLD = (
    "import sys, pathlib; from gateway.store.sqlite_lock import SqliteLock;"
    "SqliteLock(pathlib.Path(sys.argv[1])).acquire(timeout=5); print('held', flush=True); sys.stdin.read()"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database would be."""
    return tmp_path / "state.db"


def hold(path: Path) -> "subprocess.Popen[bytes]":
    """Another process that holds the lock until it is killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    return process


def test_one_holds_it_at_a_time(path):
    """A second holder waits no longer than it says, and gets it once it is released or closed."""
    one, two = SqliteLock(path), SqliteLock(path)
    one.acquire(timeout=0)
    with pytest.raises(TimeoutError):
        two.acquire(timeout=0.01)
    one.release()
    two.acquire(timeout=0)
    two.close()
    one.acquire(timeout=0)
    one.close()


def test_a_killed_holder_holds_nothing(path):
    """The lock ends with the process."""
    with hold(path) as process:
        lock = SqliteLock(path)
        with pytest.raises(TimeoutError):
            lock.acquire(timeout=0.01)
        process.kill()
    lock.acquire(timeout=0)
    lock.close()


async def test_a_frozen_holder_delays_writes_for_the_busy_timeout(path):
    """Then they fail as store_busy; reads go on, and with the holder gone writes do."""
    url = f"sqlite:///{path}"
    async with open_store(url, options=StoreOptions(busy_timeout=0.05), migrate=True) as store:
        with hold(path) as process:
            with pytest.raises(AvailabilityError) as caught:
                await store.replay.use_once("k", "v", expire_time=NOW)
            assert caught.value.cause == StoreCause.BUSY
            assert await store.clients.get("backend") is None
            process.kill()
        assert await store.replay.use_once("k", "v", expire_time=NOW)
