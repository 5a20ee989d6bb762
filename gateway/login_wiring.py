"""Logins at the upstream provider, from the configuration."""

from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from gateway.clock import Clock
from gateway.config import ConfigurationError, Settings
from gateway.fetching import FetchError, FetchPolicy, GuardedClient, parse_inner_network
from gateway.inner_roots import read_roots
from gateway.login.delegated import DelegatedLogin
from gateway.login.pending import LoginBounds, PendingLogins
from gateway.oidc.provider import Provider, ProviderConfig
from gateway.oidc.relying_party import RelyingParty
from gateway.oidc.token_endpoint import ClientAuthentication, ClientSecretBasic, PublicClient
from gateway.tokens.authorization_requests import AuthorizationRequests
from gateway.tokens.metadata import CALLBACK_PATH

_HTTPS: Final = 443


def delegated_login(
    settings: Settings,
    *,
    authorizations: AuthorizationRequests,
    pending: PendingLogins,
    client: Callable[..., GuardedClient],
    clock: Clock,
) -> DelegatedLogin | None:
    """The use case; None where no provider is named. *client* makes one, of `GuardedClient`'s options.

    Raises `ConfigurationError`.
    """
    upstream = settings.upstream
    if upstream.issuer is None or upstream.client_id is None:
        return None
    try:
        parts = urlsplit(upstream.issuer)
        host, port = parts.hostname or "", parts.port or _HTTPS
        config = ProviderConfig(
            upstream.issuer, upstream.client_id, fetch_policy=FetchPolicy(ports=frozenset({_HTTPS, port}))
        )
        networks = [parse_inner_network(each) for each in upstream.networks]
        fetcher = client(
            inner_hosts={host: networks} if networks else None,
            ca_pem=read_roots(settings, upstream.ca, "upstream.ca"),
        )
        fetcher.parse(upstream.issuer, config.fetch_policy)
    except (ValueError, FetchError) as error:
        raise ConfigurationError(f"upstream: {error}.") from error
    return DelegatedLogin(
        authorizations=authorizations,
        party=RelyingParty(
            Provider(config, client=fetcher, clock=clock), authentication=_proof(settings), clock=clock
        ),
        pending=pending,
        issuer=upstream.issuer,
        callback_url=settings.public_url + CALLBACK_PATH,
        scopes=upstream.scopes,
        subject_prefix=upstream.subject_prefix,
        bounds=LoginBounds(upstream.max_logins_per_client, upstream.max_logins),
        clock=clock,
    )


def _proof(settings: Settings) -> ClientAuthentication:
    """How we authenticate there. Raises `ConfigurationError`."""
    if settings.upstream.client_secret_file is None:
        return PublicClient()
    path = settings.path(settings.upstream.client_secret_file)
    try:
        secret = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"upstream.client_secret_file: {path} cannot be read: {error}; name a readable text file."
        ) from error
    if not secret:
        raise ConfigurationError(f"upstream.client_secret_file: {path} is empty; put the secret there.")
    return ClientSecretBasic(secret)
