"""A SQLite database file: how it is opened, and whether it is still the one at its path."""

import os
import sqlite3
from pathlib import Path
from urllib.parse import quote


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

    def identity(self) -> tuple[int, int]:
        """Device and inode of what is at the path now. Raises `FileNotFoundError`."""
        status = os.stat(self.path)  # noqa: PTH116  # A third of Path.stat's cost, once per commit.
        return status.st_dev, status.st_ino
