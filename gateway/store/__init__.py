"""What the gateway remembers: SQLite in one file, or PostgreSQL by URL, with the same tables and rules.

`open_store` is the way in; `gateway.store.migrations` brings a database to the revision that it needs.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.clock import Clock, system_clock
from gateway.news import News
from gateway.store import counters
from gateway.store.accounts import SqlAccountRepository, SqlExternalAccountRepository
from gateway.store.announcements import Announcements
from gateway.store.audit import SqlAuditRepository
from gateway.store.authorization_codes import SqlCodeRepository, SqlPushedRequestRepository
from gateway.store.certificates import SqlCertificateRepository
from gateway.store.change_news import ChangeNews
from gateway.store.clients import SqlClientRepository
from gateway.store.database import Database
from gateway.store.failures import (
    MissingDriverError,
    RestoreNeededError,
    SchemaRevisionError,
    StoreCause,
    StoreError,
    StoreUrlError,
)
from gateway.store.grants import SqlGrantRepository
from gateway.store.keys import SqlKeyRepository
from gateway.store.leases import Leases
from gateway.store.migrations import check_revision, revisions, upgrade
from gateway.store.migrations.revisions import number_of
from gateway.store.observed import ObservedDatabase
from gateway.store.opaque_tokens import SqlOpaqueTokenRepository
from gateway.store.options import SqliteUrl, StoreOptions, parse_url
from gateway.store.orders import SqlOrderRepository
from gateway.store.pending_logins import SqlPendingLoginRepository
from gateway.store.postgresql import open_postgresql
from gateway.store.postgresql_driver import connect
from gateway.store.postgresql_listener import PostgresqlListener
from gateway.store.presentation_requests import SqlPresentationRequestRepository
from gateway.store.purge import Purge
from gateway.store.refresh_tokens import SqlRefreshTokenRepository
from gateway.store.replays import SqlReplayRepository
from gateway.store.replicas import Replicas
from gateway.store.restored import RestoreMarks, require_usable
from gateway.store.revocation_feed import SqlRevocationFeedRepository
from gateway.store.revocations import SqlRevocationRepository
from gateway.store.sqlite import open_sqlite
from gateway.store.sqlite_file import SqliteFile
from gateway.telemetry.database_times import DatabaseTimes

__all__ = [
    "MissingDriverError",
    "RestoreMarks",
    "RestoreNeededError",
    "SchemaRevisionError",
    "Store",
    "StoreCause",
    "StoreError",
    "StoreOptions",
    "StoreUrlError",
    "check_revision",
    "exposed_file",
    "open_store",
    "parse_url",
    "upgrade",
]


@dataclass(frozen=True, slots=True)
class Store:
    """The repositories over one database.

    `purge.running()` and `listening()` are for the composition root to enter: without the second the news are
    never certain, and tell nothing.
    """

    clients: SqlClientRepository
    revocations: SqlRevocationRepository
    replay: SqlReplayRepository
    keys: SqlKeyRepository
    accounts: SqlAccountRepository
    external_accounts: SqlExternalAccountRepository
    orders: SqlOrderRepository
    certificates: SqlCertificateRepository
    codes: SqlCodeRepository
    pushed_requests: SqlPushedRequestRepository
    pending_logins: SqlPendingLoginRepository
    presentation_requests: SqlPresentationRequestRepository
    grants: SqlGrantRepository
    refresh_tokens: SqlRefreshTokenRepository
    opaque_tokens: SqlOpaqueTokenRepository
    revocation_feed: SqlRevocationFeedRepository
    revocation_news: News
    key_news: News
    listening: Callable[[], AbstractAsyncContextManager[None]]
    audit: SqlAuditRepository
    database: Database
    purge: Purge
    replicas: Replicas
    marks: RestoreMarks

    async def check_writable(self) -> None:
        """For readiness: write and commit something. Raises `AvailabilityError` with a `StoreCause`."""
        self.replicas.require_current()
        await self.database.check_writable()


def exposed_file(url: str) -> Path | None:
    """The SQLite file that *url* names where others than its owner may open it, else None; for a warning.

    Raises `StoreUrlError`.
    """
    target = parse_url(url)
    if isinstance(target, SqliteUrl) and SqliteFile(target.path).is_exposed():
        return target.path
    return None


@asynccontextmanager
async def open_store(
    url: str,
    *,
    options: StoreOptions | None = None,
    clock: Clock = system_clock,
    migrate: bool = False,
    times: DatabaseTimes | None = None,
) -> AsyncIterator[Store]:
    """The store at *url*: ``sqlite:///relative``, ``sqlite:////absolute``, ``postgresql://user@host/name``.

    With *times* every statement is timed into it, and becomes a part of the span of its call.

    With *migrate* the database is made and brought to the needed revision first; without, any other revision
    is refused. Raises `StoreError` (what to do is in its message) and `AvailabilityError`.
    """
    options = options or StoreOptions()
    if migrate:
        await upgrade(url, options=options)
    else:
        await check_revision(url, options=options)
    async with _opened(url, options, times) as opened:
        marks = await require_usable(opened.database, has_identity=opened.is_postgresql)
        yield _store(opened, marks, options, clock)


@dataclass(frozen=True, slots=True)
class _Opened:
    """A database; `listening` has to be entered for the news of its changes to be certain."""

    database: Database
    is_postgresql: bool
    news: ChangeNews
    listening: Callable[[], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def _opened(url: str, options: StoreOptions, times: DatabaseTimes | None) -> AsyncIterator[_Opened]:
    target, news = parse_url(url), ChangeNews(counters.TOLD)
    listening: Callable[[], AbstractAsyncContextManager[None]] = nullcontext
    async with AsyncExitStack() as stack:
        database: Database
        if isinstance(target, SqliteUrl):
            database = await stack.enter_async_context(open_sqlite(target.path, options))
        else:
            database = await stack.enter_async_context(open_postgresql(target.dsn, options))
            if options.notifications:
                listening = PostgresqlListener(partial(connect, target.dsn, options), database, news).running
        is_postgresql = not isinstance(target, SqliteUrl)
        if times is not None:
            database = ObservedDatabase(database, times, "postgresql" if is_postgresql else "sqlite")
        yield _Opened(database, is_postgresql, news, listening)


def _store(opened: _Opened, marks: RestoreMarks, options: StoreOptions, clock: Clock) -> Store:
    database, news = opened.database, opened.news
    lifetime = options.idempotency_lifetime
    revoked = Announcements()
    replicas = Replicas(database, clock, program=number_of(revisions.CURRENT.head))
    return Store(
        clients=SqlClientRepository(
            database, clock, cache_size=options.client_cache_size, idempotency_lifetime=lifetime
        ),
        revocations=SqlRevocationRepository(database, revoked),
        replay=SqlReplayRepository(database, marks, options.single_use_lifetimes),
        keys=SqlKeyRepository(database, clock, idempotency_lifetime=lifetime),
        accounts=SqlAccountRepository(database),
        external_accounts=SqlExternalAccountRepository(database),
        orders=SqlOrderRepository(database, marks),
        certificates=SqlCertificateRepository(database, marks),
        codes=SqlCodeRepository(database, revoked),
        pushed_requests=SqlPushedRequestRepository(database),
        pending_logins=SqlPendingLoginRepository(database),
        presentation_requests=SqlPresentationRequestRepository(database),
        grants=SqlGrantRepository(database, revoked),
        refresh_tokens=SqlRefreshTokenRepository(database, revoked),
        opaque_tokens=SqlOpaqueTokenRepository(database),
        revocation_feed=SqlRevocationFeedRepository(database, revoked),
        revocation_news=news.topics[counters.REVOCATIONS],
        key_news=news.topics[counters.KEYS],
        listening=opened.listening,
        audit=SqlAuditRepository(database, hashes=opened.is_postgresql),
        database=database,
        purge=Purge(database, clock, options, Leases(database, replicas.replica_id)),
        replicas=replicas,
        marks=marks,
    )
