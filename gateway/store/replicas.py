"""Who uses the database: each process announces itself, and shows that it lives.

Migrations ask it before they leave older programs behind, `countersign doctor` shows it, and the sign of
life tells the process itself that it was left behind. Whether a process lives is judged by the database's
clock alone, so that clocks that differ mislead nobody; by how much they differ is kept.
"""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import sqlalchemy as sa

from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.store.database import Database, Transaction, to_microseconds, to_seconds
from gateway.store.failures import SchemaRevisionError, StoreCause, unavailable
from gateway.store.migrations.schema import ALIVE_MICROSECONDS
from gateway.store.replica_tables import replicas
from gateway.store.statement import SqlDialect, Statement
from gateway.store.tables import counters

logger = logging.getLogger(__name__)

BEAT: Final = 10.0
"""Seconds between two signs of life."""
OLDEST_PROGRAM: Final = "oldest_program"
_FORGET_MICROSECONDS: Final = 24 * 3_600_000_000


def database_time(dialect: SqlDialect) -> sa.ColumnElement[int]:
    """The database's clock in microseconds since the epoch; on SQLite, the machine's, to about 50 us."""
    if dialect.name == "sqlite":
        return sa.literal_column(
            "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)", sa.BigInteger
        )
    return sa.literal_column("CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint)", sa.BigInteger)


def _after(dialect: SqlDialect, microseconds: int) -> sa.ColumnElement[bool]:
    return replicas.c.seen_time > database_time(dialect) - sa.literal_column(str(microseconds))


def _announce(dialect: SqlDialect) -> sa.Executable:
    given = ("replica_id", "host", "process_id", "build", "program", "start_time", "local_time")
    values: dict[str, object] = {name: sa.bindparam(name) for name in given} | {
        "seen_time": database_time(dialect)
    }
    insert = dialect.insert(replicas).values(values)
    statement: sa.Executable = insert.on_conflict_do_update(
        index_elements=[replicas.c.replica_id],
        set_={name: insert.excluded[name] for name in ("local_time", "seen_time")},
    )
    return statement


# A migration that leaves programs behind changes this row first: it waits for announcements under way, and
# those that come later wait for it and then read what it wrote.
_OLDEST = Statement(
    lambda _: sa.select(counters.c.value).where(counters.c.name == OLDEST_PROGRAM).with_for_update(read=True)
)
_ANNOUNCE = Statement(_announce)
_FORGET = Statement(lambda dialect: sa.delete(replicas).where(~_after(dialect, _FORGET_MICROSECONDS)))
_LEAVE = Statement(
    lambda _: (
        sa.delete(replicas)
        .where(replicas.c.replica_id == sa.bindparam("replica"))
        .returning(replicas.c.replica_id)
    )
)
_COLUMNS: Final = tuple(column.name for column in replicas.columns)
_ALIVE = Statement(
    lambda dialect: (
        sa.select(replicas)
        .where(_after(dialect, ALIVE_MICROSECONDS))
        .order_by(replicas.c.host, replicas.c.process_id)
    ),
    scan=True,
)
_NOW = Statement(lambda dialect: sa.select(database_time(dialect)))


@dataclass(frozen=True, slots=True)
class Replica:
    """A process that uses the database. Times are seconds since the epoch.

    - `program`: the revision that it was made for, as a number; `build`: its version.
    - `local_time`, `seen_time`: its clock and the database's, at its last sign of life.
    """

    replica_id: str
    host: str
    process_id: int
    build: str
    program: int
    start_time: float
    local_time: float
    seen_time: float

    @property
    def skew(self) -> float:
        """By how many seconds its clock was ahead of the database's."""
        return self.local_time - self.seen_time


class Replicas:
    """The processes at one database, this one among them once it is `announced`."""

    def __init__(self, database: Database, clock: Clock, *, program: int) -> None:
        self._database = database
        self._clock = clock
        self._program = program
        self._build = _build()
        self._left_behind = False
        self.replica_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"

    async def alive(self) -> Sequence[Replica]:
        """Those that gave a sign of life within the last minute, by host and process."""
        rows = await self._database.fetch_all(_ALIVE)
        return [_replica(dict(zip(_COLUMNS, row, strict=True))) for row in rows]

    async def database_clock(self) -> float:
        """What the database's clock says, in seconds since the epoch."""
        row = await self._database.fetch_one(_NOW)
        if row is None:
            raise unavailable(StoreCause.CORRUPT, LookupError("the database does not tell the time"))
        return to_seconds(row[0])

    def require_current(self) -> None:
        """Raise `AvailabilityError` (``store_left_behind``) once the database needs a newer program."""
        if self._left_behind:
            raise unavailable(StoreCause.LEFT_BEHIND)

    @asynccontextmanager
    async def announced(self) -> AsyncIterator[None]:
        """Be known, until the end of the block.

        Raises `SchemaRevisionError` where a migration has just left this program behind. A database that
        takes no writes now is no reason not to start: it cannot be migrated either, and the next beat tells.
        """
        start = to_microseconds(self._clock())
        try:
            await self._beat(start)
        except GatewayError as error:
            logger.warning("This process could not be announced (%s)", error.cause)
        if self._left_behind:
            raise SchemaRevisionError(
                "The database was migrated a moment ago and needs a newer program; replace this one."
            )
        task = asyncio.create_task(self._run(start), name="store-replica")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            # Unsaid, it is forgotten within a minute.
            with suppress(GatewayError):
                await self._database.write(_LEAVE, replica=self.replica_id)

    async def _run(self, start: int) -> None:
        while True:
            await asyncio.sleep(BEAT)
            try:
                await self._beat(start)
            except GatewayError as error:
                logger.warning("No sign of life could be given (%s)", error.cause)
            except Exception:
                # A fault of ours must not silence this process for good.
                logger.exception("No sign of life could be given")

    async def _beat(self, start: int) -> None:
        async def work(transaction: Transaction) -> bool:
            oldest = await transaction.fetch_one(_OLDEST)
            if oldest is not None and oldest[0] > self._program:
                return False
            await transaction.execute(
                _ANNOUNCE,
                replica_id=self.replica_id,
                host=socket.gethostname(),
                process_id=os.getpid(),
                build=self._build,
                program=self._program,
                start_time=start,
                local_time=to_microseconds(self._clock()),
            )
            await transaction.execute(_FORGET)
            return True

        if not await self._database.transaction(work):
            if not self._left_behind:
                logger.error("The database was migrated and needs a newer program than this")
            self._left_behind = True


def _build() -> str:
    try:
        return version("countersign-gateway")
    except PackageNotFoundError:
        return "unknown"  # Run from a source tree that is not installed.


def _replica(values: dict[str, object]) -> Replica:
    for name in ("start_time", "local_time", "seen_time"):
        values[name] = to_seconds(int(str(values[name])))
    return Replica(**values)  # type: ignore[arg-type]  # The columns are the fields.
