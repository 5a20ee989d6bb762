"""The keys that clients publish themselves, from the configuration."""

import ssl
from collections.abc import Callable

from gateway.clock import Clock
from gateway.config import ConfigurationError, Settings
from gateway.fetching import GuardedClient, parse_inner_network
from gateway.tokens.client_keys import CLIENT_KEYS_LIMITS, ClientKeys
from gateway.wiring.inner_roots import read_roots


def client_keys(settings: Settings, client: Callable[..., GuardedClient], clock: Clock) -> ClientKeys:
    """Finds the keys of clients. *client* makes a fetcher, of `GuardedClient`'s options.

    Raises `ConfigurationError`.
    """
    section = settings.client_keys
    networks = [parse_inner_network(each) for each in section.networks]
    roots = read_roots(settings, section.ca, "client_keys.ca")
    try:
        fetcher = client(
            limits=CLIENT_KEYS_LIMITS, inner_hosts=dict.fromkeys(section.hosts, networks), ca_pem=roots
        )
    except ssl.SSLError as error:
        raise ConfigurationError(
            "client_keys.ca: the file holds no certificate; name a PEM file of roots."
        ) from error
    return ClientKeys(fetcher, clock=clock)
