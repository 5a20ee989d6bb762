"""Driver errors become stable causes; what is our own fault does not hide behind them."""

import errno
import sqlite3

import asyncpg
import pytest

from gateway.errors import AvailabilityError, RequestError
from gateway.store.failures import from_postgresql, from_sqlite


def sqlite_error(code: int) -> sqlite3.OperationalError:
    """An error as sqlite3 raises it."""
    error = sqlite3.OperationalError("INSERT INTO secret failed")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (sqlite3.SQLITE_BUSY, "store_busy"),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, "store_busy"),
        (sqlite3.SQLITE_LOCKED, "store_busy"),
        (sqlite3.SQLITE_READONLY, "store_read_only"),
        (sqlite3.SQLITE_READONLY_DIRECTORY, "store_read_only"),
        (sqlite3.SQLITE_READONLY_DBMOVED, "store_gone"),
        (sqlite3.SQLITE_FULL, "store_full"),
        (sqlite3.SQLITE_CANTOPEN, "store_gone"),
        (sqlite3.SQLITE_IOERR_FSYNC, "store_gone"),
        (sqlite3.SQLITE_CORRUPT, "store_corrupt"),
        (sqlite3.SQLITE_NOTADB, "store_corrupt"),
        (sqlite3.SQLITE_ERROR, "store_corrupt"),
    ],
)
def test_sqlite_codes_have_causes(code, cause, caplog):
    """Extended codes follow their primary one; the driver's words are logged and not told."""
    raised = from_sqlite(sqlite_error(code))
    assert isinstance(raised, AvailabilityError)
    assert raised.cause == cause
    assert "secret" not in raised.message
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(errno.EROFS, "secret"), "store_read_only"),
        (PermissionError(errno.EACCES, "secret"), "store_read_only"),
        (OSError(errno.ENOSPC, "secret"), "store_full"),
        (FileNotFoundError(errno.ENOENT, "secret"), "store_gone"),
        (TimeoutError("secret"), "store_busy"),
    ],
)
def test_errors_of_the_file_system_have_causes(error, cause):
    """The lock's file and the database's own can fail where SQLite is not asked."""
    raised = from_sqlite(error)
    assert isinstance(raised, AvailabilityError)
    assert raised.cause == cause


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (asyncpg.ReadOnlySQLTransactionError("secret"), "store_read_only"),
        (asyncpg.InsufficientPrivilegeError("secret"), "store_read_only"),
        (asyncpg.DiskFullError("secret"), "store_full"),
        (asyncpg.TooManyConnectionsError("secret"), "store_busy"),
        (asyncpg.LockNotAvailableError("secret"), "store_busy"),
        (asyncpg.DeadlockDetectedError("secret"), "store_busy"),
        (asyncpg.QueryCanceledError("secret"), "store_busy"),
        (TimeoutError("secret"), "store_busy"),
        (asyncpg.AdminShutdownError("secret"), "store_gone"),
        (asyncpg.CannotConnectNowError("secret"), "store_gone"),
        (asyncpg.ConnectionDoesNotExistError("secret"), "store_gone"),
        (asyncpg.InvalidPasswordError("secret"), "store_gone"),
        (asyncpg.InvalidCatalogNameError("secret"), "store_gone"),
        (asyncpg.InterfaceError("secret"), "store_gone"),
        (ConnectionRefusedError("secret"), "store_gone"),
        (asyncpg.UndefinedTableError("secret"), "store_corrupt"),
        (asyncpg.DataCorruptedError("secret"), "store_corrupt"),
    ],
)
def test_postgresql_states_have_causes(error, cause, caplog):
    """By SQLSTATE; the server's words are logged and not told."""
    raised = from_postgresql(error, asyncpg)
    assert isinstance(raised, AvailabilityError)
    assert raised.cause == cause
    assert "secret" not in raised.message
    assert "secret" in caplog.text


@pytest.mark.parametrize(
    "error",
    [asyncpg.DataError(), asyncpg.CharacterNotInRepertoireError(), asyncpg.ProgramLimitExceededError()],
)
def test_what_cannot_be_stored_is_the_requests_fault(error):
    """Not the database's: trying again cannot help."""
    assert isinstance(from_postgresql(error, asyncpg), RequestError)


def test_faults_of_ours_stay_what_they_are():
    """A broken constraint or a wrong call is a defect to be seen, not an unavailable store."""
    for error in (sqlite3.ProgrammingError("wrong"), LookupError("wrong")):
        assert from_sqlite(error) is error
    violation = sqlite3.IntegrityError("wrong")
    violation.sqlite_errorcode = sqlite3.SQLITE_CONSTRAINT_UNIQUE
    assert from_sqlite(violation) is violation
    for error in (asyncpg.UniqueViolationError("wrong"), LookupError("wrong")):
        assert from_postgresql(error, asyncpg) is error
