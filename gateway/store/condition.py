"""How a database does, for whoever looks after it: what is overdue, how large it is, how it is set up."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from gateway.store.database import Database, to_microseconds
from gateway.store.migrations.postgresql import connected
from gateway.store.options import StoreOptions
from gateway.store.purge import EXPIRING
from gateway.store.statement import Statement

MAX_COUNTED: Final = 10_000
"""Overdue rows of a table that are counted; who has more has enough of them."""


def _count_overdue(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> Statement:
    overdue = sa.select(table.c.expire_time).where(table.c.expire_time < sa.bindparam("before"), *conditions)
    bounded = overdue.limit(sa.literal_column(str(MAX_COUNTED))).subquery()
    return Statement(lambda _: sa.select(sa.func.count()).select_from(bounded), scan=True)


_OVERDUE: Final = {table.name: _count_overdue(table, *conditions) for table, conditions in EXPIRING.items()}
_SETTINGS: Final = (
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "default_transaction_isolation",
    "max_connections",
    "superuser_reserved_connections",
)
_SETTING: Final = "SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])"
_USED: Final = "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
_LARGEST: Final = (
    "SELECT relname, pg_total_relation_size(oid), greatest(reltuples, 0)::bigint FROM pg_class"
    " WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace ORDER BY 2 DESC LIMIT 3"
)


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table with its indexes, in bytes, and about how many rows it has."""

    name: str
    size: int
    rows: int


@dataclass(frozen=True, slots=True)
class ServerCondition:
    """A PostgreSQL server, as one of its clients sees it.

    - `settings`: those that matter here, as ``pg_settings`` spells them, as far as it knows them.
    - `in_recovery`: it is a standby, which takes no writes.
    - `connections_used`: by anybody, of ``max_connections``; this look's own left out.
    - `behind_pooler`: whom we talk to is not the process that answers.
    - `largest`: the three largest tables.
    """

    settings: dict[str, str]
    in_recovery: bool
    connections_used: int
    behind_pooler: bool
    largest: Sequence[TableSize]

    @property
    def connections_left(self) -> int:
        """How many more a program that is no superuser can open."""
        most, reserved = (int(self.settings.get(name, 0)) for name in _SETTINGS[-2:])
        return most - reserved - self.connections_used


async def overdue_rows(database: Database, *, now: float, grace: float) -> dict[str, int]:
    """Tables with rows that should have been purged *grace* seconds ago, and how many, to `MAX_COUNTED`.

    Raises `AvailabilityError`.
    """
    before = to_microseconds(now - grace)
    counted = {}
    for name, statement in _OVERDUE.items():
        rows = await database.fetch_all(statement, before=before)
        counted[name] = rows[0][0]
    return {name: count for name, count in counted.items() if count}


async def server_condition(dsn: str, options: StoreOptions) -> ServerCondition:
    """The server at *dsn*. Raises `StoreUrlError`, `MissingDriverError`, `AvailabilityError`."""
    async with connected(dsn, options) as connection:
        settings = {row[0]: row[1] for row in await connection.fetch(_SETTING, list(_SETTINGS))}
        largest = [TableSize(*row) for row in await connection.fetch(_LARGEST)]
        backend = await connection.fetchval("SELECT pg_backend_pid()")
        return ServerCondition(
            settings=settings,
            in_recovery=await connection.fetchval("SELECT pg_is_in_recovery()"),
            connections_used=await connection.fetchval(_USED) - 1,
            # A pooler gives out keys of its own for cancelling (https://www.pgbouncer.org/config.html).
            behind_pooler=connection.get_server_pid() != backend,
            largest=largest,
        )
