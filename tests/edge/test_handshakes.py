"""How the edge takes connections: at a pace, so many at a time, and the oldest handshake gives way."""

import asyncio
import errno
import logging
import ssl
from contextlib import suppress

import pytest

from gateway.edge import handshakes, listener
from gateway.edge.handshakes import BURST, SITE_BURST, Handshakes
from gateway.edge.listener import Listener
from gateway.limits.peers import AddressSet
from tests.support.edge import Edge
from tests.support.gateway import SteppedClock, running_gateway
from tests.support.softhsm import eventually

HEALTHY = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


async def forever() -> None:
    await asyncio.Event().wait()


def begun(shaking: Handshakes, site: str) -> "asyncio.Task[None]":
    """One more handshake with *site*, which does not go on."""
    task = asyncio.create_task(forever())
    shaking.begin(task, site)
    return task


async def ended(task: "asyncio.Task[None]") -> bool:
    await asyncio.sleep(0)
    return task.cancelled()


async def test_a_pace():
    """After a burst the next one waits its turn, and no longer than that."""
    shaking = Handshakes(per_second=10, per_site=1, exempt=AddressSet())
    for number in range(BURST):
        assert shaking.wait() == 0.0
        assert shaking.admit(f"192.0.2.{number}", f"192.0.2.{number}")
    assert 0 < shaking.wait() <= 0.1


async def test_the_share_of_an_address():
    """An address that goes on beginning handshakes gets half of the pace, and no other waits for it."""
    clock = SteppedClock()
    clock.now = 0.0
    proxy = AddressSet(["198.51.100.0/24"])
    shaking = Handshakes(per_second=10, per_site=1, exempt=proxy, clock=clock)

    def admitted(host: str, count: int) -> int:
        return sum(shaking.admit(host, host) for _ in range(count))

    assert admitted("192.0.2.1", 100) == SITE_BURST * 10
    assert admitted("192.0.2.2", 1) == 1
    assert admitted("198.51.100.7", 100) == 100
    clock.advance(2)
    assert admitted("192.0.2.1", 100) == 10


async def test_the_oldest_of_an_address_gives_way():
    """An address that has too many handshakes under way loses its oldest, and no other address does."""
    shaking = Handshakes(per_second=1, per_site=2, exempt=AddressSet())
    other = begun(shaking, "192.0.2.1")
    tasks = [begun(shaking, "192.0.2.2") for _ in range(3)]
    assert [await ended(task) for task in (other, *tasks)] == [False, True, False, False]
    assert len(shaking) == 3
    shaking.cancel()
    await asyncio.gather(other, *tasks, return_exceptions=True)
    assert len(shaking) == 0
    assert shaking._tasks == {}


async def test_the_oldest_of_all_gives_way(monkeypatch):
    """Of many addresses with few handshakes each, the oldest handshake gives way."""
    monkeypatch.setattr(handshakes, "MOST", 2)
    shaking = Handshakes(per_second=1, per_site=2, exempt=AddressSet())
    tasks = [begun(shaking, f"192.0.2.{number}") for number in range(3)]
    assert [await ended(task) for task in tasks] == [True, False, False]
    shaking.cancel()


async def test_silent_connections(tmp_path):
    """Who says nothing keeps nobody out: the connection that has been silent longest is closed."""
    async with running_gateway(tmp_path, server={"https_max_connections_per_peer": 2}) as gateway:
        edge = Edge(gateway)
        silent = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(3)]
        async with asyncio.timeout(5):
            assert await silent[0][0].read() == b""
        assert (await edge.raw(HEALTHY)).startswith(b"HTTP/1.1 200")
        assert not silent[2][0].at_eof()
        for _, writer in silent:
            writer.close()


async def test_a_handshake_that_fails(tmp_path):
    """What is no TLS, or nothing, leaves nothing behind."""
    async with running_gateway(tmp_path) as gateway:
        edge = Edge(gateway)
        for octets in (b"GET / HTTP/1.1\r\n\r\n", b""):
            reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
            writer.write(octets)
            writer.write_eof()
            with suppress(ConnectionResetError):
                async with asyncio.timeout(20):
                    await reader.read()
            writer.close()
        shaking = gateway.server._edge._handshakes
        await eventually(lambda: not len(shaking))
        assert gateway.server._edge.connections == 0


async def test_more_than_the_pace(tmp_path):
    """Who comes faster than handshakes are begun waits, and is served."""
    server = {"https_handshakes_per_second": 20}
    async with running_gateway(tmp_path, server=server) as gateway:
        edge = Edge(gateway)
        plain = [await asyncio.open_connection("127.0.0.1", edge.port) for _ in range(BURST)]
        assert (await edge.raw(HEALTHY)).startswith(b"HTTP/1.1 200")
        for _, writer in plain:
            writer.close()


async def test_a_flood_of_one_address_keeps_nobody_out(tmp_path):
    """Where one address fills the kernel's queue, what it has there is closed, and others get their turn."""
    server = {"https_handshakes_per_second": 25, "https_max_connections_per_peer": 1_000}
    async with running_gateway(tmp_path, server=server) as gateway:
        edge = Edge(gateway)
        flood = [
            await asyncio.open_connection("127.0.0.1", edge.port, local_addr=("127.0.0.2", 0))
            for _ in range(400)
        ]
        async with asyncio.timeout(12):  # All of them, at the pace, would take 14 s.
            assert (await edge.raw(HEALTHY)).startswith(b"HTTP/1.1 200")
        closed = [reader for reader, _ in flood if reader.at_eof() or reader.exception() is not None]
        assert len(closed) > 100
        for _, writer in flood:
            writer.close()


async def test_drain_ends_handshakes(tmp_path):
    """A handshake under way does not hold up the drain."""
    async with running_gateway(tmp_path) as gateway:
        reader, writer = await asyncio.open_connection("127.0.0.1", Edge(gateway).port)
        shaking = gateway.server._edge._handshakes
        async with asyncio.timeout(5):
            await eventually(lambda: len(shaking) > 0)
            await gateway.server.drain()
            assert await reader.read() == b""
        writer.close()


async def test_no_files_left(monkeypatch, caplog):
    """Where no more files can be opened, accepting pauses and goes on; it neither ends nor spins."""
    monkeypatch.setattr(listener, "_EXHAUSTED_PAUSE", 0.01)
    listening = Listener(
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        Handshakes(per_second=1, per_site=1, exempt=AddressSet()),
        asyncio.Protocol,
    )
    resumed = asyncio.Event()
    monkeypatch.setattr(listening, "_resume", resumed.set)

    class Exhausted:
        def accept(self):
            raise OSError(errno.EMFILE, "Too many open files")

    with caplog.at_level(logging.ERROR):
        listening._accept(Exhausted())
    assert "Too many open files" in caplog.text
    assert not resumed.is_set()
    async with asyncio.timeout(5):
        await resumed.wait()
    with pytest.raises(OSError, match="Bad file"):
        listening._accept(Broken())


class Broken:
    """A listening socket that is none any more."""

    def accept(self):
        raise OSError(errno.EBADF, "Bad file descriptor")
