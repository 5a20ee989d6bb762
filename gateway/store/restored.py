"""What a database that was restored from a backup must still refuse.

A restored database has forgotten what was used and revoked after its backup. It cannot get that knowledge
back, so it goes by time: what can have been used or issued before the restore counts as used or revoked.
`gateway.store.restoring` writes the marks; they are read once, at the start, since nobody serves meanwhile.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from gateway.errors import AvailabilityError
from gateway.store.database import Database, to_seconds
from gateway.store.failures import RestoreNeededError, StoreCause, unavailable
from gateway.store.replica_tables import database_origin
from gateway.store.statement import SqlDialect, Statement
from gateway.store.tables import counters

BACKUP_TIME: Final = "backup_time"
RESTORE_TIME: Final = "restore_time"
ISSUED_BEFORE: Final = "issued_before"
CRL_NUMBER: Final = "crl_number"
LONGEST_USE: Final = 3_660.0
"""Seconds between the first moment and the last at which something that works once may be used, where
`StoreOptions.single_use_lifetimes` does not say."""

_MARKS = (BACKUP_TIME, RESTORE_TIME, ISSUED_BEFORE, CRL_NUMBER)
_READ = Statement(
    lambda _: sa.select(counters.c.name, counters.c.value).where(
        sa.or_(*(counters.c.name == sa.literal_column(f"'{name}'") for name in _MARKS))
    )
)
_ORIGIN = Statement(lambda _: sa.select(database_origin.c.identity))


def _claim_origin(dialect: SqlDialect) -> sa.Executable:
    insert = dialect.insert(database_origin).values(name="origin", identity=sa.bindparam("identity"))
    statement: sa.Executable = insert.on_conflict_do_nothing().returning(database_origin.c.name)
    return statement


_CLAIM_ORIGIN = Statement(_claim_origin)
_IDENTITY = Statement(
    lambda _: sa.select(
        sa.literal_column(
            "(SELECT system_identifier::text FROM pg_control_system()) || '/' ||"
            " (SELECT oid::text FROM pg_database WHERE datname = current_database())"
        )
    )
)


@dataclass(frozen=True, slots=True)
class RestoreMarks:
    """Times are seconds since the epoch; 0 where the database was never restored.

    - `backup_time`: when this copy was made; set in copies only.
    - `restore_time`: what may have been used before it, counts as used.
    - `issued_before`: tokens issued up to it are revoked.
    - `crl_number`: revocation lists have higher numbers.
    """

    backup_time: float = 0.0
    restore_time: float = 0.0
    issued_before: float = 0.0
    crl_number: int = 0

    def counts_as_used(self, kind: str, expire_time: float, lifetimes: Mapping[str, float]) -> bool:
        """Whether something of *kind* that expires at *expire_time* can have been used before the restore."""
        if not self.restore_time:
            return False
        return expire_time <= self.restore_time + lifetimes.get(kind, LONGEST_USE)


NEVER_RESTORED: Final = RestoreMarks()


async def read_marks(database: Database) -> RestoreMarks:
    """The marks of *database*. Raises `AvailabilityError`."""
    found: dict[str, int] = {row[0]: row[1] for row in await database.fetch_all(_READ)}
    if set(found) != set(_MARKS):
        raise unavailable(StoreCause.CORRUPT, LookupError("the marks of a restore are missing"))
    return RestoreMarks(
        backup_time=to_seconds(found[BACKUP_TIME]),
        restore_time=to_seconds(found[RESTORE_TIME]),
        issued_before=to_seconds(found[ISSUED_BEFORE]),
        crl_number=found[CRL_NUMBER],
    )


async def identity(database: Database) -> str:
    """Which PostgreSQL database this is; empty where an engine that speaks its protocol does not tell."""
    try:
        row = await database.fetch_one(_IDENTITY)
    except AvailabilityError as error:
        if error.cause in {
            StoreCause.CORRUPT,
            StoreCause.READ_ONLY,
        }:  # No such function, or not for this user.
            return ""
        raise
    return "" if row is None else str(row[0])


async def require_usable(database: Database, *, has_identity: bool) -> RestoreMarks:
    """The marks of *database*, which is no copy that waits to be restored.

    *has_identity*: it is PostgreSQL, where a dump that was loaded into another database is noticed.
    Raises `RestoreNeededError`, `AvailabilityError`.
    """
    marks = await read_marks(database)
    if marks.backup_time > marks.restore_time:
        raise RestoreNeededError(
            "This database is a backup. What was revoked or used after it was made is unknown to it: "
            "run `countersign restore`, see docs/upgrades.md."
        )
    if has_identity:
        await _require_origin(database)
    return marks


async def _require_origin(database: Database) -> None:
    here = await identity(database)
    if not here:
        return
    row = await database.fetch_one(_ORIGIN)
    if row is None:
        try:
            await database.write(_CLAIM_ORIGIN, identity=here)
        except AvailabilityError as error:
            if error.cause != StoreCause.READ_ONLY:
                raise
        return
    if row[0] != here:
        raise RestoreNeededError(
            "This PostgreSQL database is a copy of another: loaded from a dump, or upgraded into a new "
            "cluster. Run `countersign restore` after a loss, or `countersign restore --complete` where "
            "nothing was written to the original after the copy was made; see docs/upgrades.md."
        )
