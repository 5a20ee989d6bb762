"""Which addresses a stranger's URL or name may lead to: globally routed unicast, and nothing else.

The lists are the IANA special-purpose registries (RFC 6890) by hand, because a library's idea of "global" has
changed between releases. Version 6 is allowed by what it is in (2000::/3, RFC 4291 §2.4), so mapped,
translated (NAT64), unique local, link-local, multicast and unassigned addresses are refused by not being
listed; what is special within 2000::/3 is listed.
"""

from collections.abc import Sequence
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final, TypeAlias

from gateway.fetching.errors import FetchError, FetchFault

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network

# SOURCE: iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry, and the RFCs named.
_REFUSED_V4: Final = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",  # This network, RFC 791 §3.2.
        "10.0.0.0/8",  # Private, RFC 1918.
        "100.64.0.0/10",  # Carrier-grade NAT, RFC 6598.
        "127.0.0.0/8",  # Loopback, RFC 1122 §3.2.1.3.
        "169.254.0.0/16",  # Link-local, RFC 3927: also where clouds put instance metadata.
        "172.16.0.0/12",  # Private, RFC 1918.
        "192.0.0.0/24",  # IETF protocol assignments, RFC 6890 §2.1.
        "192.0.2.0/24",  # Documentation, RFC 5737.
        "192.31.196.0/24",  # AS112, RFC 7535.
        "192.52.193.0/24",  # AMT relays, RFC 7450.
        "192.88.99.0/24",  # 6to4 relays, RFC 7526.
        "192.168.0.0/16",  # Private, RFC 1918.
        "192.175.48.0/24",  # AS112, RFC 7534.
        "198.18.0.0/15",  # Benchmarking, RFC 2544.
        "198.51.100.0/24",  # Documentation, RFC 5737.
        "203.0.113.0/24",  # Documentation, RFC 5737.
        "224.0.0.0/4",  # Multicast, RFC 5771.
        "240.0.0.0/4",  # Reserved and limited broadcast, RFC 1112 §4 and RFC 919 §7.
        "168.63.129.16/32",  # Azure's host agent: routed nowhere, yet every virtual machine there reaches it.
    )
)
_GLOBAL_V6: Final = IPv6Network("2000::/3")
_REFUSED_V6: Final = tuple(
    IPv6Network(text)
    for text in (
        "2001::/23",  # IETF protocol assignments, RFC 2928: Teredo, ORCHID, benchmarking among them.
        "2001:db8::/32",  # Documentation, RFC 3849.
        "2002::/16",  # 6to4, RFC 3056: carries any version 4 address.
        "2620:4f:8000::/48",  # AS112, RFC 7534.
        "3fff::/20",  # Documentation, RFC 9637.
    )
)
# What an operator may open for one host by name: networks of a company, never loopback or link-local.
_INNER: Final[tuple[Network, ...]] = (
    IPv4Network("10.0.0.0/8"),
    IPv4Network("172.16.0.0/12"),
    IPv4Network("192.168.0.0/16"),
    IPv4Network("100.64.0.0/10"),
    IPv6Network("fc00::/7"),
)


def is_public(address: Address) -> bool:
    """Whether *address* is globally routed unicast. A scoped address (``fe80::1%eth0``) never is."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    if address.scope_id is not None or address not in _GLOBAL_V6:
        return False
    return not any(address in network for network in _REFUSED_V6)


def require_reachable(addresses: Sequence[Address], *, host: str, inner: Sequence[Network] = ()) -> None:
    """Every one of *addresses* is public, or within *inner*, the networks that the operator opened for
    *host*.

    One bad answer refuses the host: a name that is both public and private is under attack or broken. Raises
    `FetchError` with `ADDRESS_REFUSED`.
    """
    for address in addresses:
        if not is_public(address) and not any(address in network for network in inner):
            raise FetchError(FetchFault.ADDRESS_REFUSED, "the host leads to an inner address", host=host)


def parse_inner_network(text: str) -> Network:
    """A network that configuration opens for one host: within RFC 1918, RFC 6598 or RFC 4193 space.

    Raises `ValueError` for any other, so that no configuration reaches loopback or cloud metadata.
    """
    network = ip_network(text)
    for space in _INNER:
        same_family = (network.version, space.version) in ((4, 4), (6, 6))
        if same_family and network.subnet_of(space):  # type: ignore[arg-type]  # same family, as checked
            return network
    raise ValueError(f"{text} is not within a private network (RFC 1918, RFC 6598, RFC 4193)")


def parse_literal(text: str) -> Address | None:
    """The address that *text* spells in its one canonical form, None for anything else."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return address if str(address) == text else None
