"""Revoked access tokens."""

from collections.abc import Sequence

import sqlalchemy as sa

from gateway.store import counters
from gateway.store.announcements import Announcements
from gateway.store.database import Database, Transaction, to_microseconds
from gateway.store.statement import SqlDialect, Statement
from gateway.store.tables import revocations
from gateway.tokens.ports import Revocation

MAX_TOKEN_IDS = 1000

_BY_ID = revocations.c.token_id == sa.bindparam("token")
_FIND = Statement(lambda _: sa.select(revocations.c.expire_time).where(_BY_ID))
_FIND_AMONG = Statement(
    lambda dialect: sa.select(revocations.c.token_id).where(dialect.among(revocations.c.token_id, "tokens"))
)
_EXTEND = Statement(
    lambda _: (
        sa.update(revocations)
        .where(_BY_ID, revocations.c.expire_time < sa.bindparam("until"))
        .values(expire_time=sa.bindparam("until"))
    )
)


def _record(dialect: SqlDialect) -> sa.Executable:
    columns = ("token_id", "client_id", "revoke_time", "expire_time", "sequence_number")
    insert = dialect.insert(revocations).values({name: sa.bindparam(name) for name in columns})
    statement: sa.Executable = insert.on_conflict_do_nothing().returning(revocations.c.sequence_number)
    return statement


_RECORD = Statement(_record)


class SqlRevocationRepository:
    """`gateway.tokens.ports.RevocationRepository`."""

    def __init__(self, database: Database, announcements: Announcements) -> None:
        self._database = database
        self._announcements = announcements

    async def revoke(self, revocation: Revocation) -> bool:
        """Record it. One that was recorded to expire earlier is kept until the later time."""
        expire_time = to_microseconds(revocation.expire_time)
        row = await self._database.fetch_one(_FIND, token=revocation.token_id)
        if row is not None and row[0] >= expire_time:
            return False

        async def work(transaction: Transaction) -> bool:
            await counters.lock(transaction, counters.REVOCATIONS)
            if await transaction.fetch_one(_FIND, token=revocation.token_id) is not None:
                await transaction.execute(_EXTEND, token=revocation.token_id, until=expire_time)
                return False
            await transaction.execute(
                _RECORD,
                token_id=revocation.token_id,
                client_id=revocation.client_id,
                revoke_time=to_microseconds(revocation.revoke_time),
                expire_time=expire_time,
                sequence_number=await counters.advance(transaction, counters.REVOCATIONS),
            )
            return True

        recorded = await self._database.transaction(work)
        if recorded:
            self._announcements.announce()
        return recorded

    async def is_revoked(self, token_id: str) -> bool:
        """Whether *token_id* is revoked, as of any acknowledged revocation."""
        return await self._database.fetch_one(_FIND, token=token_id) is not None

    async def revoked_among(self, token_ids: Sequence[str]) -> frozenset[str]:
        """Those of *token_ids* that are revoked. Raises `ValueError` for more than `MAX_TOKEN_IDS`."""
        if len(token_ids) > MAX_TOKEN_IDS:
            raise ValueError(f"more than {MAX_TOKEN_IDS} token ids")
        if not token_ids:
            return frozenset()
        rows = await self._database.fetch_all(_FIND_AMONG, tokens=list(token_ids))
        return frozenset(row[0] for row in rows)
