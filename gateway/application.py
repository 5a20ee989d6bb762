"""The use cases, wired: configuration in, the parts that every door calls out.

`open_application` owns what it opens, in this order: signers, database, purge, keyring; it closes in reverse.
"""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit, urlunsplit

from cryptography import x509

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
from gateway.keys.declared import DeclaredKey
from gateway.keys.keyring import Keyring
from gateway.keys.loading import KeyringLoader
from gateway.keys.management import KeyManager
from gateway.keys.model import KeyPurpose
from gateway.keys.rotation import KeyRotator
from gateway.login.delegated import DelegatedLogin
from gateway.pki import PkiError
from gateway.proofs.dpop import REPLAY_KIND as DPOP_REPLAY_KIND
from gateway.settings.keys import KeySettings
from gateway.store import Store, StoreOptions, open_store
from gateway.telemetry.audit import AuditLog
from gateway.telemetry.database_times import DatabaseTimes
from gateway.tokens.authorization_requests import AuthorizationRequests
from gateway.tokens.caller import CallerTokenAuthenticator
from gateway.tokens.client_assertion import REPLAY_KIND as CLIENT_ASSERTION_KIND
from gateway.tokens.client_authentication import CertificateTrust
from gateway.tokens.client_keys import ClientKeys
from gateway.tokens.dpop import DpopDoor
from gateway.tokens.metadata import AUTHORIZATION_PATH, PublicUrls, ServerMetadata, describe
from gateway.tokens.mint import TokenMinter
from gateway.tokens.registration import ClientRegistrar
from gateway.tokens.revocation import TokenRevoker
from gateway.wiring.audit import audit_reader, audit_trail, checkpointer
from gateway.wiring.client_keys import client_keys
from gateway.wiring.enrollment import enrollment_of, wire_minter
from gateway.wiring.keys import key_manager, key_rotator
from gateway.wiring.login import delegated_login
from gateway.wiring.presentation_extra import presentations_if_configured
from gateway.wiring.tokens import token_use_cases
from signers.pkcs11.options import Pkcs11Options
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
    declared = [_declared(settings, key) for key in settings.keys]
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


def open_signers(settings: Settings) -> SignerRegistry:
    """The signer registry that *settings* describe; an async context manager, not entered yet."""
    pkcs11 = settings.pkcs11
    module_path = pkcs11.module_path
    return SignerRegistry(
        base_dir=settings.base_dir,
        pkcs11=Pkcs11Options(
            module_path=None if module_path is None else str(settings.path(module_path)),
            sessions=pkcs11.sessions,
            max_queue=pkcs11.queue,
            timeout=pkcs11.sign_timeout,
            keep_alive=pkcs11.keep_alive,
            read_write_sessions=pkcs11.read_write_sessions,
            isolation=pkcs11.isolation,
        ),
        remote={
            "vault": settings.vault.overrides(),
            "awskms": settings.awskms.overrides(),
            "gcpkms": settings.gcpkms.overrides(),
            "azurekms": settings.azurekms.overrides(),
        },
        processes=settings.server.workers,
    )


def store_url(settings: Settings) -> str:
    """The database URL: a relative SQLite file is taken from the configuration's folder, and a PostgreSQL
    password from `password_file`. Raises `ConfigurationError` where that cannot be read.
    """
    url = settings.store.url
    relative = url.removeprefix("sqlite:///")
    if relative != url:
        return url if relative.startswith("/") else f"sqlite:///{settings.base_dir.absolute() / relative}"
    if settings.store.password_file is None:
        return url
    path = settings.path(settings.store.password_file)
    try:
        password = path.read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"store.password_file: {path} cannot be read: {error}; name a readable text file."
        ) from error
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    if not at or ":" in user:
        raise ConfigurationError(
            "store.url: name the user in it and no password: the password comes from password_file."
        )
    return urlunsplit(parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}"))


def public_urls(settings: Settings) -> PublicUrls:
    """How clients reach the HTTPS edge."""
    server = settings.server
    return PublicUrls(
        plain=settings.public_url if server.https_address else None,
        mtls=settings.edge.mtls_public_url if server.https_mtls_address else None,
        authorization=(
            settings.edge.authorization_url
            if settings.upstream.issuer is None
            else settings.public_url + AUTHORIZATION_PATH
        ),
    )


def store_options(settings: Settings) -> StoreOptions:
    """The store's options."""
    store = settings.store
    return StoreOptions(
        pool_max_size=store.pool_size,
        command_timeout=store.timeout,
        write_timeout=store.timeout,
        prepared_statements=store.statement_cache,
        single_use_lifetimes=_single_use_lifetimes(settings),
        notifications=store.notify,
    )


def _single_use_lifetimes(settings: Settings) -> dict[str, float]:
    """How long what works once can be used, counted from the first moment at which it can have been.

    With both clocks off by all that is allowed: a proof of a clock that is ahead, kept by one that is behind.
    """
    tokens, skew = settings.tokens, 2 * settings.tokens.clock_skew
    lifetimes = {
        DPOP_REPLAY_KIND: tokens.dpop_window + skew,
        CLIENT_ASSERTION_KIND: tokens.assertion_max_lifetime + skew,
    }
    return {kind: float(seconds) for kind, seconds in lifetimes.items()}


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
    tokens = settings.tokens
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
    manager = key_manager(
        settings,
        keyring=keyring,
        loader=loader,
        repository=store.keys,
        signers=signers,
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
        rotator=key_rotator(settings, keyring=keyring, manager=manager, repository=store.keys, clock=clock),
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
        registrar=ClientRegistrar(
            clients=store.clients,
            max_lifetime=tokens.max_lifetime,
            issuer=tokens.issuer,
            clock=clock,
            key_hosts=frozenset(settings.client_keys.hosts),
            trail=trail,
        ),
        callers=use_cases.callers,
        dpop=use_cases.dpop,
        metadata=_metadata(settings),
        client_tokens=wire_minter(settings, store, keyring, clock, trail),
        enrollment=enrollment_of(settings, store, keyring, fetcher, resolver, clock, trail),
        presentations=None,
    )


def _metadata(settings: Settings) -> ServerMetadata:
    tokens = settings.tokens
    return describe(
        tokens.issuer,
        tokens.assertion_algorithms,
        tokens.dpop_algorithms,
        public_urls(settings),
        [key.algorithm for key in settings.keys if key.purpose is KeyPurpose.INTROSPECTION],
    )


def _declared(settings: Settings, key: KeySettings) -> DeclaredKey:
    certificate = None
    if key.certificate is not None:
        path = settings.path(key.certificate)
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"keys.certificate: {path}: it is not a readable PEM certificate; mend the file or the path."
            ) from error
    return DeclaredKey(key.purpose, key.algorithm, key.uri, key.public_key_sha256, certificate)
