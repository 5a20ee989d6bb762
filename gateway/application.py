"""The use cases, wired: configuration in, the parts that every door calls out.

`open_application` owns what it opens, in this order: signers, database, purge, keyring; it closes in reverse.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from gateway.audit.checkpointing import Checkpointer
from gateway.audit.ports import AuditTrail
from gateway.audit.reading import AuditReader
from gateway.client_roots import ClientRoots
from gateway.clock import Clock, system_clock
from gateway.config import ConfigurationError, Settings
from gateway.enrollment.core import Enrollment
from gateway.enrollment.minter import ClientTokenMinter
from gateway.fetching import DnsResolver, GuardedClient
from gateway.introspection.feed import RevocationFeed, RevocationFeedRepository
from gateway.introspection.introspect import Introspector
from gateway.introspection.signed_response import SigningIntrospector
from gateway.keys.keyring import Keyring
from gateway.keys.loading import KeyringLoader
from gateway.keys.management import KeyManager
from gateway.keys.rotation import KeyRotator
from gateway.login.delegated import DelegatedLogin
from gateway.pki import PkiError
from gateway.store import Store, open_store
from gateway.telemetry.audit import AuditLog
from gateway.telemetry.database_times import DatabaseTimes
from gateway.tokens.authorization_requests import AuthorizationRequests
from gateway.tokens.caller import CallerTokenAuthenticator
from gateway.tokens.client_authentication import CertificateTrust
from gateway.tokens.client_keys import ClientKeys
from gateway.tokens.dpop import DpopDoor
from gateway.tokens.metadata import ServerMetadata
from gateway.tokens.mint import TokenMinter
from gateway.tokens.registration import ClientRegistrar
from gateway.tokens.revocation import TokenRevoker
from gateway.wiring.audit import audit_reader, audit_trail, checkpointer
from gateway.wiring.client_keys import client_keys
from gateway.wiring.enrollment import enrollment_of, wire_minter
from gateway.wiring.keys import declared_key, key_use_cases
from gateway.wiring.login import delegated_login
from gateway.wiring.metadata import server_metadata
from gateway.wiring.presentation_extra import presentations_if_configured
from gateway.wiring.signers import open_signers
from gateway.wiring.store import store_options, store_url
from gateway.wiring.tokens import token_use_cases
from signers.registry import SignerRegistry

if TYPE_CHECKING:
    from gateway.presentations.core import Presentations


@dataclass(frozen=True, slots=True)
class Application:
    """Everything behind the doors. Whoever serves enters `rotator`, and `checkpointer` where there is one."""

    signers: SignerRegistry
    store: Store
    keyring: Keyring
    keys: KeyManager
    rotator: KeyRotator
    trail: AuditTrail
    checkpointer: Checkpointer | None
    audit_reader: AuditReader
    minter: TokenMinter
    revoker: TokenRevoker
    introspector: Introspector
    signing_introspector: SigningIntrospector
    feed: RevocationFeed
    authorizations: AuthorizationRequests
    login: DelegatedLogin | None
    registrar: ClientRegistrar
    callers: CallerTokenAuthenticator
    dpop: DpopDoor
    metadata: ServerMetadata
    client_tokens: ClientTokenMinter | None
    enrollment: Enrollment | None
    presentations: "Presentations | None"


@asynccontextmanager
async def open_application(
    settings: Settings,
    trust: CertificateTrust,
    *,
    migrate: bool = False,
    clock: Clock = system_clock,
    audit: AuditLog | None = None,
    guarded_client: Callable[..., GuardedClient] | None = None,
    times: DatabaseTimes | None = None,
    around_feed: Callable[[RevocationFeedRepository], RevocationFeedRepository] = lambda feed: feed,
) -> AsyncIterator[Application]:
    """Open signers, database and keyring, and wire the use cases.

    *trust* verifies client certificates; *migrate* brings the database to the needed revision first; *audit*
    is told of every signature. *guarded_client* is called in place of `GuardedClient`. *times* and
    *around_feed* watch the database and the revocation feed, see `gateway.wiring.observation`.
    Raises `ConfigurationError`, `SignerError`, `StoreError`, `AvailabilityError`: the start must not go on.
    """
    declared = [declared_key(settings, key) for key in settings.keys]
    keyring = Keyring()
    async with (
        open_signers(settings) as signers,
        open_store(
            store_url(settings), options=store_options(settings), clock=clock, migrate=migrate, times=times
        ) as store,
        store.replicas.announced(),
        audit_trail(settings, store, clock) as trail,
        store.purge.running(),
        store.listening(),
        KeyringLoader(
            keyring=keyring,
            repository=store.keys,
            signers=signers,
            declared=declared,
            clock=clock,
            audit=audit,
            news=store.key_news,
            trail=trail,
        ) as loader,
        RevocationFeed(around_feed(store.revocation_feed), news=store.revocation_news) as feed,
        client_keys(settings, partial(GuardedClient, DnsResolver()), clock) as published_keys,
        presentations_if_configured(
            settings, store, keyring, DnsResolver(), clock=clock, trail=trail
        ) as presentations,
    ):
        wired = _wire(
            settings,
            trust,
            signers,
            store,
            keyring,
            loader,
            feed,
            published_keys,
            trail=trail,
            clock=clock,
            guarded_client=guarded_client or GuardedClient,
        )
        yield replace(wired, presentations=presentations)


def load_roots(settings: Settings) -> ClientRoots:
    """The roots of client certificates. Raises `ConfigurationError`."""
    path = settings.path(settings.server.client_ca)
    try:
        return ClientRoots(path.read_bytes())
    except (OSError, PkiError) as error:
        raise ConfigurationError(
            f"server.client_ca: {path}: {error}; name a PEM bundle of the roots of client certificates."
        ) from error


def _wire(
    settings: Settings,
    trust: CertificateTrust,
    signers: SignerRegistry,
    store: Store,
    keyring: Keyring,
    loader: KeyringLoader,
    feed: RevocationFeed,
    client_keys: ClientKeys,
    *,
    trail: AuditTrail,
    clock: Clock,
    guarded_client: Callable[..., GuardedClient],
) -> Application:
    use_cases = token_use_cases(
        settings,
        trust=trust,
        store=store,
        keyring=keyring,
        refresh_keys=loader.refresh,
        ensure_fresh=loader.ensure_fresh,
        client_keys=client_keys,
        clock=clock,
        trail=trail,
    )
    manager, rotator = key_use_cases(
        settings,
        signers=signers,
        keyring=keyring,
        loader=loader,
        repository=store.keys,
        clock=clock,
        trail=trail,
    )
    resolver = DnsResolver()
    fetcher = guarded_client(resolver)
    return Application(
        signers=signers,
        store=store,
        keyring=keyring,
        keys=manager,
        rotator=rotator,
        trail=trail,
        checkpointer=checkpointer(settings, store, keyring, clock),
        audit_reader=audit_reader(settings, store, trail, clock),
        minter=use_cases.minter,
        revoker=use_cases.revoker,
        introspector=use_cases.introspector,
        signing_introspector=use_cases.signing_introspector,
        feed=feed,
        authorizations=use_cases.authorizations,
        login=delegated_login(
            settings,
            authorizations=use_cases.authorizations,
            pending=store.pending_logins,
            fetcher=fetcher,
            client=partial(guarded_client, resolver),
            clock=clock,
        ),
        registrar=_registrar(settings, store, clock, trail),
        callers=use_cases.callers,
        dpop=use_cases.dpop,
        metadata=server_metadata(settings),
        client_tokens=wire_minter(settings, store, keyring, clock, trail),
        enrollment=enrollment_of(settings, store, keyring, fetcher, resolver, clock, trail),
        presentations=None,
    )


def _registrar(settings: Settings, store: Store, clock: Clock, trail: AuditTrail) -> ClientRegistrar:
    return ClientRegistrar(
        clients=store.clients,
        max_lifetime=settings.tokens.max_lifetime,
        issuer=settings.tokens.issuer,
        clock=clock,
        key_hosts=frozenset(settings.client_keys.hosts),
        trail=trail,
    )
