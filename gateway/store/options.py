"""How the store behaves, and which database a URL names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

from gateway.store.failures import StoreUrlError


@dataclass(frozen=True, slots=True)
class StoreOptions:
    """All durations are seconds.

    - `busy_timeout`: how long a SQLite write waits for another process's turn and lock, and a PostgreSQL
      transaction for another's row lock.
    - `write_timeout`: how long a caller waits for a SQLite write, from the queue to the commit.
    - `write_queue_size`: SQLite writes that may wait; one more is refused with ``OVERLOADED``.
    - `scan_queue_size`: SQLite reads of many rows that may wait or run; one more is refused likewise.
    - `write_batch_size`: SQLite writes that may share one commit.
    - `pool_max_size`: PostgreSQL connections of this process.
    - `pool_queue_size`: calls that may wait for a PostgreSQL connection.
    - `connect_timeout`, `command_timeout`: PostgreSQL, per connection attempt and per statement; the second
      also bounds the wait for a free connection.
    - `notifications`: whether PostgreSQL is asked to tell other processes of changes (LISTEN, NOTIFY); False
      for a database that cannot.
    - `prepared_statements`: False behind a pooler that gives each transaction another server connection.
    - `client_cache_size`: parsed clients kept.
    - `idempotency_lifetime`: how long a `request_id` is remembered.
    - `single_use_lifetimes`: by kind (`SqlReplayRepository`), how long something that works once can be used,
      skew included; after a restore nothing is accepted that may have been used before it.
    - `purge_interval`, `purge_batch_size`: how often expired rows are deleted, how many per transaction.
    - `purge_grace`: how long a row outlives its expiry, for replicas whose clock is behind.
    """

    busy_timeout: float = 2.0
    write_timeout: float = 5.0
    write_queue_size: int = 4096
    scan_queue_size: int = 64
    write_batch_size: int = 256
    pool_max_size: int = 8
    pool_queue_size: int = 4096
    connect_timeout: float = 5.0
    command_timeout: float = 5.0
    notifications: bool = True
    prepared_statements: bool = True
    client_cache_size: int = 4096
    idempotency_lifetime: float = 24 * 3600.0
    purge_interval: float = 60.0
    purge_batch_size: int = 500
    purge_grace: float = 300.0
    single_use_lifetimes: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SqliteUrl:
    """A database file; absolute."""

    path: Path


@dataclass(frozen=True, slots=True)
class PostgresqlUrl:
    """A server, as libpq spells it. May hold a password, so it is not printed."""

    dsn: str

    def __repr__(self) -> str:
        return "PostgresqlUrl(...)"


DatabaseUrl: TypeAlias = SqliteUrl | PostgresqlUrl

_SQLITE = "sqlite:///"


def parse_url(url: str) -> DatabaseUrl:
    """``sqlite:///relative``, ``sqlite:////absolute`` or ``postgresql://user@host/database?sslmode=…``.

    Raises `StoreUrlError`.
    """
    if url.startswith(_SQLITE):
        path = url.removeprefix(_SQLITE)
        if not path or path.endswith("/") or path == ":memory:" or "?" in path or "\0" in path:
            raise StoreUrlError(
                "The database URL must name a file after sqlite:///, without options; "
                "a database in memory cannot be shared by a reader and a writer."
            )
        return SqliteUrl(Path(path).absolute())
    scheme = urlsplit(url).scheme
    if scheme in {"postgresql", "postgres"}:
        return PostgresqlUrl(url)
    raise StoreUrlError(
        f"The database URL begins with {scheme or 'no scheme'!r}; use sqlite:///FILE or postgresql://HOST/NAME."
    )
