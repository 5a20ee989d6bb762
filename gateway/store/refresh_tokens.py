"""Refresh tokens. A compare-and-set on one row decides which of many rotations of a token is the one."""

import sqlalchemy as sa

from gateway.store import counters
from gateway.store.announcements import Announcements
from gateway.store.database import Database, Row, Transaction, to_microseconds, to_seconds
from gateway.store.grant_document import from_grant
from gateway.store.grants import revoke_grant
from gateway.store.statement import SqlDialect, Statement
from gateway.store.tables import grants, refresh_tokens
from gateway.tokens.grant_ports import NewRefreshToken, StoredRefreshToken

_BY_DIGEST = refresh_tokens.c.digest == sa.bindparam("token")
_UNUSED = refresh_tokens.c.consume_time.is_(None)

_FIND = Statement(
    lambda _: (
        sa.select(
            refresh_tokens.c.digest,
            refresh_tokens.c.grant_id,
            grants.c.client_id,
            grants.c.document,
            refresh_tokens.c.issue_time,
            refresh_tokens.c.idle_expire_time,
            refresh_tokens.c.expire_time,
            refresh_tokens.c.consume_time,
            grants.c.revoke_time,
        )
        .select_from(refresh_tokens.join(grants, refresh_tokens.c.grant_id == grants.c.grant_id))
        .where(_BY_DIGEST)
    )
)
_TOUCH = Statement(
    lambda _: (
        sa.update(refresh_tokens)
        .where(_BY_DIGEST, _UNUSED)
        .values(idle_expire_time=sa.bindparam("idle"))
        .returning(refresh_tokens.c.grant_id)
    )
)
_CONSUME = Statement(
    lambda _: (
        sa.update(refresh_tokens)
        .where(_BY_DIGEST, _UNUSED)
        .values(
            consume_time=sa.bindparam("now"),
            successor=sa.bindparam("next"),
            sealed_successor=sa.bindparam("sealed"),
        )
        .returning(refresh_tokens.c.grant_id)
    )
)
_FIND_CONSUMED = Statement(
    lambda _: sa.select(
        refresh_tokens.c.grant_id,
        refresh_tokens.c.consume_time,
        refresh_tokens.c.successor,
        refresh_tokens.c.sealed_successor,
        refresh_tokens.c.replays,
    ).where(_BY_DIGEST)
)
_IS_UNUSED = Statement(lambda _: sa.select(refresh_tokens.c.grant_id).where(_BY_DIGEST, _UNUSED))
_COUNT_REPLAY = Statement(
    lambda _: (
        sa.update(refresh_tokens)
        .where(_BY_DIGEST)
        .values(replays=refresh_tokens.c.replays + sa.literal_column("1"))
    )
)


def _insert(dialect: SqlDialect) -> sa.Executable:
    columns = ("digest", "grant_id", "issue_time", "idle_expire_time", "expire_time", "replays")
    statement: sa.Executable = dialect.insert(refresh_tokens).values(
        {name: sa.bindparam(name) for name in columns}
    )
    return statement


_INSERT = Statement(_insert)


async def insert_refresh_token(
    transaction: Transaction, grant_id: str, token: NewRefreshToken, *, now: float
) -> None:
    """Remember *token* in *transaction*."""
    await transaction.execute(
        _INSERT,
        digest=token.digest,
        grant_id=grant_id,
        issue_time=to_microseconds(now),
        idle_expire_time=to_microseconds(token.idle_expire_time),
        expire_time=to_microseconds(token.expire_time),
        replays=0,
    )


class SqlRefreshTokenRepository:
    """`gateway.tokens.grant_ports.RefreshTokenRepository`."""

    def __init__(self, database: Database, announcements: Announcements) -> None:
        self._database = database
        self._announcements = announcements

    async def find(self, digest: bytes) -> StoredRefreshToken | None:
        """See `RefreshTokenRepository.find`."""
        row = await self._database.fetch_one(_FIND, token=digest)
        return None if row is None else _stored(row)

    async def touch(self, digest: bytes, *, idle_expire_time: float) -> bool:
        """See `RefreshTokenRepository.touch`."""
        idle = to_microseconds(idle_expire_time)
        return await self._database.write(_TOUCH, token=digest, idle=idle) is not None

    async def rotate(self, digest: bytes, successor: NewRefreshToken, *, sealed: bytes, now: float) -> bool:
        """See `RefreshTokenRepository.rotate`."""

        async def work(transaction: Transaction) -> bool:
            row = await transaction.fetch_one(
                _CONSUME, token=digest, now=to_microseconds(now), next=successor.digest, sealed=sealed
            )
            if row is None:
                return False
            await insert_refresh_token(transaction, row[0], successor, now=now)
            return True

        return await self._database.transaction(work)

    async def replay(self, digest: bytes, *, now: float, grace: float, max_replays: int) -> bytes | None:
        """See `RefreshTokenRepository.replay`."""
        earliest = to_microseconds(now - grace)

        async def work(transaction: Transaction) -> bytes | None:
            # Taken first, as every transaction does that may revoke.
            await counters.lock(transaction, counters.REVOCATIONS)
            row = await transaction.fetch_one(_FIND_CONSUMED, token=digest)
            if row is None or row[1] is None:
                return None
            grant_id, consumed, successor, sealed, replays = row
            if (
                consumed >= earliest
                and replays < max_replays
                and await transaction.fetch_one(_IS_UNUSED, token=successor) is not None
            ):
                await transaction.execute(_COUNT_REPLAY, token=digest)
                return bytes(sealed)
            await revoke_grant(transaction, grant_id, now=now)
            return None

        sealed = await self._database.transaction(work)
        if sealed is None:
            self._announcements.announce()
        return sealed


def _stored(row: Row) -> StoredRefreshToken:
    digest, grant_id, client_id, document, issued, idle, expiry, consumed, revoked = row
    return StoredRefreshToken(
        digest=bytes(digest),
        authorization=from_grant(grant_id, client_id, document),
        issue_time=to_seconds(issued),
        idle_expire_time=to_seconds(idle),
        expire_time=to_seconds(expiry),
        consumed=consumed is not None,
        revoked=revoked is not None,
    )
