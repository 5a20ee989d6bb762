"""Background work that one process at a time does, for all: whoever has its lease.

The database decides, in one statement, by its own clock: clocks that differ give no two processes the lease.
A holder that dies keeps it until it is over, and then another takes it. One that was frozen may wake up and
believe for a moment that it still has it, so what is done under a lease must do no harm when done twice.
"""

from typing import Final

import sqlalchemy as sa

from gateway.store.database import Database
from gateway.store.lease_tables import leases
from gateway.store.replicas import database_time
from gateway.store.statement import SqlDialect, Statement

PURGE: Final = "purge"
"""Deleting what has expired."""


def _take(dialect: SqlDialect) -> sa.Executable:
    now = database_time(dialect)
    insert = dialect.insert(leases).values(
        work=sa.bindparam("work"),
        holder=sa.bindparam("holder"),
        until_time=now + sa.bindparam("duration", type_=sa.BigInteger),
    )
    statement: sa.Executable = insert.on_conflict_do_update(
        index_elements=[leases.c.work],
        set_={name: insert.excluded[name] for name in ("holder", "until_time")},
        where=sa.or_(leases.c.until_time <= now, leases.c.holder == insert.excluded.holder),
    ).returning(leases.c.until_time)
    return statement


_TAKE = Statement(_take)
_RELEASE = Statement(
    lambda _: (
        sa.delete(leases)
        .where(leases.c.work == sa.bindparam("name"), leases.c.holder == sa.bindparam("by"))
        .returning(leases.c.work)
    )
)


class Leases:
    """Those that this process asks for, as *holder*."""

    def __init__(self, database: Database, holder: str) -> None:
        self._database = database
        self._holder = holder

    async def take(self, work: str, *, seconds: float) -> bool:
        """Have the lease of *work* for *seconds* from now: if it is free, over, or this process's already.

        Raises `AvailabilityError`.
        """
        row = await self._database.write(_TAKE, work=work, holder=self._holder, duration=round(seconds * 1e6))
        return row is not None

    async def release(self, work: str) -> None:
        """Give it up where this process has it. Raises `AvailabilityError`."""
        await self._database.write(_RELEASE, name=work, by=self._holder)
