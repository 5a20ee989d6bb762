"""Addresses that take too much of gRPC's core: what is done to them, and that others notice nothing."""

import asyncio
import socket
from contextlib import ExitStack, asynccontextmanager

import pytest

from gateway.guard import syn_filter
from gateway.guard.guard import Measure
from gateway.guard.sockets import OwnSockets
from gateway.settings.limits import LimitSettings
from tests.support.bad_clients import ATTACKER, Door, DoorKind, attacking, ended
from tests.support.bad_http2 import ATTACKS, connected
from tests.support.http2_frames import call as http2_call
from tests.support.pki import Authority
from tests.support.rpc_server import JWKS, serving
from tests.support.softhsm import eventually

ROOT = Authority.root()
CONNECTIONS = 4
MIB = 2**20
PATIENCE = 60


@asynccontextmanager
async def guarded(folder, **settings):
    """A server whose guard makes no exception for this host, and the door that attackers knock at."""
    ca = folder / "ca.pem"
    ca.write_bytes(ROOT.pem)
    async with serving(folder, root=ROOT, **{"unlimited_addresses": (), **settings}) as running:
        yield running, Door.of(DoorKind.GRPC, running.server.ports.tls, ca)


async def blocked(running) -> None:
    """Wait until an address is blocked."""
    async with asyncio.timeout(PATIENCE):
        while not running.server.load.blocked:  # noqa: ASYNC110 - the guard tells nobody
            await asyncio.sleep(0.02)


async def refused(door: Door) -> None:
    """New connections of the attacker come to nothing."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3), ended((await door.plain())[1]):
            pass


async def test_too_many_connections_of_an_address(tmp_path, caplog):
    """The newest are closed and the others stay; the address gets no new ones for a while, and another
    address is served.
    """
    async with guarded(tmp_path, max_connections_per_address=CONNECTIONS) as (running, door):
        async with asyncio.timeout(PATIENCE):
            opened = [await door.plain() for _ in range(2 * CONNECTIONS)]
            over = {asyncio.create_task(reader.read()) for reader, _ in opened}
            while sum(task.done() for task in over) < CONNECTIONS:
                await asyncio.wait(over, return_when=asyncio.FIRST_COMPLETED, timeout=0.1)
        await blocked(running)
        await refused(door)
        await running.call()
        load = running.server.load
        assert load.closed[Measure.CONNECTIONS] >= CONNECTIONS
        assert load.blocks[Measure.CONNECTIONS] >= 1
        assert f"New connections of {ATTACKER} are dropped" in caplog.text
        for task in over:
            task.cancel()
        await asyncio.gather(*over, return_exceptions=True)
        for _, writer in opened:
            writer.transport.abort()


async def test_a_flood_of_connections(tmp_path):
    """An address that connects faster than it may is blocked for some seconds, and then no longer; another
    address connects and is served meanwhile.
    """
    async with guarded(tmp_path, new_connections_per_address=2) as (running, door):

        async def flood():
            while True:
                async with ended((await door.plain())[1]):
                    await asyncio.sleep(0.05)

        flooding = [asyncio.create_task(flood()) for _ in range(CONNECTIONS)]
        await blocked(running)
        for _ in range(3):
            await running.call()
        for task in flooding:
            task.cancel()
        await asyncio.gather(*flooding, return_exceptions=True)
        await eventually(lambda: running.server.load.blocked == 0, PATIENCE)
        async with asyncio.timeout(PATIENCE), ended((await door.plain())[1]):
            pass
        assert set(+running.server.load.blocks) == {Measure.NEW_CONNECTIONS}
        assert not +running.server.load.closed


@pytest.mark.parametrize("name", ["many_fields", "table_bomb"])
async def test_connections_that_bring_no_messages(tmp_path, name):
    """A connection on which octets come by the mebibyte and no message is closed, and its address blocked;
    another connection is served all the while.
    """
    attack = next(each for each in ATTACKS if each.name == name)
    # What waits in the core when the connection is closed is overload for a moment; that is not tried here.
    limits = LimitSettings(queue_target=0)
    small = {"max_message_bytes": 64 * 1024, "limits": limits}
    async with guarded(tmp_path, **small) as (running, door), attacking(attack, door, pause=0.01):
        await blocked(running)
        assert running.server.load.closed[Measure.SILENT] >= 1
        async with running.channel() as channel, asyncio.timeout(PATIENCE):
            await channel.unary_unary(JWKS)(b"", timeout=PATIENCE)


async def test_connections_that_bring_messages(tmp_path):
    """However much comes on a connection, with messages in it it is nobody's business."""
    small = {"max_message_bytes": 64 * 1024}
    async with guarded(tmp_path, **small) as (running, door), running.channel() as channel:
        assert door
        message = b"\x7a\xe0\xa7\x03" + bytes(60_000)  # An unknown field, of 60,000 octets.
        method = channel.unary_unary(JWKS)
        for _ in range(5):
            await asyncio.gather(*(method(message, timeout=PATIENCE) for _ in range(20)))
            await asyncio.sleep(0.3)
        assert not +running.server.load.closed
        assert running.server.load.blocked == 0


async def test_addresses_without_limits(tmp_path):
    """Nothing is done to a proxy's address."""
    limits = {"max_connections_per_address": 1, "new_connections_per_address": 1}
    async with guarded(tmp_path, unlimited_addresses=(ATTACKER,), **limits) as (running, door):
        opened = [await door.plain() for _ in range(2 * CONNECTIONS)]
        guard = running.server._guard
        await eventually(lambda: len(guard._sockets.connections) >= 2 * CONNECTIONS)
        await asyncio.sleep(0.6)
        assert (running.server.load.blocked, dict(+running.server.load.closed)) == (0, {})
        for _, writer in opened:
            writer.transport.abort()


async def test_an_error_changes_nothing(tmp_path, caplog, monkeypatch):
    """Where the guard cannot look it says so, and calls go on."""

    def fail(*_arguments, **_options):
        raise OSError("no /proc here")

    monkeypatch.setattr(OwnSockets, "scan", fail)
    async with guarded(tmp_path) as (running, _door):
        await running.call()
        await eventually(lambda: "could not look" in caplog.text)
        await running.call()


@pytest.mark.parametrize(
    ("family", "bound", "target", "sources", "site"),
    [
        (socket.AF_INET, "127.0.0.1", "127.0.0.1", (ATTACKER, "127.0.0.3"), ATTACKER),
        (socket.AF_INET6, "::", "127.0.0.1", (ATTACKER, "127.0.0.3"), ATTACKER),
        (socket.AF_INET6, "::", "::1", ("::1",), "::/64"),
    ],
    ids=["ipv4", "mapped", "ipv6"],
)
def test_the_filter(family, bound, target, sources, site):
    """The kernel drops connections that a site begins, and no others, until the filter is gone."""

    def connects(source):
        with socket.socket(socket.AF_INET6 if ":" in target else socket.AF_INET) as client:
            client.settimeout(0.3 if source == sources[0] else PATIENCE)
            client.bind((source, 0))
            try:
                client.connect((target, port))
            except TimeoutError:
                return False
            return True

    with ExitStack() as stack:
        listening = stack.enter_context(socket.socket(family))
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind((bound, 0))
        listening.listen()
        port = listening.getsockname()[1]
        (found,) = OwnSockets([port]).listeners()
        stack.enter_context(found)
        others = ("192.0.2.1", "2001:db8::/64", "2001:db8:1::/64")
        syn_filter.attach(found, syn_filter.program((*others, site)))
        assert [connects(source) for source in sources] == [False, *([True] * (len(sources) - 1))]
        syn_filter.attach(found, syn_filter.program(others))
        assert connects(sources[0])
        syn_filter.attach(found, syn_filter.program((site,)))
        syn_filter.detach(found)
        syn_filter.detach(found)
        assert connects(sources[0])


async def test_a_descriptor_that_was_used_anew(tmp_path):
    """What was a connection and is another one now is not closed."""
    async with guarded(tmp_path) as (running, door):
        sockets = OwnSockets((door.port,))
        async with connected(door) as (writer, _):
            writer.write(http2_call(JWKS, 1))
            await eventually(lambda: len(running.records) == 1)
            (connection,) = [each for each in sockets.scan(0.0) if each.host == ATTACKER]
            assert sockets.received(connection) > 0
            stale = type(connection)(
                connection.descriptor,
                connection.inode + 1,
                *(connection.local_port, connection.host, connection.port, connection.site, 0.0),
            )
            assert not sockets.close(stale)
            writer.write(http2_call(JWKS, 3))
            await eventually(lambda: len(running.records) == 2)
            assert sockets.close(connection)
