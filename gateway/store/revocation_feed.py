"""Revocations of tokens and of grants, in the one sequence that they share."""

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from gateway.introspection.feed import RevokedItem
from gateway.store import counters
from gateway.store.announcements import Announcements
from gateway.store.database import Database, to_seconds
from gateway.store.statement import Statement
from gateway.store.tables import grants, revocations


def _after(_: object) -> sa.Executable:
    tokens = sa.select(
        revocations.c.sequence_number.label("number"),
        revocations.c.token_id.label("token_id"),
        sa.cast(sa.null(), sa.Text).label("grant_id"),
        revocations.c.revoke_time.label("revoke_time"),
        revocations.c.expire_time.label("expire_time"),
    ).where(revocations.c.sequence_number > sa.bindparam("after", type_=sa.BigInteger))
    ended = sa.select(
        grants.c.sequence_number.label("number"),
        sa.cast(sa.null(), sa.Text).label("token_id"),
        grants.c.grant_id.label("grant_id"),
        grants.c.revoke_time.label("revoke_time"),
        grants.c.expire_time.label("expire_time"),
    ).where(grants.c.sequence_number > sa.bindparam("after", type_=sa.BigInteger))
    both = sa.union_all(tokens, ended).subquery()
    return sa.select(both).order_by(both.c.number).limit(sa.bindparam("size", type_=sa.BigInteger))


_AFTER = Statement(_after, scan=True)


class SqlRevocationFeedRepository:
    """`gateway.introspection.feed.RevocationFeedRepository`."""

    def __init__(self, database: Database, announcements: Announcements) -> None:
        self._database = database
        self._announcements = announcements

    def listen(self, listener: Callable[[], None]) -> None:
        """See `RevocationFeedRepository.listen`."""
        self._announcements.listen(listener)

    async def last_number(self) -> int:
        """See `RevocationFeedRepository.last_number`."""
        return await counters.read(self._database, counters.REVOCATIONS)

    async def after(self, number: int, *, limit: int) -> Sequence[RevokedItem]:
        """See `RevocationFeedRepository.after`."""
        rows = await self._database.fetch_all(_AFTER, after=number, size=limit)
        return [
            RevokedItem(at, token_id, grant_id, to_seconds(revoked), to_seconds(expiry))
            for at, token_id, grant_id, revoked, expiry in rows
        ]
