"""What stands for a peer that has no name: its address, or the network that one site gets of IPv6."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

SITE_PREFIX: Final = 64
"""Bits of an IPv6 address that name a network; whoever has one has all 2^64 addresses in it (RFC 4291
§2.5.1), so that they count as one."""
UNKNOWN: Final = "unknown"
"""A peer without an address, such as one on a Unix socket."""
REMEMBERED: Final = 4096


class AddressSet:
    """The addresses of some *networks*, each in CIDR form or one address."""

    def __init__(self, networks: Iterable[str] = ()) -> None:
        """Raises `ValueError` for what is no network."""
        self._networks = tuple(map(ipaddress.ip_network, networks))
        self.includes = lru_cache(maxsize=REMEMBERED)(self._includes)
        """Whether a host, as `site_of` takes it, is one of them; what is no address is none."""

    def _includes(self, host: str) -> bool:
        address = _address_of(host)
        return address is not None and any(address in network for network in self._networks)


def site_of(host: str) -> str:
    """*host* itself for IPv4, mapped into IPv6 or not (RFC 4291 §2.5.5.2), and its /64 for IPv6.

    `UNKNOWN` for what is no address.
    """
    address = _address_of(host)
    if address is None:
        return UNKNOWN
    if isinstance(address, ipaddress.IPv6Address):
        return str(ipaddress.IPv6Network((int(address), SITE_PREFIX), strict=False))
    return str(address)


def _address_of(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address


def site_of_forwarded(entry: str) -> str:
    """As `site_of`, of what a proxy wrote: an address, in brackets or not, with a port or without."""
    text = entry.strip(" \t")
    site = site_of(text.strip("[]"))
    return site_of(text.rpartition(":")[0].strip("[]")) if site == UNKNOWN else site


@lru_cache(maxsize=REMEMBERED)
def site_of_peer(peer: str) -> str:
    """As `site_of`, of a peer as it is logged.

    gRPC writes ``ipv4:192.0.2.1:50123`` and ``ipv6:%5B2001:db8::1%5D:50123``, the edge ``192.0.2.1:50123``
    and ``2001:db8::1:50123``.
    """
    address = unquote(peer).removeprefix("ipv4:").removeprefix("ipv6:")
    return site_of(address.rpartition(":")[0].strip("[]"))
