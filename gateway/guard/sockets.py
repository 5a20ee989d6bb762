"""The TCP sockets of this process that belong to some local ports: who is connected, and the listeners.

gRPC's core owns them and tells nobody their descriptors, so they are found in ``/proc/self/fd``. A descriptor
may be closed and used anew at any moment, by threads of the core: whatever is done to a socket is done to a
duplicate, whose inode is looked at first, and which keeps the socket from becoming another one meanwhile.
"""

import ctypes
import os
import socket
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from gateway.limits.peers import site_of

_FD_FOLDER: Final = "/proc/self/fd"
_STABLE: Final = 5.0
"""Seconds after which a connection is not looked at again by a quick scan: a flood leaves those alone."""
_RECEIVED: Final = 128
"""Where ``tcpi_bytes_received`` is in ``struct tcp_info`` (linux/tcp.h); 8 octets, host order."""
_INFO_OCTETS: Final = 136
_libc: Final = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Connection:
    """One accepted connection. *host*: of the other end, IPv4 where it is mapped; *site* as in
    `gateway.limits.peers`; *since*: when it was first seen, seconds.
    """

    descriptor: int
    inode: int
    local_port: int
    host: str
    port: int
    site: str
    since: float


class OwnSockets:
    """The sockets with one of *ports* as their local port. Belongs to one event loop."""

    def __init__(self, ports: Iterable[int]) -> None:
        self._ports = frozenset(ports)
        self._known: dict[int, tuple[int, Connection | None]] = {}
        self._buffer = ctypes.create_string_buffer(_INFO_OCTETS)

    @property
    def connections(self) -> list[Connection]:
        """Those of the last scan, in the order in which they were first seen."""
        return [connection for _, connection in self._known.values() if connection is not None]

    def scan(self, now: float, *, quick: bool = False) -> list[Connection]:
        """Look for connections; those that are new. *quick* takes connections that have long been there for
        granted. Raises `OSError` where there is no ``/proc``.
        """
        known, fresh = self._known, []
        descriptors = {int(name) for name in os.listdir(_FD_FOLDER)}  # noqa: PTH208 - paths would be made for numbers
        for gone in known.keys() - descriptors:
            del known[gone]
        for descriptor in descriptors:
            before = known.get(descriptor)
            if quick and before is not None and before[1] is not None and now - before[1].since > _STABLE:
                continue
            try:
                status = os.fstat(descriptor)
            except OSError:
                known.pop(descriptor, None)
                continue
            if before is not None and before[0] == status.st_ino:
                continue
            known.pop(descriptor, None)
            found = self._inspect(descriptor, now) if stat.S_ISSOCK(status.st_mode) else None
            known[descriptor] = (status.st_ino if found is None else found.inode, found)
            if found is not None:
                fresh.append(found)
        return fresh

    def received(self, connection: Connection) -> int | None:
        """Octets that the kernel received on *connection* so far; None where it is gone."""
        size = ctypes.c_uint32(_INFO_OCTETS)
        failed = _libc.getsockopt(
            connection.descriptor, socket.IPPROTO_TCP, socket.TCP_INFO, self._buffer, ctypes.byref(size)
        )
        if failed or size.value < _INFO_OCTETS:
            return None
        return int.from_bytes(self._buffer.raw[_RECEIVED:_INFO_OCTETS], "little")

    def close(self, connection: Connection) -> bool:
        """End *connection* in both directions, so that the core closes it; whether it was there still."""
        duplicate = _duplicate(connection.descriptor)
        if duplicate is None:
            return False
        with duplicate:
            try:
                if os.fstat(duplicate.fileno()).st_ino != connection.inode:
                    return False
                duplicate.shutdown(socket.SHUT_RDWR)
            except OSError:
                return False
        return True

    def listeners(self) -> list[socket.socket]:
        """Duplicates of the sockets that listen on the ports; whoever asks closes them."""
        found: dict[int, socket.socket] = {}
        for name in os.listdir(_FD_FOLDER):  # noqa: PTH208 - as above
            known = self._known.get(int(name))
            if known is not None and known[1] is not None:
                continue
            duplicate = _duplicate(int(name))
            if duplicate is None:
                continue
            inode = os.fstat(duplicate.fileno()).st_ino
            if inode not in found and self._listens(duplicate):
                found[inode] = duplicate
            else:
                duplicate.close()
        return list(found.values())

    def _listens(self, candidate: socket.socket) -> bool:
        try:
            listens = candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
            return bool(listens) and _port(candidate.getsockname()) in self._ports
        except OSError:
            return False  # A socket of a kind that cannot listen.

    def _inspect(self, descriptor: int, now: float) -> Connection | None:
        duplicate = _duplicate(descriptor)
        if duplicate is None:
            return None
        with duplicate:
            if duplicate.family not in {socket.AF_INET, socket.AF_INET6}:
                return None
            try:
                local = _port(duplicate.getsockname())
                if local not in self._ports:
                    return None
                host, port = duplicate.getpeername()[:2]
                inode = os.fstat(duplicate.fileno()).st_ino
            except OSError:
                return None  # It listens, or its other end has gone already.
        host = str(host).partition("%")[0].removeprefix("::ffff:")
        return Connection(descriptor, inode, local, host, int(port), site_of(host), now)


def _duplicate(descriptor: int) -> socket.socket | None:
    try:
        duplicate = os.dup(descriptor)
    except OSError:
        return None
    try:
        return socket.socket(fileno=duplicate)
    except OSError:
        os.close(duplicate)
        return None


def _port(address: object) -> int:
    """The port of an address as `socket.socket.getsockname` gives it; 0 where it has none."""
    return int(address[1]) if isinstance(address, tuple) else 0
