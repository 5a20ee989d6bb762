"""Tokens, wired: minting, revocation, introspection, authorization, from the configuration and the store."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from gateway.audit.ports import AuditTrail
from gateway.callers import CallerDirectory
from gateway.clock import Clock
from gateway.config import Settings
from gateway.introspection.introspect import Introspector
from gateway.introspection.refresh_tokens import RefreshTokenReader
from gateway.introspection.signed_response import SigningIntrospector
from gateway.keys.keyring import Keyring
from gateway.store import Store
from gateway.tokens.authorization_code import CodeRedeemer
from gateway.tokens.authorization_requests import AuthorizationRequests
from gateway.tokens.caller import CallerTokenAuthenticator
from gateway.tokens.client_assertion import AssertionPolicy, ClientAssertionVerifier
from gateway.tokens.client_authentication import CertificateTrust, ClientAuthenticator, SingleUseProofs
from gateway.tokens.client_keys import ClientKeys
from gateway.tokens.dpop import DpopDoor
from gateway.tokens.grants import (
    AuthorizationCodeGrant,
    Decider,
    Grant,
    JwtBearerGrant,
    RefreshTokenGrant,
    TokenExchangeGrant,
)
from gateway.tokens.jwt_bearer import AssertionGranter
from gateway.tokens.mint import TokenMinter
from gateway.tokens.refresh import RefreshPolicy, RefreshTokens
from gateway.tokens.revocation import TokenRevoker
from gateway.tokens.revocation_status import RevocationStatus
from gateway.tokens.token_exchange import TokenExchanger
from gateway.tokens.verification import AccessTokenVerifier
from gateway.wiring.dpop_doors import dpop_doors
from gateway.wiring.trusted_issuers import trusted_issuers


@dataclass(frozen=True, slots=True)
class TokenUseCases:
    """What every door calls. `dpop` takes the proofs for tokens; `callers` has a door of its own."""

    minter: TokenMinter
    revoker: TokenRevoker
    introspector: Introspector
    signing_introspector: SigningIntrospector
    authorizations: AuthorizationRequests
    callers: CallerTokenAuthenticator
    dpop: DpopDoor


def token_use_cases(
    settings: Settings,
    *,
    trust: CertificateTrust,
    store: Store,
    keyring: Keyring,
    refresh_keys: Callable[[], Awaitable[None]],
    ensure_fresh: Callable[[], Awaitable[None]],
    client_keys: ClientKeys,
    clock: Clock,
    trail: AuditTrail,
) -> TokenUseCases:
    """Everything about tokens. Raises `ConfigurationError`."""
    tokens = settings.tokens
    doors = dpop_doors(settings, store.replay, clock)
    authenticator = _authenticator(settings, trust, store, client_keys, doors.server, clock)
    verifier = AccessTokenVerifier(
        issuer=tokens.issuer,
        keyring=keyring,
        refresh_keys=refresh_keys,
        ensure_fresh=ensure_fresh,
        opaque=store.opaque_tokens,
        clock=clock,
        issued_before=store.marks.issued_before,
    )
    status = RevocationStatus(revocations=store.revocations, grants=store.grants)
    introspector = Introspector(
        authenticator=authenticator,
        verifier=verifier,
        clients=store.clients,
        status=status,
        refresh=RefreshTokenReader(issuer=tokens.issuer, repository=store.refresh_tokens, clock=clock),
    )
    deciders = {
        **_deciders(settings, store, clock, trail),
        TokenExchangeGrant: TokenExchanger(verifier=verifier, status=status, clients=store.clients),
    }
    return TokenUseCases(
        minter=_minter(settings, store, keyring, authenticator, deciders, clock, trail),
        revoker=_revoker(settings, store, authenticator, verifier, clock, trail),
        introspector=introspector,
        signing_introspector=SigningIntrospector(
            issuer=tokens.issuer,
            algorithm=tokens.introspection_algorithm,
            introspector=introspector,
            keyring=keyring,
            clock=clock,
        ),
        authorizations=_authorizations(settings, store, authenticator, clock, trail),
        callers=CallerTokenAuthenticator(
            issuer=tokens.issuer,
            verifier=verifier,
            clients=store.clients,
            status=status,
            directory=CallerDirectory(settings.callers),
            dpop=doors.api,
        ),
        dpop=doors.server,
    )


def _revoker(
    settings: Settings,
    store: Store,
    authenticator: ClientAuthenticator,
    verifier: AccessTokenVerifier,
    clock: Clock,
    trail: AuditTrail,
) -> TokenRevoker:
    return TokenRevoker(
        authenticator=authenticator,
        verifier=verifier,
        revocations=store.revocations,
        grants=store.grants,
        refresh_tokens=store.refresh_tokens,
        max_lifetime=settings.tokens.max_lifetime,
        clock=clock,
        trail=trail,
    )


def _authorizations(
    settings: Settings, store: Store, authenticator: ClientAuthenticator, clock: Clock, trail: AuditTrail
) -> AuthorizationRequests:
    tokens = settings.tokens
    return AuthorizationRequests(
        issuer=tokens.issuer,
        clients=store.clients,
        authenticator=authenticator,
        pushed=store.pushed_requests,
        codes=store.codes,
        code_lifetime=tokens.code_lifetime,
        pushed_lifetime=tokens.pushed_request_lifetime,
        clock=clock,
        trail=trail,
    )


def _minter(
    settings: Settings,
    store: Store,
    keyring: Keyring,
    authenticator: ClientAuthenticator,
    deciders: Mapping[type[Grant], Decider],
    clock: Clock,
    trail: AuditTrail,
) -> TokenMinter:
    tokens = settings.tokens
    return TokenMinter(
        issuer=tokens.issuer,
        algorithm=tokens.algorithm,
        lifetime=tokens.lifetime,
        keyring=keyring,
        authenticator=authenticator,
        deciders=deciders,
        opaque=store.opaque_tokens,
        clock=clock,
        trail=trail,
    )


def _authenticator(
    settings: Settings,
    trust: CertificateTrust,
    store: Store,
    keys: ClientKeys,
    proofs: SingleUseProofs,
    clock: Clock,
) -> ClientAuthenticator:
    tokens = settings.tokens
    policy = AssertionPolicy(
        audiences=(tokens.issuer, *tokens.assertion_audiences),
        algorithms=frozenset(tokens.assertion_algorithms),
        max_lifetime=tokens.assertion_max_lifetime,
        clock_skew=tokens.clock_skew,
    )
    assertions = ClientAssertionVerifier(policy=policy, keys=keys, replay=store.replay, clock=clock)
    return ClientAuthenticator(
        clients=store.clients,
        trust=trust,
        assertions=assertions,
        keys=keys,
        proofs=proofs,
        clock=clock,
    )


def _deciders(
    settings: Settings, store: Store, clock: Clock, trail: AuditTrail
) -> dict[type[Grant], Decider]:
    tokens = settings.tokens
    refresh = RefreshTokens(
        repository=store.refresh_tokens,
        policy=RefreshPolicy(
            idle=tokens.refresh_idle_lifetime,
            lifetime=tokens.refresh_lifetime,
            grace=tokens.refresh_grace,
            max_replays=tokens.refresh_grace_uses,
        ),
        clock=clock,
        trail=trail,
    )
    redeemer = CodeRedeemer(
        codes=store.codes, refresh=refresh, max_lifetime=tokens.max_lifetime, clock=clock, trail=trail
    )
    granter = AssertionGranter(
        issuer=tokens.issuer,
        trusted=trusted_issuers(settings),
        clients=store.clients,
        replay=store.replay,
        clock_skew=tokens.clock_skew,
        clock=clock,
    )
    return {AuthorizationCodeGrant: redeemer, RefreshTokenGrant: refresh, JwtBearerGrant: granter}
