"""A SQLite database file: how it is opened, and whether it is still the one at its path."""

import os
import sqlite3
import stat
from pathlib import Path
from urllib.parse import quote

from gateway.store.failures import MissingDriverError

OLDEST_SQLITE = (3, 35, 0)
"""The first version with RETURNING."""


def require_sqlite() -> None:
    """Raise `MissingDriverError` where Python was built with a SQLite that is too old."""
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        needed = ".".join(map(str, OLDEST_SQLITE))
        raise MissingDriverError(
            f"SQLite {needed} or later is needed; this Python has {sqlite3.sqlite_version}."
        )


class SqliteFile:
    """The file at *path*, which must exist when it is opened: serving never creates one."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def open(self, *, busy_timeout: float, query_only: bool = False) -> sqlite3.Connection:
        """A connection in autocommit mode. *busy_timeout*: seconds to wait for another's lock.

        Raises `sqlite3.OperationalError` (SQLITE_CANTOPEN) where there is no file.
        """
        connection = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode=rw",
            uri=True,
            timeout=busy_timeout,
            isolation_level=None,
            # Each connection has one user at a time; which thread that is, its owner decides.
            check_same_thread=False,
            cached_statements=256,
        )
        try:
            # Every commit reaches the disk before it is acknowledged.
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA trusted_schema = OFF")
            # A burst of writes leaves a write-ahead log no larger than this behind, in bytes.
            connection.execute("PRAGMA journal_size_limit = 67108864")
            if query_only:
                connection.execute("PRAGMA query_only = ON")
        except BaseException:
            connection.close()
            raise
        return connection

    def is_exposed(self) -> bool:
        """Whether anybody but the owner may read or write the file; false where it does not exist."""
        try:
            return bool(stat.S_IMODE(self.path.stat().st_mode) & 0o077)
        except FileNotFoundError:
            return False

    def identity(self) -> tuple[int, int]:
        """Device and inode of what is at the path now. Raises `FileNotFoundError`."""
        status = os.stat(self.path)  # noqa: PTH116  # A third of Path.stat's cost, once per commit.
        return status.st_dev, status.st_ino
