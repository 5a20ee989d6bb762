"""Deleting what has expired, a little at a time, for as long as the gateway runs, by one process for all."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from time import monotonic
from typing import Final

import sqlalchemy as sa

from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.store.database import Database, Transaction, to_microseconds
from gateway.store.enrollment_tables import authorizations, certificates, crls, external_keys, orders
from gateway.store.leases import PURGE, Leases
from gateway.store.options import StoreOptions
from gateway.store.presentation_tables import presentation_requests
from gateway.store.statement import Statement
from gateway.store.tables import (
    authorization_codes,
    grants,
    idempotency,
    opaque_tokens,
    pending_logins,
    pushed_requests,
    refresh_tokens,
    replays,
    revocations,
)

logger = logging.getLogger(__name__)

_MAX_BACKOFF = 3600.0  # seconds
_LEASE_INTERVALS = 3
"""For how many intervals who purges has the lease: after so many another takes over from one that died."""


def _delete_expired(table: sa.Table, *conditions: sa.ColumnElement[bool]) -> Statement:
    key = list(table.primary_key.columns)
    expired = (
        sa.select(*key)
        .where(table.c.expire_time < sa.bindparam("before"), *conditions)
        .order_by(table.c.expire_time)
        .limit(sa.bindparam("size", type_=sa.BigInteger))
        # One that lost its lease while it was frozen may be at the same rows for a moment.
        .with_for_update(skip_locked=True)
    )
    row = key[0] if len(key) == 1 else sa.tuple_(*key)
    return Statement(lambda _: sa.delete(table).where(row.in_(expired)))


_NEWER_LIST = crls.alias("newer")
EXPIRING: Final[Mapping[sa.Table, Sequence[sa.ColumnElement[bool]]]] = {
    replays: (),
    revocations: (),
    idempotency: (),
    pushed_requests: (),
    pending_logins: (),
    presentation_requests: (),
    authorization_codes: (),
    refresh_tokens: (),
    opaque_tokens: (),
    grants: (),
    authorizations: (),
    orders: (),
    certificates: (),
    # The last list of a CA stays for good: its number is where the next goes on (RFC 5280 §5.2.3).
    crls: (
        sa.exists().where(
            _NEWER_LIST.c.issuer_key_id == crls.c.issuer_key_id, _NEWER_LIST.c.number > crls.c.number
        ),
    ),
    # One that has bound an account says for whom that is; one that never did is a secret for nothing.
    external_keys: (external_keys.c.account_id.is_(None),),
}
"""Tables whose rows are deleted some time after their `expire_time`, those that meet all conditions."""
_STATEMENTS = {table.name: _delete_expired(table, *conditions) for table, conditions in EXPIRING.items()}


class Purge:
    """Deletes rows that expired more than `StoreOptions.purge_grace` ago."""

    def __init__(self, database: Database, clock: Clock, options: StoreOptions, leases: Leases) -> None:
        self._database = database
        self._clock = clock
        self._options = options
        self._leases = leases
        self._renew_at = float("inf")  # By the monotonic clock; only `running` has a lease.

    async def once(self) -> int:
        """Delete everything that is due, in bounded transactions; returns how many rows went.

        Within `running` it ends early where the lease was lost.
        """
        before = to_microseconds(self._clock() - self._options.purge_grace)
        deleted = 0
        for name, statement in _STATEMENTS.items():
            size = self._options.purge_batch_size
            while (count := await self._delete(statement, before, size)) > 0:
                deleted += count
                if count < size:
                    break
                if monotonic() > self._renew_at and not await self._take_lease():
                    return deleted
            logger.debug("Purged %s", name)
        return deleted

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Purge every `StoreOptions.purge_interval` seconds until the block ends; slower while it fails.

        Of all processes at the database one does it, and another takes over within some intervals of its end.
        """
        task = asyncio.create_task(self._run(), name="store-purge")
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            # Unreleased, it is over after some intervals.
            with suppress(GatewayError):
                await self._leases.release(PURGE)

    async def _run(self) -> None:
        interval = self._options.purge_interval
        delay = interval
        while True:
            await asyncio.sleep(delay)
            try:
                if await self._take_lease():
                    await self.once()
                delay = interval
            except GatewayError as error:
                delay = min(delay * 2, max(interval, _MAX_BACKOFF))
                logger.warning("Purging expired rows failed (%s); next in %.0f s", error.cause, delay)
            except Exception:
                # A fault of ours must not end the purge for good; the log shows it each time.
                delay = min(delay * 2, max(interval, _MAX_BACKOFF))
                logger.exception("Purging expired rows failed; next in %.0f s", delay)

    async def _take_lease(self) -> bool:
        interval = self._options.purge_interval
        self._renew_at = monotonic() + interval
        return await self._leases.take(PURGE, seconds=_LEASE_INTERVALS * interval)

    async def _delete(self, statement: Statement, before: int, size: int) -> int:
        async def work(transaction: Transaction) -> int:
            return await transaction.execute(statement, before=before, size=size)

        return await self._database.transaction(work)
