"""Numbers that grow with each change, and the locks that put changes in order.

A counter's row stays locked from `lock` or `advance` to the end of the transaction. Replicas that change what
it counts therefore take turns, numbers are in the order of commits, and whoever reads a number also sees
every change up to it. Take the counter before any other row, so that no two transactions wait for each other.
"""

import sqlalchemy as sa

from gateway.store.database import Database, Transaction
from gateway.store.failures import StoreCause, unavailable
from gateway.store.statement import Statement
from gateway.store.tables import counters

CLIENTS = "clients"
KEYS = "keys"
REVOCATIONS = "revocations"
WRITE_CHECKS = "write_checks"
TOLD = frozenset({KEYS, REVOCATIONS})
"""Those of whose changes other processes are told with the commit."""

_NAMED = counters.c.name == sa.bindparam("counter")
_READ = Statement(lambda _: sa.select(counters.c.value).where(_NAMED))
# SQLite has no row locks and needs none: its transactions that write exclude each other from the start.
_LOCK = Statement(lambda _: sa.select(counters.c.value).where(_NAMED).with_for_update())
_ADVANCE = Statement(
    lambda _: (
        sa.update(counters)
        .where(_NAMED)
        .values(value=counters.c.value + sa.literal_column("1"))
        .returning(counters.c.value)
    )
)


async def read(database: Database, counter: str) -> int:
    """The number now."""
    return _value(await database.fetch_one(_READ, counter=counter))


async def lock(transaction: Transaction, counter: str) -> None:
    """Exclude every other transaction that locks or advances *counter*."""
    _value(await transaction.fetch_one(_LOCK, counter=counter))


async def advance(transaction: Transaction, counter: str) -> int:
    """Lock *counter* and return its next number."""
    if counter in TOLD:
        transaction.notify(counter)
    return _value(await transaction.fetch_one(_ADVANCE, counter=counter))


def _value(row: object) -> int:
    if row is None:
        raise unavailable(StoreCause.CORRUPT, LookupError("a counter is missing"))
    value: int = row[0]  # type: ignore[index]  # A Row.
    return value
