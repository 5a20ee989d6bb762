"""The turn to write to a SQLite file, among the gateway's processes on one machine.

SQLite has a lock of its own, and it decides. This one stands before it, for two reasons:

- SQLite lets waiters sleep up to 100 ms at a time, so that under load one process can starve for a second.
  Here they look again after half a millisecond.
- SQLite 3.7.0 to 3.51.2 can corrupt a file where one process resets the write-ahead log by a commit while
  another is checkpointing it (https://sqlite.org/wal.html#walresetbug). A process commits and checkpoints
  only in its turn, so that never happens.

The lock is advisory, on a file beside the database, and ends with the process that holds it.
"""

import fcntl
import os
import random
import time
from pathlib import Path

_PAUSE = 0.0005  # seconds


class SqliteLock:
    """One holder's way to the lock for the database at *path*. Used by one thread."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(f"{path.name}-lock")
        self._descriptor: int | None = None

    def acquire(self, *, timeout: float) -> None:
        """Take the turn. Raises `TimeoutError` after *timeout* seconds, `OSError` from the file system."""
        if self._descriptor is None:
            self._descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        deadline = time.monotonic() + timeout
        while True:
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise TimeoutError("another process does not let go of the database") from None
                time.sleep(_PAUSE * random.uniform(0.5, 1.5))  # noqa: S311  # Not a secret.
            else:
                return

    def release(self) -> None:
        """End the turn."""
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        """End the turn and forget the file."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)
