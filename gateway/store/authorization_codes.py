"""Authorization codes, and the pushed requests that they come from."""

import sqlalchemy as sa

from gateway.oidc.authorization import LOGIN_LIFETIME
from gateway.store import counters
from gateway.store.announcements import Announcements
from gateway.store.database import Database, Transaction, to_microseconds
from gateway.store.grant_document import from_code, from_request, to_code, to_request
from gateway.store.grants import insert_grant, revoke_grant
from gateway.store.refresh_tokens import insert_refresh_token
from gateway.store.replays import use_in
from gateway.store.statement import SqlDialect, Statement
from gateway.store.tables import authorization_codes, pushed_requests
from gateway.tokens.authorization import AuthorizationCode, AuthorizationRequest
from gateway.tokens.grant_ports import NewGrant, NewRefreshToken, StoredCode

_COLUMNS = ("digest", "document", "expire_time")
_BY_DIGEST = authorization_codes.c.digest == sa.bindparam("code")
_FIND = Statement(
    lambda _: sa.select(authorization_codes.c.document, authorization_codes.c.grant_id).where(_BY_DIGEST)
)
_USE = Statement(
    lambda _: (
        sa.update(authorization_codes)
        .where(_BY_DIGEST, authorization_codes.c.grant_id.is_(None))
        .values(grant_id=sa.bindparam("grant"), expire_time=sa.bindparam("expiry"))
        .returning(authorization_codes.c.digest)
    )
)
_FIND_PUSHED = Statement(
    lambda _: sa.select(pushed_requests.c.document).where(
        pushed_requests.c.digest == sa.bindparam("pushed"),
        pushed_requests.c.expire_time > sa.bindparam("now"),
    )
)
_TAKE_PUSHED = Statement(
    lambda _: sa.delete(pushed_requests).where(pushed_requests.c.digest == sa.bindparam("pushed"))
)
_PUSHED = "pushed-request"


def _insert_code(dialect: SqlDialect) -> sa.Executable:
    statement: sa.Executable = dialect.insert(authorization_codes).values(
        {name: sa.bindparam(name) for name in _COLUMNS}
    )
    return statement


def _insert_pushed(dialect: SqlDialect) -> sa.Executable:
    statement: sa.Executable = dialect.insert(pushed_requests).values(
        {name: sa.bindparam(name) for name in _COLUMNS}
    )
    return statement


_INSERT_CODE = Statement(_insert_code)
_INSERT_PUSHED = Statement(_insert_pushed)


class SqlPushedRequestRepository:
    """`gateway.tokens.grant_ports.PushedRequestRepository`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(self, digest: bytes, request: AuthorizationRequest, *, expire_time: float) -> None:
        """See `PushedRequestRepository.insert`."""
        document, expiry = to_request(request), to_microseconds(expire_time)

        async def work(transaction: Transaction) -> None:
            await transaction.execute(_INSERT_PUSHED, digest=digest, document=document, expire_time=expiry)

        await self._database.transaction(work)

    async def find(self, digest: bytes, *, now: float) -> AuthorizationRequest | None:
        """See `PushedRequestRepository.find`."""
        row = await self._database.fetch_one(_FIND_PUSHED, pushed=digest, now=to_microseconds(now))
        return None if row is None else from_request(row[0])


class SqlCodeRepository:
    """`gateway.tokens.grant_ports.CodeRepository`."""

    def __init__(self, database: Database, announcements: Announcements) -> None:
        self._database = database
        self._announcements = announcements

    async def insert(self, digest: bytes, code: AuthorizationCode, *, pushed: bytes | None) -> bool:
        """See `CodeRepository.insert`."""
        document, expiry = to_code(code), to_microseconds(code.expire_time)

        async def work(transaction: Transaction) -> bool:
            if pushed is not None:
                # The row may be purged while the user logs in, so its absence alone does not tell a use.
                known_until = code.expire_time + LOGIN_LIFETIME
                if not await use_in(transaction, _PUSHED, pushed.hex(), expire_time=known_until):
                    return False
                await transaction.execute(_TAKE_PUSHED, pushed=pushed)
            await transaction.execute(_INSERT_CODE, digest=digest, document=document, expire_time=expiry)
            return True

        return await self._database.transaction(work)

    async def find(self, digest: bytes) -> StoredCode | None:
        """See `CodeRepository.find`."""
        row = await self._database.fetch_one(_FIND, code=digest)
        return None if row is None else StoredCode(from_code(row[0]), row[1])

    async def use(self, digest: bytes, grant: NewGrant, refresh: NewRefreshToken | None) -> bool:
        """See `CodeRepository.use`."""
        grant_id, expiry = grant.authorization.grant_id, to_microseconds(grant.expire_time)

        async def work(transaction: Transaction) -> bool:
            if await transaction.fetch_one(_USE, code=digest, grant=grant_id, expiry=expiry) is None:
                return False
            await insert_grant(transaction, grant)
            if refresh is not None:
                await insert_refresh_token(transaction, grant_id, refresh, now=grant.create_time)
            return True

        return await self._database.transaction(work)

    async def revoke_replayed(self, digest: bytes, *, now: float) -> None:
        """See `CodeRepository.revoke_replayed`."""

        async def work(transaction: Transaction) -> None:
            await counters.lock(transaction, counters.REVOCATIONS)
            row = await transaction.fetch_one(_FIND, code=digest)
            if row is not None and row[1] is not None:
                await revoke_grant(transaction, row[1], now=now)

        await self._database.transaction(work)
        self._announcements.announce()
