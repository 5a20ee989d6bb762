"""TLS whose socket OpenSSL reads and writes itself: what `asyncio.Transport` promises, over real sockets."""

import asyncio
import socket
import ssl
import threading
from contextlib import asynccontextmanager, suppress

import pytest

from gateway.edge import tls_transport
from gateway.edge.tls_transport import HIGH_WATER, LOW_WATER, RECORD, TlsTransport, accept
from tests.support.pki import Authority

LINGER, PATIENCE = 0.5, 0.5
PERIOD = 10.0
"""Seconds that a test waits for what must come."""
LARGE = 8 * 1024 * 1024
"""Octets: more than the buffers of two sockets hold."""


class Recorder(asyncio.Protocol):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.pieces = 0
        self.events: list[str] = []
        self.lost = asyncio.Event()
        self.error: Exception | None = None
        self.arrived = asyncio.Event()

    def connection_made(self, transport):
        self.events.append("made")

    def data_received(self, data):
        self.received += data
        self.pieces += 1
        self.arrived.set()

    def eof_received(self):
        self.events.append("eof")

    def pause_writing(self):
        self.events.append("pause")

    def resume_writing(self):
        self.events.append("resume")

    def connection_lost(self, exc):
        self.events.append("lost")
        self.error = exc
        self.lost.set()

    async def until(self, count: int) -> bytes:
        """What has arrived, once it is *count* octets."""
        async with asyncio.timeout(PERIOD):
            while len(self.received) < count:
                self.arrived.clear()
                await self.arrived.wait()
        return bytes(self.received)


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """A server's context and its client's."""
    folder = tmp_path_factory.mktemp("tls")
    root = Authority.root()
    issued = root.server()
    (folder / "chain.pem").write_bytes(issued.key_pem + issued.chain_pem)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "chain.pem")
    client = ssl.create_default_context(cadata=root.pem.decode())
    return server, client


def handshake(theirs: socket.socket, context: ssl.SSLContext) -> "asyncio.Future[ssl.SSLSocket]":
    """The client's side, in a thread."""
    return asyncio.ensure_future(
        asyncio.to_thread(
            context.wrap_socket, theirs, server_hostname="localhost", suppress_ragged_eofs=False
        )
    )


def pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of one TCP connection; the first does not block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        theirs = socket.create_connection(listening.getsockname())
        ours, _ = listening.accept()
    ours.setblocking(False)
    theirs.settimeout(PERIOD)
    return ours, theirs


@asynccontextmanager
async def connected(contexts, protocol=None):
    """A transport of ours, its protocol, and the client's blocking socket."""
    ours, theirs = pair()
    protocol = protocol or Recorder()
    shaking = handshake(theirs, contexts[1])
    secured = await accept(ours, contexts[0], timeout=PERIOD)
    client = await shaking
    transport = TlsTransport(secured, protocol, linger=LINGER, patience=PATIENCE)
    try:
        yield transport, protocol, client
    finally:
        transport.abort()
        client.close()
        await asyncio.sleep(0)


async def lost(protocol) -> None:
    """Wait for the end of the connection."""
    async with asyncio.timeout(PERIOD):
        await protocol.lost.wait()


async def test_both_directions(contexts):
    """What either side sends arrives at the other, and the transport knows its peer."""
    async with connected(contexts) as (transport, protocol, client):
        client.sendall(b"question")
        assert await protocol.until(8) == b"question"
        transport.write(b"answer")
        assert await asyncio.to_thread(client.recv, 100) == b"answer"
        assert transport.get_extra_info("peername") == client.getsockname()
        assert transport.get_extra_info("ssl_object").version() == "TLSv1.3"


async def test_what_came_with_the_end_of_the_handshake(contexts):
    """Octets that the client sent before the transport existed are not waited for."""
    ours, theirs = pair()
    protocol = Recorder()

    def client() -> ssl.SSLSocket:
        secured = contexts[1].wrap_socket(theirs, server_hostname="localhost")
        secured.sendall(b"early")
        return secured

    shaking = asyncio.ensure_future(asyncio.to_thread(client))
    secured = await accept(ours, contexts[0], timeout=PERIOD)
    other = await shaking
    transport = TlsTransport(secured, protocol, linger=LINGER, patience=PATIENCE)
    assert await protocol.until(5) == b"early"
    transport.abort()
    other.close()


async def test_more_than_a_record_at_once(contexts):
    """A large message arrives whole, in pieces of a record at most, and other work gets its turn."""
    message = bytes(range(256)) * (LARGE // 256)
    async with connected(contexts) as (_, protocol, client):
        sending = asyncio.ensure_future(asyncio.to_thread(client.sendall, message))
        assert await protocol.until(LARGE) == message
        await sending
        assert protocol.pieces >= LARGE // RECORD


async def test_a_slow_reader_is_waited_for(contexts):
    """What the socket does not take is kept, the protocol pauses and resumes, and all arrives in order."""
    message = bytes(range(256)) * (LARGE // 256)
    async with connected(contexts) as (transport, protocol, client):
        transport.write(message)
        assert transport.get_write_buffer_size() > HIGH_WATER
        assert protocol.events == ["made", "pause"]
        transport.write(b"end")

        def read() -> bytes:
            got = bytearray()
            while len(got) < LARGE + 3:
                got += client.recv(1 << 16)
            return bytes(got)

        assert await asyncio.to_thread(read) == message + b"end"
        assert protocol.events == ["made", "pause", "resume"]
        assert transport.get_write_buffer_size() <= LOW_WATER


async def test_close_sends_what_is_left(contexts):
    """`close` ends the connection when the peer has got everything, with close_notify."""
    message = bytes(LARGE)
    async with connected(contexts) as (transport, protocol, client):
        transport.write(message)
        transport.close()
        transport.write(b"too late")

        def read() -> int:
            count = 0
            while data := client.recv(1 << 16):  # Raises where TLS was not ended.
                count += len(data)
            client.unwrap()
            client.close()
            return count

        assert await asyncio.to_thread(read) == LARGE
        await lost(protocol)
        assert protocol.error is None
        assert protocol.events[-1] == "lost"


async def test_a_response_survives_what_nobody_reads(contexts):
    """A connection that is closed in the middle of what its peer sends still delivers its last words."""
    async with connected(contexts) as (transport, protocol, client):
        stop = threading.Event()

        def send() -> None:
            with suppress(OSError):
                while not stop.is_set():
                    client.sendall(bytes(RECORD))

        transport.pause_reading()
        sending = asyncio.ensure_future(asyncio.to_thread(send))
        transport.write(b"refused")
        transport.close()
        assert await asyncio.to_thread(client.recv, 100) == b"refused"
        stop.set()
        await sending
        await lost(protocol)


async def test_a_peer_that_takes_nothing_is_left(contexts):
    """After `close`, nobody waits for a peer that reads nothing for as long as the patience lasts."""
    async with connected(contexts) as (transport, protocol, _):
        transport.write(bytes(LARGE))
        transport.close()
        await lost(protocol)


async def test_a_peer_that_does_not_end_is_left(contexts):
    """After close_notify, nobody waits for a peer that keeps its side open for longer than the linger."""
    async with connected(contexts) as (transport, protocol, client):
        transport.close()
        assert await asyncio.to_thread(client.recv, 100) == b""
        await lost(protocol)


async def test_the_peer_ends(contexts):
    """close_notify of the peer is told, and ends the connection."""
    async with connected(contexts) as (transport, protocol, client):
        with suppress(OSError):
            await asyncio.to_thread(client.unwrap)
        client.close()
        await lost(protocol)
        assert protocol.events == ["made", "eof", "lost"]
        assert transport.is_closing()


async def test_the_peer_ends_without_tls(contexts):
    """The end of TCP without close_notify is an end all the same: HTTP has lengths of its own."""
    async with connected(contexts) as (_, protocol, client):
        client.close()
        await lost(protocol)
        assert protocol.events == ["made", "eof", "lost"]


async def test_a_reset_is_told(contexts):
    """A connection that is reset ends."""
    async with connected(contexts) as (_, protocol, client):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        client.close()
        await lost(protocol)
        assert protocol.events[-1] == "lost"


async def test_octets_that_are_no_tls(contexts):
    """A peer that goes on without TLS ends its connection."""
    async with connected(contexts) as (_, protocol, client):
        socket.socket.send(client, b"GET / HTTP/1.1\r\n\r\n" * 10)
        await lost(protocol)
        assert isinstance(protocol.error, ssl.SSLError)
        assert not protocol.received


async def test_reading_pauses(contexts):
    """Nothing is given to a protocol that has paused; all of it comes once it goes on."""
    message = bytes(range(256)) * 1024
    async with connected(contexts) as (transport, protocol, client):
        transport.pause_reading()
        sending = asyncio.ensure_future(asyncio.to_thread(client.sendall, message))
        transport.write(b"a turn of the loop")
        assert await asyncio.to_thread(client.recv, 100)
        assert not protocol.received
        assert not transport.is_reading()
        transport.resume_reading()
        assert await protocol.until(len(message)) == message
        await sending


async def test_a_protocol_pauses_between_two_records(contexts):
    """A pause within `data_received` holds back the records behind it."""

    class Once(Recorder):
        def data_received(self, data):
            super().data_received(data)
            transport.pause_reading()

    async with connected(contexts, Once()) as (transport, protocol, client):
        await asyncio.to_thread(client.sendall, bytes(4 * RECORD))
        await protocol.until(RECORD)
        assert len(protocol.received) == RECORD
        for count in (2, 3, 4):
            transport.resume_reading()
            await protocol.until(count * RECORD)
            assert len(protocol.received) == count * RECORD


async def test_a_failing_protocol_ends_its_connection(contexts, caplog):
    """A defect of the protocol is logged, and costs this connection only."""

    class Broken(Recorder):
        def data_received(self, data):
            raise RuntimeError("defect")

    async with connected(contexts, Broken()) as (_, protocol, client):
        client.sendall(b"x")
        await lost(protocol)
        assert isinstance(protocol.error, RuntimeError)
        assert "A connection's protocol failed" in caplog.text


async def test_abort_is_at_once(contexts):
    """`abort` drops what is left, and tells the protocol once."""
    async with connected(contexts) as (transport, protocol, _):
        transport.write(bytes(LARGE))
        transport.abort()
        transport.abort()
        transport.close()
        transport.write(b"too late")
        await lost(protocol)
        assert transport.get_write_buffer_size() == 0
        assert protocol.events.count("lost") == 1


async def test_a_connection_may_end_as_it_begins(contexts):
    """A protocol that refuses its connection is told of its end, and of nothing that arrived."""

    class Refusing(Recorder):
        def connection_made(self, transport):
            super().connection_made(transport)
            transport.abort()

    async with connected(contexts, Refusing()) as (_, protocol, client):
        with suppress(OSError):
            client.sendall(b"x")
        await lost(protocol)
        assert protocol.events == ["made", "lost"]


async def test_a_handshake_has_its_time(contexts):
    """A peer that begins no handshake is left, and its socket closed."""
    ours, theirs = pair()
    with pytest.raises(TimeoutError):
        await accept(ours, contexts[0], timeout=0.05)
    assert await asyncio.to_thread(theirs.recv, 1) == b""
    theirs.close()


async def test_no_handshake(contexts):
    """What is no ClientHello ends the connection with an error of TLS."""
    ours, theirs = pair()
    theirs.sendall(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n")
    with pytest.raises(ssl.SSLError):
        await accept(ours, contexts[0], timeout=PERIOD)
    theirs.close()


async def test_nothing_is_left_behind(contexts):
    """A handshake that is canceled closes its socket."""
    ours, theirs = pair()
    shaking = asyncio.create_task(accept(ours, contexts[0], timeout=PERIOD))
    await asyncio.sleep(0)
    shaking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await shaking
    assert await asyncio.to_thread(theirs.recv, 1) == b""
    theirs.close()


async def test_a_peer_gone_before_its_handshake(contexts):
    """A peer that has reset the connection meanwhile is an error like any other."""
    ours, theirs = pair()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    theirs.close()
    with pytest.raises((ConnectionError, ssl.SSLError, OSError), match=r"."):
        await accept(ours, contexts[0], timeout=PERIOD)
    assert ours.fileno() == -1


def test_a_peer_without_a_name():
    """The peer of a connection that is gone has no name."""
    with socket.socket() as unconnected:
        assert tls_transport._peer(unconnected) is None
