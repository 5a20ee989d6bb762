"""One address that the edge listens on: takes connections, has them shake hands, and hands them over."""

import asyncio
import errno
import logging
import os
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Final

from gateway.edge.handshakes import Handshakes
from gateway.limits.peers import site_of

logger = logging.getLogger(__name__)

_BACKLOG: Final = 1024
_HANDSHAKE_TIMEOUT: Final = 10.0
SHUTDOWN_TIMEOUT: Final = 2.0
"""Seconds that the other side gets to answer the end of TLS."""
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_AT_ONCE: Final = struct.pack("ii", 1, 0)
"""``struct linger``: a connection ends with a reset, and leaves nothing behind."""
_EXHAUSTED_PAUSE: Final = 1.0
"""Seconds without accepting, where the process or the system has no files or memory left."""


class Listener:
    """Serves every address that *host* stands for. *factory* makes the protocol of a connection.

    An own loop of accept in place of `asyncio.loop.create_server`, which takes all connections that wait at
    once, and starts as many handshakes.
    """

    def __init__(
        self, context: ssl.SSLContext, handshakes: Handshakes, factory: Callable[[], asyncio.Protocol]
    ) -> None:
        self._context = context
        self._handshakes = handshakes
        self._factory = factory
        self._loop = asyncio.get_running_loop()
        self._sockets: list[socket.socket] = []
        self._resuming: asyncio.TimerHandle | None = None

    def open(self, host: str, port: int, *, shared: bool) -> int:
        """Bind and take connections; the port. *shared*: other processes may listen on it too.

        *host* is an address, or a name that the system knows by itself; empty for every address. Raises
        `OSError`.
        """
        infos = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        try:
            for family, kind, protocol, _, address in dict.fromkeys(infos):
                listening = socket.socket(family, kind, protocol)
                self._sockets.append(listening)
                _prepare(listening, shared=shared)
                listening.bind(address)
        except OSError:
            self.close()
            raise
        for listening in self._sockets:
            listening.listen(_BACKLOG)
        self._resume()
        return int(self._sockets[0].getsockname()[1])

    def close(self) -> None:
        """Take no more connections. Handshakes under way go on. Idempotent."""
        self._pause()
        for listening in self._sockets:
            listening.close()
        self._sockets.clear()

    def _pause(self) -> None:
        if self._resuming is not None:
            self._resuming.cancel()
            self._resuming = None
        for listening in self._sockets:
            self._loop.remove_reader(listening)

    def _resume(self) -> None:
        self._resuming = None
        for listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    def _pause_for(self, seconds: float) -> None:
        self._pause()
        self._resuming = self._loop.call_later(seconds, self._resume)

    def _accept(self, listening: socket.socket) -> None:
        """Take one connection, if it is time for it: called again in the next turn while others wait."""
        wait = self._handshakes.wait()
        if wait > 0:
            self._pause_for(wait)
            return
        try:
            connection, address = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return  # Another worker took it, or the peer has gone.
        except OSError as error:
            if error.errno not in _EXHAUSTED:
                raise
            logger.error("No connections are accepted for a moment: %s", os.strerror(error.errno or 0))  # noqa: TRY400 - no trace
            self._pause_for(_EXHAUSTED_PAUSE)
            return
        host = str(address[0])
        site = site_of(host)
        if not self._handshakes.admit(host, site):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _AT_ONCE)
            connection.close()
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        shaking = self._loop.create_task(self._shake(connection), name="handshake")
        self._handshakes.begin(shaking, site)

    async def _shake(self, connection: socket.socket) -> None:
        """From here on *factory*'s protocol has the connection; one that fails is nobody's fault here."""
        try:
            await self._loop.connect_accepted_socket(
                self._factory,
                connection,
                ssl=self._context,
                ssl_handshake_timeout=_HANDSHAKE_TIMEOUT,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
            )
        except OSError as error:  # ssl.SSLError and TimeoutError are among them.
            logger.debug("A handshake failed: %s", error)


def _prepare(listening: socket.socket, *, shared: bool) -> None:
    listening.setblocking(False)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if listening.family == socket.AF_INET6:
        # Not IPv4 too: that has a socket of its own, which could not bind beside it.
        listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
