"""`request_id`: which resource an earlier attempt made or changed."""

from dataclasses import dataclass

import sqlalchemy as sa

from gateway.errors import Reason, StateError
from gateway.idempotency import IdempotencyKey
from gateway.store.database import Database, Row, Transaction, to_microseconds
from gateway.store.failures import StoreCause, unavailable
from gateway.store.statement import SqlDialect, Statement
from gateway.store.tables import idempotency

_NAME = (idempotency.c.caller, idempotency.c.method, idempotency.c.request_id)


def _claim(dialect: SqlDialect) -> sa.Executable:
    # A row that has expired and is not purged yet is free to be taken over.
    insert = dialect.insert(idempotency).values(
        {column.name: sa.bindparam(column.name) for column in idempotency.columns}
    )
    statement: sa.Executable = insert.on_conflict_do_update(
        index_elements=list(_NAME),
        set_={
            name: insert.excluded[name]
            for name in ("digest", "resource_id", "resource_create_time", "expire_time")
        },
        where=idempotency.c.expire_time <= sa.bindparam("now"),
    ).returning(idempotency.c.expire_time)
    return statement


_CLAIM = Statement(_claim)
_FIND = Statement(
    lambda _: sa.select(
        idempotency.c.digest, idempotency.c.resource_id, idempotency.c.resource_create_time
    ).where(
        *(column == sa.bindparam(column.name) for column in _NAME),
        idempotency.c.expire_time > sa.bindparam("now"),
    )
)


@dataclass(frozen=True, slots=True)
class ReplayedResource:
    """What an earlier attempt made or changed; `create_time` is in microseconds."""

    resource_id: str
    create_time: int


async def claim(
    transaction: Transaction, key: IdempotencyKey, resource: ReplayedResource, *, now: float, lifetime: float
) -> ReplayedResource | None:
    """Remember that *key* makes *resource*; or, where it was used before, what it made then.

    *now* is seconds since the epoch, *lifetime* seconds. Raises `StateError` with REQUEST_ID_REUSED.
    """
    claimed = await transaction.fetch_one(
        _CLAIM,
        caller=key.caller,
        method=key.method,
        request_id=key.request_id,
        digest=key.digest,
        resource_id=resource.resource_id,
        resource_create_time=resource.create_time,
        expire_time=to_microseconds(now + lifetime),
        now=to_microseconds(now),
    )
    if claimed is not None:
        return None
    replayed = await find(transaction, key, now=now)
    if replayed is None:
        # It expired between the two statements.
        raise unavailable(StoreCause.BUSY)
    return replayed


async def find(source: Transaction | Database, key: IdempotencyKey, *, now: float) -> ReplayedResource | None:
    """What an earlier attempt under *key* made or changed. Raises `StateError` with REQUEST_ID_REUSED."""
    row: Row | None = await source.fetch_one(
        _FIND, caller=key.caller, method=key.method, request_id=key.request_id, now=to_microseconds(now)
    )
    if row is None:
        return None
    digest, resource_id, create_time = row
    if digest != key.digest:
        raise StateError(
            Reason.REQUEST_ID_REUSED,
            "This request_id was used for another request.",
            field="request_id",
        )
    return ReplayedResource(resource_id, create_time)
