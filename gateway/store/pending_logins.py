"""Logins at the upstream provider that are under way."""

import json
from typing import Any

import sqlalchemy as sa

from gateway.login.pending import LoginBounds, PendingAuthorization, TooManyLoginsError
from gateway.oidc.authorization import PendingLogin
from gateway.store.database import Database, Transaction, to_microseconds, to_seconds
from gateway.store.failures import StoreCause, unavailable
from gateway.store.grant_document import from_request, to_request
from gateway.store.statement import SqlDialect, Statement
from gateway.store.tables import pending_logins
from gateway.tokens.authorization_requests import AcceptedRequest

_COLUMNS = ("state_digest", "browser_digest", "client_id", "document", "expire_time")


def _insert(dialect: SqlDialect) -> sa.Executable:
    statement: sa.Executable = dialect.insert(pending_logins).values(
        {name: sa.bindparam(name) for name in _COLUMNS}
    )
    return statement


def _counted(*conditions: sa.ColumnElement[bool]) -> sa.Executable:
    """How many are under way, but no more than a bound: nobody needs to know how many too many there are."""
    unexpired = pending_logins.c.expire_time > sa.bindparam("now")
    found = sa.select(pending_logins.c.expire_time).where(unexpired, *conditions)
    bounded = found.limit(sa.bindparam("bound", type_=sa.BigInteger)).subquery()
    return sa.select(sa.func.count()).select_from(bounded)


_INSERT = Statement(_insert)
_COUNT = Statement(lambda _: _counted())
_COUNT_OF_CLIENT = Statement(lambda _: _counted(pending_logins.c.client_id == sa.bindparam("client")))
_TAKE = Statement(
    lambda _: (
        sa.delete(pending_logins)
        .where(
            pending_logins.c.state_digest == sa.bindparam("state"),
            pending_logins.c.browser_digest == sa.bindparam("browser"),
            pending_logins.c.expire_time > sa.bindparam("now"),
        )
        .returning(pending_logins.c.document)
    )
)


class SqlPendingLoginRepository:
    """`gateway.login.pending.PendingLogins`. The one DELETE decides who takes a login."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def insert(
        self, state: bytes, browser: bytes, pending: PendingAuthorization, *, bounds: LoginBounds, now: float
    ) -> None:
        """See `PendingLogins.insert`."""
        document, expiry = _to_document(pending), to_microseconds(pending.login.expire_time)
        client_id, moment = pending.accepted.request.client_id, to_microseconds(now)

        async def work(transaction: Transaction) -> None:
            row = await transaction.fetch_one(
                _COUNT_OF_CLIENT, client=client_id, now=moment, bound=bounds.per_client
            )
            if row is not None and row[0] >= bounds.per_client:
                raise TooManyLoginsError("too_many_logins_of_client")
            row = await transaction.fetch_one(_COUNT, now=moment, bound=bounds.in_all)
            if row is not None and row[0] >= bounds.in_all:
                raise TooManyLoginsError("too_many_logins")
            await transaction.execute(
                _INSERT,
                state_digest=state,
                browser_digest=browser,
                client_id=client_id,
                document=document,
                expire_time=expiry,
            )

        await self._database.transaction(work)

    async def take(self, state: bytes, browser: bytes, *, now: float) -> PendingAuthorization | None:
        """See `PendingLogins.take`."""
        row = await self._database.write(_TAKE, state=state, browser=browser, now=to_microseconds(now))
        return None if row is None else _from_document(row[0])


def _to_document(pending: PendingAuthorization) -> str:
    accepted, login = pending.accepted, pending.login
    members: dict[str, Any] = {
        "request": to_request(accepted.request),
        "pushed": None if accepted.pushed is None else accepted.pushed.hex(),
        "issuer": login.issuer,
        "redirect_uri": login.redirect_uri,
        "state": login.state,
        "nonce": login.nonce,
        "code_verifier": login.code_verifier,
        "expire_time": to_microseconds(login.expire_time),
        "max_age": login.max_age,
        "acr_values": login.acr_values,
    }
    return json.dumps(members, separators=(",", ":"))


def _from_document(document: str) -> PendingAuthorization:
    """`AvailabilityError` (``store_corrupt``) where it holds none."""
    try:
        members = json.loads(document)
        pushed = members["pushed"]
        return PendingAuthorization(
            AcceptedRequest(
                from_request(members["request"]), None if pushed is None else bytes.fromhex(pushed)
            ),
            PendingLogin(
                issuer=members["issuer"],
                redirect_uri=members["redirect_uri"],
                state=members["state"],
                nonce=members["nonce"],
                code_verifier=members["code_verifier"],
                expire_time=to_seconds(members["expire_time"]),
                max_age=members["max_age"],
                acr_values=tuple(members["acr_values"]),
            ),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise unavailable(StoreCause.CORRUPT, error) from error
