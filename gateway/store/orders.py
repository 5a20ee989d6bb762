"""Orders, with their authorizations and challenges."""

from collections.abc import Callable, Sequence

import sqlalchemy as sa

from gateway.enrollment import transitions
from gateway.enrollment.model import Order, OrderStatus
from gateway.enrollment.ports import SingleUse, UsedError
from gateway.errors import Reason, StateError
from gateway.store import replays
from gateway.store.database import Database, Transaction, to_microseconds
from gateway.store.enrollment_tables import authorizations, certificates, orders
from gateway.store.order_document import from_document, to_document
from gateway.store.restored import NEVER_RESTORED, RestoreMarks
from gateway.store.statement import Statement

KEPT_AFTER_EXPIRY = 30 * 24 * 3600.0
"""Seconds that an order stays readable after its time is over."""

_BY_ID = orders.c.order_id == sa.bindparam("order")
_FIND = Statement(lambda _: sa.select(orders.c.document).where(_BY_ID))
_LOCK = Statement(lambda _: sa.select(orders.c.document).where(_BY_ID).with_for_update())
_FIND_BY_AUTHORIZATION = Statement(
    lambda _: (
        sa.select(orders.c.document)
        .join(authorizations, authorizations.c.order_id == orders.c.order_id)
        .where(authorizations.c.authorization_id == sa.bindparam("authorization"))
    )
)
_LIST = Statement(
    lambda _: (
        sa.select(orders.c.order_id)
        .where(orders.c.account_id == sa.bindparam("account"), orders.c.order_id > sa.bindparam("after"))
        .order_by(orders.c.order_id)
        .limit(sa.bindparam("size", type_=sa.BigInteger))
    ),
    scan=True,
)
_UNEXPIRED = Statement(
    lambda _: (
        sa.select(orders.c.document)
        .where(orders.c.account_id == sa.bindparam("account"), orders.c.expire_time > sa.bindparam("now"))
        .order_by(orders.c.order_id)
        .limit(sa.bindparam("size", type_=sa.BigInteger))
    ),
    scan=True,
)
_INSERT = Statement(
    lambda dialect: dialect.insert(orders).values(
        {name: sa.bindparam(name) for name in ("order_id", "account_id", "expire_time", "document")}
    )
)
_INSERT_AUTHORIZATION = Statement(
    lambda dialect: dialect.insert(authorizations).values(
        {name: sa.bindparam(name) for name in ("authorization_id", "order_id", "expire_time")}
    )
)
_REPLACED = certificates.c.certificate_id == sa.bindparam("certificate")
_LOCK_REPLACED = Statement(lambda _: sa.select(certificates.c.replaced_by).where(_REPLACED).with_for_update())
_REPLACE = Statement(
    lambda _: sa.update(certificates).where(_REPLACED).values(replaced_by=sa.bindparam("order"))
)
_ISSUED = Statement(
    lambda _: sa.select(certificates.c.certificate_id).where(
        certificates.c.order_id == sa.bindparam("order"), certificates.c.der.is_not(None)
    )
)
_STORE = Statement(lambda _: sa.update(orders).where(_BY_ID).values(document=sa.bindparam("document")))


class SqlOrderRepository:
    """`gateway.enrollment.ports.OrderRepository`. A row's lock puts the steps of one order in order."""

    def __init__(self, database: Database, marks: RestoreMarks = NEVER_RESTORED) -> None:
        self._database = database
        self._marks = marks

    async def create(self, order: Order, *, replaced: str | None = None) -> None:
        """See `OrderRepository.create`."""
        expire_time = to_microseconds(order.expire_time + KEPT_AFTER_EXPIRY)

        async def work(transaction: Transaction) -> None:
            if replaced is not None:
                await _replace(transaction, replaced, order)
            await transaction.execute(
                _INSERT,
                order_id=order.order_id,
                account_id=order.account_id,
                expire_time=expire_time,
                document=to_document(order),
            )
            for each in order.authorizations:
                await transaction.execute(
                    _INSERT_AUTHORIZATION,
                    authorization_id=each.authorization_id,
                    order_id=order.order_id,
                    expire_time=expire_time,
                )

        await self._database.transaction(work)

    async def get(self, order_id: str) -> Order | None:
        """See `OrderRepository.get`."""
        row = await self._database.fetch_one(_FIND, order=order_id)
        return None if row is None else from_document(row[0])

    async def by_authorization(self, authorization_id: str) -> Order | None:
        """See `OrderRepository.by_authorization`."""
        row = await self._database.fetch_one(_FIND_BY_AUTHORIZATION, authorization=authorization_id)
        return None if row is None else from_document(row[0])

    async def list_ids(self, account_id: str, *, after: str | None, limit: int) -> Sequence[str]:
        """See `OrderRepository.list_ids`."""
        rows = await self._database.fetch_all(_LIST, account=account_id, after=after or "", size=limit)
        return tuple(row[0] for row in rows)

    async def unexpired(self, account_id: str, *, now: float, limit: int) -> Sequence[Order]:
        """See `OrderRepository.unexpired`."""
        kept_until = to_microseconds(now + KEPT_AFTER_EXPIRY)
        rows = await self._database.fetch_all(_UNEXPIRED, account=account_id, now=kept_until, size=limit)
        return tuple(from_document(row[0]) for row in rows)

    async def change(
        self, order_id: str, step: Callable[[Order], Order], *, uses: Sequence[SingleUse] = ()
    ) -> Order:
        """See `OrderRepository.change`."""

        async def work(transaction: Transaction) -> Order:
            changed = await change_order(transaction, order_id, step)
            for use in uses:
                if self._marks.counts_as_used(use.kind, use.expire_time, {}):
                    raise UsedError(use.kind)
                if not await replays.use_in(transaction, use.kind, use.value, expire_time=use.expire_time):
                    raise UsedError(use.kind)
            return changed

        return await self._database.transaction(work)


async def change_order(transaction: Transaction, order_id: str, step: Callable[[Order], Order]) -> Order:
    """Store what *step* makes of the order, within a transaction that does more.

    Raises `StateError` ENROLLMENT_NOT_FOUND, and what *step* raises.
    """
    row = await transaction.fetch_one(_LOCK, order=order_id)
    if row is None:
        raise StateError(Reason.ENROLLMENT_NOT_FOUND, "There is no such order.")
    before = from_document(row[0])
    changed = step(before)
    if changed != before:
        await transaction.execute(_STORE, order=order_id, document=to_document(changed))
    return changed


async def _replace(transaction: Transaction, certificate_id: str, order: Order) -> None:
    """Mark the certificate as replaced by *order*; see `OrderRepository.create`."""
    row = await transaction.fetch_one(_LOCK_REPLACED, certificate=certificate_id)
    if row is None:
        raise StateError(Reason.ENROLLMENT_NOT_FOUND, "There is no such certificate.", field="replaces")
    if row[0] is not None and await _stands(transaction, row[0], order.create_time):
        raise StateError(Reason.ALREADY_REPLACED, "Another order replaces the certificate.", field="replaces")
    await transaction.execute(_REPLACE, certificate=certificate_id, order=order.order_id)


async def _stands(transaction: Transaction, order_id: str, now: float) -> bool:
    """Whether the order is not invalid at *now*. One that has expired is stored as that.

    So no replica whose clock is behind can go on with it. Of an order that is kept no longer its certificate
    tells what became of it.
    """
    row = await transaction.fetch_one(_FIND, order=order_id)
    if row is None:
        return await transaction.fetch_one(_ISSUED, order=order_id) is not None
    aged = await change_order(transaction, order_id, lambda before: transitions.as_of(before, now))
    return aged.status is not OrderStatus.INVALID
