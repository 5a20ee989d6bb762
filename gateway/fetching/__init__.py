"""The one guarded HTTP client, the one guarded dialer and the one DNS resolver of the gateway.

Rules: `client`. Start there. Nothing else in the gateway opens a connection to where a request, a token or a
document points. Every refusal is a `FetchError` with a stable `FetchFault`.
"""

from gateway.fetching.addresses import Address, Network, is_public, parse_inner_network
from gateway.fetching.client import DEFAULT_POLICY, GuardedClient
from gateway.fetching.dialer import GuardedDialer
from gateway.fetching.errors import FetchError, FetchFault
from gateway.fetching.freshness import freshness_lifetime
from gateway.fetching.message import Fetched, FetchRequest
from gateway.fetching.policy import AcmeHttpPolicy, ClientLimits, DangerousLoopbackDoor, FetchPolicy
from gateway.fetching.resolver import DnsResolver, Resolver

__all__ = [
    "DEFAULT_POLICY",
    "AcmeHttpPolicy",
    "Address",
    "ClientLimits",
    "DangerousLoopbackDoor",
    "DnsResolver",
    "FetchError",
    "FetchFault",
    "FetchPolicy",
    "FetchRequest",
    "Fetched",
    "GuardedClient",
    "GuardedDialer",
    "Network",
    "Resolver",
    "freshness_lifetime",
    "is_public",
    "parse_inner_network",
]
