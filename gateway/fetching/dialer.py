"""Connecting to a host without being led astray: resolve once, check every answer, connect to what was
checked.

The name is looked up exactly once for each connection and the socket is opened to a checked address, given as
a literal; there is no second lookup in which a name could be rebound. The name lives on only in SNI and in
the verification of the certificate, which are the caller's TLS.
"""

import asyncio
import logging
import socket
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from gateway.fetching.addresses import Address, Network, require_reachable
from gateway.fetching.errors import FetchError, FetchFault
from gateway.fetching.policy import DangerousLoopbackDoor
from gateway.fetching.resolver import Resolver
from gateway.fetching.urls import canonical_host

logger = logging.getLogger(__name__)

MAX_ATTEMPTS: Final = 4  # addresses tried before the host counts as unreachable
_LOOPBACK: Final = IPv4Address("127.0.0.1")


class GuardedDialer:
    """Opens TCP connections to hosts that a stranger may have named.

    - *resolver*: where addresses come from; never trusted.
    - *inner_hosts*: exact host names for which the operator opened private networks (an upstream provider
      inside the company); every other host leads to public addresses only. Values come from
      `parse_inner_network`.
    - *door*: see `DangerousLoopbackDoor`; None in production.
    """

    def __init__(
        self,
        resolver: Resolver,
        *,
        inner_hosts: Mapping[str, Sequence[Network]] | None = None,
        door: DangerousLoopbackDoor | None = None,
    ) -> None:
        self._resolver = resolver
        self._inner_hosts = {name.lower(): tuple(networks) for name, networks in (inner_hosts or {}).items()}
        self._door = door
        if door is not None:
            logger.warning("The loopback door for tests is open for: %s", ", ".join(sorted(door.names)))

    @property
    def named_hosts(self) -> frozenset[str]:
        """Hosts that configuration spells out, and which may be single labels or special names."""
        names = frozenset(self._inner_hosts)
        return names | self._door.names if self._door is not None else names

    def uses_door(self, host: str) -> bool:
        """Whether *host* leads through the test door."""
        return self._door is not None and host in self._door.names

    async def resolve(self, host: str) -> tuple[Address, ...]:
        """The addresses of *host*, a name or an IP literal, every one of them checked.

        The caller bounds the time. Raises `FetchError`: `HOST_REFUSED`, `NAME_NOT_FOUND`, `DNS_FAILED`,
        `DNS_ANSWER_TOO_LARGE` or `ADDRESS_REFUSED`.
        """
        name, literal = self._canonical(host)
        if self.uses_door(name):
            return (_LOOPBACK,)
        addresses = await self._resolver.addresses(name) if literal is None else (literal,)
        if not addresses:
            raise FetchError(FetchFault.NAME_NOT_FOUND, "the name has no address", host=name)
        require_reachable(addresses, host=name, inner=self._inner_hosts.get(name, ()))
        return addresses

    async def dial(self, host: str, port: int, *, connect_timeout: float = 3.0) -> socket.socket:
        """A connected, non-blocking TCP socket to one checked address of *host*; the caller closes it.

        At most `MAX_ATTEMPTS` addresses are tried in order, each for *connect_timeout* seconds. For TLS, pass
        the socket on: ``asyncio.open_connection(sock=..., ssl=..., server_hostname=host)``; so ACME
        tls-alpn-01 (RFC 8737 §3) is validated. Raises `FetchError` as `resolve` does, or with
        `CONNECT_FAILED`.
        """
        addresses = await self.resolve(host)
        if self._door is not None and self.uses_door(self._canonical(host)[0]):
            port = self._door.port_map.get(port, port)
        cause: Exception | None = None
        for address in addresses[:MAX_ATTEMPTS]:
            try:
                return await _connect(address, port, connect_timeout)
            except OSError as error:  # A TimeoutError is one, too.
                cause = error
        raise FetchError(FetchFault.CONNECT_FAILED, "no address accepts a connection", host=host) from cause

    def _canonical(self, host: str) -> tuple[str, Address | None]:
        return canonical_host(f"[{host}]" if ":" in host else host, named_hosts=self.named_hosts)


async def _connect(address: Address, port: int, connect_timeout: float) -> socket.socket:
    family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
    connection = socket.socket(family, socket.SOCK_STREAM)
    try:
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(connect_timeout):
            await asyncio.get_running_loop().sock_connect(connection, (str(address), port))
    except BaseException:
        connection.close()
        raise
    return connection
