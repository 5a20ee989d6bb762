"""Things that may be used once."""

import hashlib
from collections.abc import Mapping
from types import MappingProxyType

import sqlalchemy as sa

from gateway.store.database import Database, Transaction, to_microseconds
from gateway.store.restored import NEVER_RESTORED, RestoreMarks
from gateway.store.statement import SqlDialect, Statement
from gateway.store.tables import replays


def _use(dialect: SqlDialect) -> sa.Executable:
    insert = dialect.insert(replays).values(
        digest=sa.bindparam("digest"), expire_time=sa.bindparam("expire_time")
    )
    statement: sa.Executable = insert.on_conflict_do_nothing().returning(replays.c.expire_time)
    return statement


_USE = Statement(_use)


class SqlReplayRepository:
    """`gateway.tokens.ports.ReplayRepository`. The unique key of one INSERT decides who is first."""

    def __init__(
        self,
        database: Database,
        marks: RestoreMarks = NEVER_RESTORED,
        lifetimes: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        """*lifetimes*: see `StoreOptions.single_use_lifetimes`."""
        self._database = database
        self._marks = marks
        self._lifetimes = lifetimes

    async def use_once(self, kind: str, value: str, *, expire_time: float) -> bool:
        """True for exactly one caller. A caller that got an error must treat the value as used.

        An entry answers False until it is purged, some time after *expire_time*.
        """
        if self._marks.counts_as_used(kind, expire_time, self._lifetimes):
            return False
        row = await self._database.write(
            _USE, digest=_digest(kind, value), expire_time=to_microseconds(expire_time)
        )
        return row is not None


async def use_in(transaction: Transaction, kind: str, value: str, *, expire_time: float) -> bool:
    """As `SqlReplayRepository.use_once`, within a transaction: what undoes that, undoes the use."""
    row = await transaction.fetch_one(
        _USE, digest=_digest(kind, value), expire_time=to_microseconds(expire_time)
    )
    return row is not None


def _digest(kind: str, value: str) -> bytes:
    """SHA-256 over both, told apart by the length of the first; 32 bytes."""
    space = kind.encode()
    return hashlib.sha256(
        len(space).to_bytes(4, "big") + space + value.encode("utf-8", "surrogatepass")
    ).digest()
