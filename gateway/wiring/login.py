"""Logins at the upstream provider, from the configuration."""

from collections.abc import Callable

from gateway.clock import Clock
from gateway.config import ConfigurationError, Settings
from gateway.fetching import GuardedClient
from gateway.login.delegated import DelegatedLogin
from gateway.login.pending import LoginBounds, PendingLogins
from gateway.oidc.relying_party import RelyingParty
from gateway.oidc.token_endpoint import ClientAuthentication, ClientSecretBasic, PublicClient
from gateway.tokens.authorization_requests import AuthorizationRequests
from gateway.tokens.metadata import CALLBACK_PATH
from gateway.wiring.openid_provider import ProviderSettings, open_provider


def delegated_login(
    settings: Settings,
    *,
    authorizations: AuthorizationRequests,
    pending: PendingLogins,
    fetcher: GuardedClient,
    client: Callable[..., GuardedClient],
    clock: Clock,
) -> DelegatedLogin | None:
    """The use case; None where no provider is named. *fetcher* and *client* as in `open_provider`.

    Raises `ConfigurationError`.
    """
    upstream = settings.upstream
    if upstream.issuer is None or upstream.client_id is None:
        return None
    provider = open_provider(
        settings,
        ProviderSettings(
            upstream.issuer, upstream.client_id, upstream.networks, upstream.ca, "upstream", "upstream.ca"
        ),
        shared=fetcher,
        own=client,
        clock=clock,
    )
    return DelegatedLogin(
        authorizations=authorizations,
        party=RelyingParty(provider, authentication=_proof(settings), clock=clock),
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
