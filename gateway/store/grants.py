"""Grants, and what is revoked with them."""

from collections.abc import Sequence

import sqlalchemy as sa

from gateway.store import counters
from gateway.store.announcements import Announcements
from gateway.store.database import Database, Transaction, to_microseconds
from gateway.store.grant_document import to_grant
from gateway.store.statement import SqlDialect, Statement
from gateway.store.tables import grants
from gateway.tokens.grant_ports import NewGrant

MAX_GRANT_IDS = 1000

_BY_ID = grants.c.grant_id == sa.bindparam("grant")
_FIND_IN_FORCE = Statement(
    lambda _: sa.select(grants.c.expire_time).where(_BY_ID, grants.c.revoke_time.is_(None))
)
_FIND_AMONG = Statement(
    lambda dialect: sa.select(grants.c.grant_id).where(
        dialect.among(grants.c.grant_id, "ids"), grants.c.revoke_time.is_(None)
    )
)
_REVOKE = Statement(
    lambda _: (
        sa.update(grants)
        .where(_BY_ID, grants.c.revoke_time.is_(None))
        .values(revoke_time=sa.bindparam("now"), sequence_number=sa.bindparam("number"))
    )
)


def _insert(dialect: SqlDialect) -> sa.Executable:
    columns = ("grant_id", "client_id", "document", "create_time", "expire_time")
    statement: sa.Executable = dialect.insert(grants).values({name: sa.bindparam(name) for name in columns})
    return statement


_INSERT = Statement(_insert)


async def insert_grant(transaction: Transaction, grant: NewGrant) -> None:
    """Remember *grant* in *transaction*."""
    await transaction.execute(
        _INSERT,
        grant_id=grant.authorization.grant_id,
        client_id=grant.authorization.client_id,
        document=to_grant(grant.authorization),
        create_time=to_microseconds(grant.create_time),
        expire_time=to_microseconds(grant.expire_time),
    )


async def revoke_grant(transaction: Transaction, grant_id: str, *, now: float) -> bool:
    """Revoke it in *transaction*, which holds the lock of the revocations' counter from its begin."""
    if await transaction.fetch_one(_FIND_IN_FORCE, grant=grant_id) is None:
        return False
    await transaction.execute(
        _REVOKE,
        grant=grant_id,
        now=to_microseconds(now),
        number=await counters.advance(transaction, counters.REVOCATIONS),
    )
    return True


class SqlGrantRepository:
    """`gateway.tokens.grant_ports.GrantRepository`."""

    def __init__(self, database: Database, announcements: Announcements) -> None:
        self._database = database
        self._announcements = announcements

    async def revoke(self, grant_id: str, *, now: float) -> bool:
        """See `GrantRepository.revoke`."""
        if await self.is_revoked(grant_id):
            return False

        async def work(transaction: Transaction) -> bool:
            await counters.lock(transaction, counters.REVOCATIONS)
            return await revoke_grant(transaction, grant_id, now=now)

        revoked = await self._database.transaction(work)
        if revoked:
            self._announcements.announce()
        return revoked

    async def is_revoked(self, grant_id: str) -> bool:
        """See `GrantRepository.is_revoked`."""
        return await self._database.fetch_one(_FIND_IN_FORCE, grant=grant_id) is None

    async def revoked_among(self, grant_ids: Sequence[str]) -> frozenset[str]:
        """See `GrantRepository.revoked_among`. Raises `ValueError` for more than `MAX_GRANT_IDS`."""
        if len(grant_ids) > MAX_GRANT_IDS:
            raise ValueError(f"more than {MAX_GRANT_IDS} grant ids")
        if not grant_ids:
            return frozenset()
        rows = await self._database.fetch_all(_FIND_AMONG, ids=list(grant_ids))
        return frozenset(grant_ids) - {row[0] for row in rows}
