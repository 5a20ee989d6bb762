"""A connection over TLS whose socket OpenSSL reads and writes itself.

The event loop's own transport passes every record through two buffers in memory, and a request's response
through a queue: at the edge that took a third of the time of a request. This one reads a record when the
socket is readable and sends a response within the call that writes it; only what the socket does not take at
once is kept.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

logger = logging.getLogger(__name__)

RECORD: Final = 16 * 1024
"""Octets that one record holds at most (RFC 8446 §5.1)."""
RECORDS_AT_ONCE: Final = 8
"""Records taken from one connection before others get their turn."""
HIGH_WATER: Final = 64 * 1024
"""Octets that may wait to be sent before the protocol is told to pause."""
LOW_WATER: Final = 16 * 1024
"""Octets at which it may go on."""
_WAIT: Final = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


async def accept(connection: socket.socket, context: ssl.SSLContext, *, timeout: float) -> ssl.SSLSocket:  # noqa: ASYNC109 - it bounds every step together
    """Shake hands as the server on *connection*, which does not block, within *timeout* seconds.

    Raises `OSError`, of which `ssl.SSLError` and `TimeoutError` are, and then *connection* is closed.
    """
    try:
        secured = context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False, suppress_ragged_eofs=False
        )
    except BaseException:
        connection.close()
        raise
    try:
        async with asyncio.timeout(timeout):
            while True:
                try:
                    secured.do_handshake()
                except ssl.SSLWantReadError:
                    await _ready(secured, writable=False)
                except ssl.SSLWantWriteError:
                    await _ready(secured, writable=True)
                else:
                    return secured
    except BaseException:
        secured.close()
        raise


async def _ready(waited: socket.socket, *, writable: bool) -> None:
    """Wait until *waited* is readable, or *writable*."""
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[None] = loop.create_future()
    descriptor = waited.fileno()

    def tell() -> None:
        if not ready.done():
            ready.set_result(None)

    (loop.add_writer if writable else loop.add_reader)(descriptor, tell)
    try:
        await ready
    finally:
        (loop.remove_writer if writable else loop.remove_reader)(descriptor)


class TlsTransport(asyncio.Transport):
    """What `asyncio.Transport` promises, for one connection that has shaken hands, and its *protocol*.

    `get_extra_info` knows ``peername``, ``socket`` and ``ssl_object``. A peer that takes nothing of what is
    left for *patience* seconds after `close`, or does not end its side within *linger* seconds, is left.
    """

    def __init__(
        self, secured: ssl.SSLSocket, protocol: asyncio.Protocol, *, linger: float, patience: float
    ) -> None:
        super().__init__({"socket": secured, "ssl_object": secured, "peername": _peer(secured)})
        self._loop = asyncio.get_running_loop()
        self._socket = secured
        self._descriptor = secured.fileno()
        self._protocol = protocol
        self._linger = linger
        self._patience = patience
        self._unsent = bytearray()
        self._paused = False  # By the protocol, which reads no more for now.
        self._full = False  # The protocol was told to pause.
        self._writing = False  # The loop watches for room to write.
        self._reading = False  # The loop watches for something to read.
        self._closing = False
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None
        protocol.connection_made(self)
        if not self._ended:
            self._watch_reads(self._read)
            # What the peer sent with the end of its handshake may have been taken from the socket already.
            self._loop.call_soon(self._read)

    def is_closing(self) -> bool:
        """Whether the connection ends or has ended."""
        return self._closing

    def is_reading(self) -> bool:
        """Whether the protocol is given what arrives."""
        return self._reading and not self._closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Not offered: a connection keeps its protocol."""
        raise NotImplementedError

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Whom this connection is for."""
        return self._protocol

    def get_write_buffer_size(self) -> int:
        """Octets that the socket has not taken yet."""
        return len(self._unsent)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """`LOW_WATER` and `HIGH_WATER`, which are fixed."""
        return LOW_WATER, HIGH_WATER

    def can_write_eof(self) -> bool:
        """No: TLS ends in both directions."""
        return False

    def pause_reading(self) -> None:
        """Give the protocol nothing until `resume_reading`."""
        self._paused = True
        self._stop_reads()

    def resume_reading(self) -> None:
        """Go on."""
        if self._paused and not self._closing:
            self._paused = False
            self._watch_reads(self._read)
            # OpenSSL may hold what the socket will not tell of again.
            self._loop.call_soon(self._read)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send *data*, now as far as the socket takes it."""
        if self._closing or not data:
            return
        if self._unsent:
            self._unsent += data
        else:
            sent = self._send(data)
            if self._ended or sent == len(data):
                return
            self._unsent += memoryview(data)[sent:]
            self._watch_writes()
        if len(self._unsent) > HIGH_WATER and not self._full:
            self._full = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """Send what is left, then end TLS; the protocol hears of the end when the peer has ended too."""
        if self._closing:
            return
        self._closing = True
        self._stop_reads()
        if self._unsent:
            self._end_after(self._patience)
        else:
            self._say_goodbye()

    def abort(self) -> None:
        """End at once; what is left is not sent."""
        self._end(None)

    def _read(self) -> None:
        """Give the protocol what has arrived."""
        for _ in range(RECORDS_AT_ONCE):
            if self._paused or self._closing:
                return
            try:
                data = self._socket.read(RECORD)
            except _WAIT:
                return
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                data = b""
            except OSError as error:
                self._end(error)
                return
            if not data:
                self._protocol.eof_received()
                self.close()
                return
            try:
                self._protocol.data_received(data)
            except Exception as error:
                logger.exception("A connection's protocol failed")
                self._end(error)
                return
            if self.is_closing() or not self._socket.pending():
                return
        self._loop.call_soon(self._read)

    def _send(self, data: bytes | bytearray | memoryview) -> int:
        """How many octets of *data* the socket took."""
        sent = 0
        try:
            # Each call makes one record at least, and one more is needed for more than 16 KiB.
            while sent < len(data):
                sent += self._socket.write(memoryview(data)[sent:] if sent else data)
        except _WAIT:
            pass
        except OSError as error:
            self._end(error)
        return sent

    def _flush(self) -> None:
        """The socket has room again."""
        sent = self._send(self._unsent)
        if self._ended:
            return
        del self._unsent[:sent]
        if not self._unsent:
            self._stop_writes()
            if self._closing:
                self._say_goodbye()
        elif self._closing and sent:
            self._end_after(self._patience)
        if self._full and len(self._unsent) <= LOW_WATER:
            self._full = False
            self._protocol.resume_writing()

    def _say_goodbye(self) -> None:
        """Send close_notify and the end of the stream, then wait for the peer's.

        To close a socket that holds octets nobody read would reset the connection, and with it the response
        that may still be on its way.
        """
        self._end_after(self._linger)
        with suppress(OSError):  # Among them that the peer's close_notify is not there yet.
            self._socket.unwrap()
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            self._end(None)  # The peer has gone.
        else:
            self._watch_reads(self._drain)

    def _end_after(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self.abort)

    def _drain(self) -> None:
        """Drop what the peer still sends, until it ends its side or the timer does."""
        try:
            while data := socket.socket.recv(self._socket, RECORD):
                del data
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            pass
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        if self._ended:
            return
        self._ended = self._closing = True
        self._stop_reads()
        self._stop_writes()
        self._unsent.clear()
        if self._timer is not None:
            self._timer.cancel()
        # As with every transport: not within the call that ended it.
        self._loop.call_soon(self._lost, error)

    def _lost(self, error: Exception | None) -> None:
        try:
            self._protocol.connection_lost(error)
        finally:
            self._socket.close()

    def _watch_reads(self, read: Callable[[], Any]) -> None:
        self._reading = True
        self._loop.add_reader(self._descriptor, read)

    def _stop_reads(self) -> None:
        if self._reading:
            self._reading = False
            self._loop.remove_reader(self._descriptor)

    def _watch_writes(self) -> None:
        self._writing = True
        self._loop.add_writer(self._descriptor, self._flush)

    def _stop_writes(self) -> None:
        if self._writing:
            self._writing = False
            self._loop.remove_writer(self._descriptor)


def _peer(secured: ssl.SSLSocket) -> Any:
    try:
        return secured.getpeername()
    except OSError:
        return None  # It has gone; reading will tell.
