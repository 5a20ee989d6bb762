"""What goes wrong in a database, as a caller is told and as an operator is told.

    StoreError                        at start: wrong configuration or schema; the message says what to do
    ├── StoreUrlError                 the database's URL is not one that is understood
    ├── MissingDriverError            the driver of that database is not installed
    ├── SchemaRevisionError           the database is not at a revision that this program works on
    └── RestoreNeededError            the database is a copy that was not made safe to serve

While serving, the store raises `gateway.errors.AvailabilityError` with ``STORE_UNAVAILABLE`` and one of
`StoreCause` as its cause. SQL, paths and values never reach a message; the driver's error goes to the log.
"""

import errno
import logging
import sqlite3
from datetime import timedelta
from enum import StrEnum
from typing import Any, NoReturn

from gateway.errors import AvailabilityError, Reason, RequestError

logger = logging.getLogger(__name__)


class StoreError(Exception):
    """Root of what stops a start."""


class StoreUrlError(StoreError):
    """The database's URL is not one that is understood."""


class MissingDriverError(StoreError):
    """The driver of that database is not installed."""


class SchemaRevisionError(StoreError):
    """The database is not at the revision that this program needs."""


class RestoreNeededError(StoreError):
    """The database is a copy of another, and `countersign restore` was not run on it."""


class StoreCause(StrEnum):
    """Why the store cannot answer or write, as `AvailabilityError.cause`."""

    READ_ONLY = "store_read_only"
    FULL = "store_full"
    GONE = "store_gone"
    BUSY = "store_busy"
    CORRUPT = "store_corrupt"
    LEFT_BEHIND = "store_left_behind"


_RETRY_AFTER: dict[StoreCause, timedelta | None] = {
    StoreCause.READ_ONLY: timedelta(seconds=5),
    StoreCause.FULL: timedelta(seconds=30),
    StoreCause.GONE: timedelta(seconds=1),
    StoreCause.BUSY: timedelta(milliseconds=200),
    StoreCause.CORRUPT: None,  # Waiting repairs nothing.
    StoreCause.LEFT_BEHIND: None,
}


def unavailable(cause: StoreCause, error: BaseException | None = None) -> AvailabilityError:
    """The error a caller sees for *cause*; *error*, the driver's, is logged here and only here."""
    if error is not None:
        logger.error("The database failed (%s): %s: %s", cause, type(error).__name__, error)
    return AvailabilityError(
        Reason.STORE_UNAVAILABLE,
        "The gateway's database is not available.",
        retry_after=_RETRY_AFTER[cause],
        cause=cause,
    )


def overloaded() -> AvailabilityError:
    """More work waits for the database than is allowed to wait."""
    return AvailabilityError(
        Reason.OVERLOADED,
        "Too many requests wait for the gateway's database.",
        retry_after=timedelta(milliseconds=500),
        cause="store_queue_full",
    )


def unstorable() -> RequestError:
    """A value that no database can hold: text with NUL or a lone surrogate, or too long for an index."""
    return RequestError(Reason.INVALID_REQUEST, "A value of the request cannot be stored.")


_SQLITE_CAUSES: dict[int, StoreCause] = {
    sqlite3.SQLITE_BUSY: StoreCause.BUSY,
    sqlite3.SQLITE_LOCKED: StoreCause.BUSY,
    sqlite3.SQLITE_PROTOCOL: StoreCause.BUSY,
    sqlite3.SQLITE_INTERRUPT: StoreCause.BUSY,
    sqlite3.SQLITE_NOMEM: StoreCause.BUSY,
    sqlite3.SQLITE_READONLY: StoreCause.READ_ONLY,
    sqlite3.SQLITE_PERM: StoreCause.READ_ONLY,
    sqlite3.SQLITE_FULL: StoreCause.FULL,
    sqlite3.SQLITE_IOERR: StoreCause.GONE,
    sqlite3.SQLITE_CANTOPEN: StoreCause.GONE,
    sqlite3.SQLITE_CORRUPT: StoreCause.CORRUPT,
    sqlite3.SQLITE_NOTADB: StoreCause.CORRUPT,
    sqlite3.SQLITE_SCHEMA: StoreCause.CORRUPT,
    # A statement that this program has tested does not compile: a table or a column is missing.
    sqlite3.SQLITE_ERROR: StoreCause.CORRUPT,
}


_ERRNO_CAUSES: dict[int, StoreCause] = {
    errno.EACCES: StoreCause.READ_ONLY,
    errno.EPERM: StoreCause.READ_ONLY,
    errno.EROFS: StoreCause.READ_ONLY,
    errno.ENOSPC: StoreCause.FULL,
    errno.EDQUOT: StoreCause.FULL,
}


def sqlite_cause(error: BaseException) -> StoreCause | None:
    """The cause behind an error of `sqlite3` or of the operating system; None where it is a fault of ours."""
    if isinstance(error, TimeoutError):
        return StoreCause.BUSY
    if isinstance(error, OSError):
        return _ERRNO_CAUSES.get(error.errno or 0, StoreCause.GONE)
    if not isinstance(error, sqlite3.DatabaseError):
        return None
    code: int | None = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return None
    if code == sqlite3.SQLITE_READONLY_DBMOVED:
        return StoreCause.GONE
    return _SQLITE_CAUSES.get(code & 0xFF)


def raise_instead(raised: BaseException, error: BaseException) -> NoReturn:
    """Raise *raised* because of *error*; an error that stands for itself is not its own cause."""
    if raised is error:
        raise error
    raise raised from error


def from_sqlite(error: BaseException) -> BaseException:
    """What to raise for *error*; *error* itself where it is not the database's doing."""
    if isinstance(error, UnicodeEncodeError | OverflowError):
        return unstorable()
    cause = sqlite_cause(error)
    return error if cause is None else unavailable(cause, error)


# By SQLSTATE, the longest prefix first: https://www.postgresql.org/docs/current/errcodes-appendix.html
_POSTGRESQL_CAUSES: tuple[tuple[str, StoreCause], ...] = (
    ("25006", StoreCause.READ_ONLY),  # read_only_sql_transaction
    ("42501", StoreCause.READ_ONLY),  # insufficient_privilege
    ("53100", StoreCause.FULL),  # disk_full
    ("57014", StoreCause.BUSY),  # query_canceled
    ("55P03", StoreCause.BUSY),  # lock_not_available
    ("25P03", StoreCause.BUSY),  # idle_in_transaction_session_timeout
    ("08", StoreCause.GONE),  # connection_exception
    ("28", StoreCause.GONE),  # invalid_authorization_specification
    ("3D", StoreCause.GONE),  # invalid_catalog_name
    ("57P", StoreCause.GONE),  # admin_shutdown, crash_shutdown, cannot_connect_now, database_dropped
    ("58", StoreCause.GONE),  # system_error
    ("40", StoreCause.BUSY),  # transaction_rollback: serialization failure, deadlock
    ("53", StoreCause.BUSY),  # insufficient_resources
    ("XX", StoreCause.CORRUPT),  # internal_error, data_corrupted, index_corrupted
    ("42", StoreCause.CORRUPT),  # undefined_table, undefined_column
)
_UNSTORABLE_SQLSTATES = ("22", "54000")  # data_exception; program_limit_exceeded: an index row too long


def from_postgresql(error: BaseException, asyncpg: Any) -> BaseException:
    """What to raise for *error* of the module *asyncpg*; *error* itself where it is a fault of ours."""
    if isinstance(error, TimeoutError):
        return unavailable(StoreCause.BUSY, error)
    if isinstance(error, asyncpg.PostgresError):
        state = str(error.sqlstate or "")
        if state.startswith(_UNSTORABLE_SQLSTATES):
            return unstorable()
        causes = (cause for prefix, cause in _POSTGRESQL_CAUSES if state.startswith(prefix))
        found = next(causes, None)
        return error if found is None else unavailable(found, error)
    # asyncpg reports a connection that closed under it as an InterfaceError or an InternalClientError.
    if isinstance(error, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError):
        return unavailable(StoreCause.GONE, error)
    return error
