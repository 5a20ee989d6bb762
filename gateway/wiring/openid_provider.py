"""An OpenID provider from the configuration, wherever users log in there."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from gateway.clock import Clock
from gateway.config import ConfigurationError, Settings
from gateway.fetching import FetchError, FetchPolicy, GuardedClient, parse_inner_network
from gateway.oidc.provider import Provider, ProviderConfig
from gateway.wiring.inner_roots import read_roots

_HTTPS: Final = 443


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """What the configuration says of one provider.

    - `networks`: of the operator's own, in which the provider may be; then it has a client of its own, so
      that they are open to nobody else. `ca`: roots for it, and `ca_field` the name of that field.
    - `field`: the one that names the provider, for errors.
    """

    issuer: str
    client_id: str
    networks: Sequence[str]
    ca: Path | None
    field: str
    ca_field: str


def open_provider(
    settings: Settings,
    configured: ProviderSettings,
    *,
    shared: GuardedClient,
    own: Callable[..., GuardedClient],
    clock: Clock,
) -> Provider:
    """The provider, asked nothing yet. *shared* reaches public hosts; *own* makes a client, of
    `GuardedClient`'s options. Raises `ConfigurationError`.
    """
    try:
        parts = urlsplit(configured.issuer)
        ports = frozenset({_HTTPS, parts.port or _HTTPS})
        config = ProviderConfig(
            configured.issuer, configured.client_id, fetch_policy=FetchPolicy(ports=ports)
        )
        networks = [parse_inner_network(each) for each in configured.networks]
        client = shared
        if networks:
            roots = read_roots(settings, configured.ca, configured.ca_field)
            client = own(inner_hosts={parts.hostname or "": networks}, ca_pem=roots)
        client.parse(configured.issuer, config.fetch_policy)
    except (ValueError, FetchError) as error:
        raise ConfigurationError(f"{configured.field}: {error}.") from error
    return Provider(config, client=client, clock=clock)
