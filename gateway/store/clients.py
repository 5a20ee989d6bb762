"""Registered OAuth clients."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, TypeVar

import sqlalchemy as sa

from gateway.clock import Clock
from gateway.errors import Reason, StateError
from gateway.idempotency import IdempotencyKey
from gateway.store import counters, idempotency
from gateway.store.client_document import from_document, own_certificates, to_document
from gateway.store.database import Database, Row, Transaction, Work, to_microseconds
from gateway.store.statement import SqlDialect, Statement
from gateway.store.tables import clients, deleted_clients
from gateway.tokens.client import Client, ClientAuthenticationMethod
from gateway.tokens.ports import Page

RECENT: Final = 0.05
"""Seconds after which every process sees what another did to a client, where it does not ask each time."""

T = TypeVar("T")

_BY_ID = clients.c.client_id == sa.bindparam("client")
_SELECTED = (clients.c.client_id, clients.c.revision, clients.c.document)

_FIND = Statement(lambda _: sa.select(*_SELECTED).where(_BY_ID))
_LIST = Statement(
    lambda _: (
        sa.select(*_SELECTED)
        .where(clients.c.client_id > sa.bindparam("after"))
        .order_by(clients.c.client_id)
        .limit(sa.bindparam("size", type_=sa.BigInteger))
    ),
    scan=True,
)
_SELF_SIGNED = Statement(
    lambda _: (
        sa.select(*_SELECTED)
        .where(
            clients.c.authentication_method == ClientAuthenticationMethod.SELF_SIGNED_TLS_CLIENT_AUTH.value,
            clients.c.disabled == 0,
        )
        .order_by(clients.c.client_id)
    ),
    scan=True,
)


def _insert(dialect: SqlDialect) -> sa.Executable:
    insert = dialect.insert(clients).values({name: sa.bindparam(name) for name in clients.columns.keys()})  # noqa: SIM118  # A collection of columns, not a dict.
    statement: sa.Executable = insert.on_conflict_do_nothing().returning(clients.c.client_id)
    return statement


_INSERT = Statement(_insert)
_MUTABLE = ("revision", "authentication_method", "disabled", "document")
_REPLACE = Statement(
    lambda _: sa.update(clients).where(_BY_ID).values({name: sa.bindparam(name) for name in _MUTABLE})
)
_DELETE = Statement(lambda _: sa.delete(clients).where(_BY_ID))
_BURY = Statement(lambda _: sa.insert(deleted_clients).values(client_id=sa.bindparam("client")))
_FIND_BURIED = Statement(
    lambda _: sa.select(deleted_clients.c.client_id).where(
        deleted_clients.c.client_id == sa.bindparam("client")
    )
)


class SqlClientRepository:
    """`gateway.tokens.ports.ClientRepository`.

    Every `get` asks the database. What is kept, for up to *cache_size* clients, is the outcome of parsing a
    document, used again only for the very same document. `recent` asks every `RECENT` seconds whether any
    client changed, and believes until then what it read.
    """

    def __init__(
        self, database: Database, clock: Clock, *, cache_size: int, idempotency_lifetime: float
    ) -> None:
        self._database = database
        self._clock = clock
        self._cache_size = cache_size
        self._lifetime = idempotency_lifetime
        self._parsed: OrderedDict[str, tuple[str, Client]] = OrderedDict()
        # Clients as they were at change `_number`, which was the latest until `_current_until` at least.
        self._recent: OrderedDict[str, Client] = OrderedDict()
        self._number = -1
        self._current_until = 0.0
        self._own_changes = 0

    async def get(self, client_id: str) -> Client | None:
        """The client as it is now, or None."""
        row = await self._database.fetch_one(_FIND, client=client_id)
        if row is None:
            self._parsed.pop(client_id, None)
            return None
        return self._parse(row)

    def at_hand(self, client_id: str) -> Client | None:
        """See `ClientRepository.at_hand`."""
        return self._recent.get(client_id) if time.monotonic() < self._current_until else None

    async def recent(self, client_id: str) -> Client | None:
        """See `ClientRepository.recent`."""
        now = time.monotonic()
        if now >= self._current_until:
            await self._ask_for_changes(now)
        client = self._recent.get(client_id)
        if client is None:
            number = self._number
            client = await self.get(client_id)
            # What was read before a change must not pass for what was read after it.
            if client is not None and number == self._number:
                self._recent[client_id] = client
                if len(self._recent) > self._cache_size:
                    self._recent.popitem(last=False)
        return client

    async def _ask_for_changes(self, now: float) -> None:
        own_changes = self._own_changes
        number = await self.change_number()
        if number != self._number:
            self._recent.clear()
            self._number = number
        if own_changes == self._own_changes:
            self._current_until = now + RECENT

    async def _change(self, work: Work[T]) -> T:
        """Run *work*; the next `recent` of this process sees what it did, even where it seemed to fail."""
        try:
            return await self._database.transaction(work)
        finally:
            self._own_changes += 1
            self._current_until = 0.0

    async def list(self, *, after: str | None, limit: int) -> Page:
        """Up to *limit* clients whose id sorts after *after*, by their bytes in UTF-8."""
        rows = await self._database.fetch_all(_LIST, after=after or "", size=limit + 1)
        page = tuple(_client(row) for row in rows[:limit])
        return Page(page, page[-1].client_id if page and len(rows) > limit else None)

    async def create(self, client: Client, key: IdempotencyKey | None) -> tuple[Client, bool]:
        """See `ClientRepository.create`. A replay returns the client as it is now."""
        client = replace(client, revision=1)
        create_time = to_microseconds(client.create_time)

        async def work(transaction: Transaction) -> tuple[Client, bool]:
            await counters.lock(transaction, counters.CLIENTS)
            if key is not None:
                first = await idempotency.claim(
                    transaction,
                    key,
                    idempotency.ReplayedResource(client.client_id, create_time),
                    now=self._clock(),
                    lifetime=self._lifetime,
                )
                if first is not None:
                    return await _require(transaction, first.resource_id), False
            row = None
            if await transaction.fetch_one(_FIND_BURIED, client=client.client_id) is None:
                row = await transaction.fetch_one(
                    _INSERT, client_id=client.client_id, create_time=create_time, **_values(client)
                )
            if row is None:
                raise StateError(
                    Reason.CLIENT_ALREADY_EXISTS,
                    "A client of this id exists, or did: an id is never given again.",
                    field="client_id",
                )
            await counters.advance(transaction, counters.CLIENTS)
            return await _require(transaction, client.client_id), True

        return await self._change(work)

    async def replace(self, client: Client, *, expected_revision: int) -> Client:
        """See `ClientRepository.replace`."""
        changed = replace(client, revision=expected_revision + 1)

        async def work(transaction: Transaction) -> Client:
            await counters.lock(transaction, counters.CLIENTS)
            _require_revision(await _require(transaction, client.client_id), expected_revision)
            await transaction.execute(_REPLACE, client=client.client_id, **_values(changed))
            await counters.advance(transaction, counters.CLIENTS)
            return await _require(transaction, client.client_id)

        return await self._change(work)

    async def delete(self, client_id: str, *, expected_revision: int | None) -> None:
        """See `ClientRepository.delete`."""

        async def work(transaction: Transaction) -> None:
            await counters.lock(transaction, counters.CLIENTS)
            stored = await _require(transaction, client_id)
            if expected_revision is not None:
                _require_revision(stored, expected_revision)
            await transaction.execute(_DELETE, client=client_id)
            await transaction.execute(_BURY, client=client_id)
            await counters.advance(transaction, counters.CLIENTS)

        await self._change(work)

    async def self_signed_certificates(self) -> tuple[bytes, ...]:
        """DER of every certificate registered for self-signed TLS authentication by an enabled client."""
        rows = await self._database.fetch_all(_SELF_SIGNED)
        # Thousands of documents take a while to read; the event loop goes on meanwhile.
        return await asyncio.to_thread(_certificates, rows)

    async def change_number(self) -> int:
        """A number that grows with every change to any client."""
        return await counters.read(self._database, counters.CLIENTS)

    def _parse(self, row: Row) -> Client:
        client_id, revision, document = row
        known = self._parsed.get(client_id)
        if known is not None and known[0] == document and known[1].revision == revision:
            self._parsed.move_to_end(client_id)
            return known[1]
        client = _client(row)
        self._parsed[client_id] = document, client
        self._parsed.move_to_end(client_id)
        if len(self._parsed) > self._cache_size:
            self._parsed.popitem(last=False)
        return client


def _certificates(rows: Sequence[Row]) -> tuple[bytes, ...]:
    # A dict keeps the order and drops repetitions.
    return tuple(dict.fromkeys(each for row in rows for each in own_certificates(row[2])))


def _client(row: Row) -> Client:
    client_id, revision, document = row
    return from_document(client_id, revision, document)


def _values(client: Client) -> dict[str, object]:
    return {
        "revision": client.revision,
        "authentication_method": client.authentication_method.value,
        "disabled": int(client.disabled),
        "document": to_document(client),
    }


async def _require(transaction: Transaction, client_id: str) -> Client:
    row = await transaction.fetch_one(_FIND, client=client_id)
    if row is None:
        raise _not_found()
    return _client(row)


def _require_revision(client: Client, expected: int) -> None:
    if client.revision != expected:
        raise StateError(Reason.ETAG_MISMATCH, "The client was changed meanwhile.", field="etag")


def _not_found() -> StateError:
    return StateError(Reason.CLIENT_NOT_FOUND, "There is no such client.", field="client_id")
