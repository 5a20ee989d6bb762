"""Opaque access tokens: what the reference that a client holds stands for."""

from collections.abc import Sequence

import sqlalchemy as sa

from gateway.store.database import Database, Transaction, to_microseconds
from gateway.store.statement import SqlDialect, Statement
from gateway.store.tables import opaque_tokens

_FIND = Statement(
    lambda _: sa.select(opaque_tokens.c.claims).where(opaque_tokens.c.digest == sa.bindparam("token"))
)


def _insert(dialect: SqlDialect) -> sa.Executable:
    columns = ("digest", "claims", "expire_time")
    statement: sa.Executable = dialect.insert(opaque_tokens).values(
        {name: sa.bindparam(name) for name in columns}
    )
    return statement


_INSERT = Statement(_insert)


class SqlOpaqueTokenRepository:
    """`gateway.tokens.grant_ports.OpaqueTokenRepository`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, tokens: Sequence[tuple[bytes, bytes, float]]) -> None:
        """See `OpaqueTokenRepository.insert`."""

        async def work(transaction: Transaction) -> None:
            for digest, claims, expire_time in tokens:
                await transaction.execute(
                    _INSERT, digest=digest, claims=claims, expire_time=to_microseconds(expire_time)
                )

        await self._database.transaction(work)

    async def find(self, digest: bytes) -> bytes | None:
        """See `OpaqueTokenRepository.find`."""
        row = await self._database.fetch_one(_FIND, token=digest)
        return None if row is None else bytes(row[0])
