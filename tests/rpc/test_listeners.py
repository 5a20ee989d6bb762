"""Limits that grpc's core enforces, as a client meets them."""

import asyncio
import ssl
from contextlib import AsyncExitStack

import grpc
import pytest

from gateway.ports import ListenError
from gateway.rpc.listeners import server_options
from gateway.settings.server import ServerSettings
from tests.support.pki import Authority
from tests.support.rpc_server import MINT, serving

ROOT = Authority.root()
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY = 0x4, 0x6, 0x7
ENHANCE_YOUR_CALM = 0xB
"""RFC 9113 §6.5, §6.7, §6.8 and §7."""


def frame(kind: int, payload: bytes = b"") -> bytes:
    """An HTTP/2 frame of the connection as a whole (RFC 9113 §4.1)."""
    return len(payload).to_bytes(3) + bytes([kind, 0]) + bytes(4) + payload


async def read_frame(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """The next frame: its type and its payload."""
    head = await reader.readexactly(9)
    return head[3], await reader.readexactly(int.from_bytes(head[:3]))


@pytest.fixture
async def running(tmp_path):
    """A server with the smallest limits."""
    async with serving(
        tmp_path, root=ROOT, max_message_bytes=64 * 1024, max_metadata_bytes=8 * 1024
    ) as server:
        yield server


async def test_an_oversized_message_is_refused(running):
    """A message over the limit is RESOURCE_EXHAUSTED, and its method does not run."""
    ran = []

    async def mint(request, context):
        ran.append(request)

    running.methods.behaviors["MintToken"] = mint
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.call(request=b"\x0a" * (64 * 1024 + 1))
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert ran == []
    assert running.pipeline.admission.calls == 0


async def test_oversized_metadata_is_refused(running):
    """Metadata over the limit is RESOURCE_EXHAUSTED, every time."""
    for _ in range(5):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call(metadata=[("x-large", "v" * (8 * 1024))])
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    # The core may announce the call before it has read all metadata; then it takes it back.
    assert {record.code for record in running.records} <= {"CANCELLED"}
    await running.call(metadata=[("x-large", "v" * (4 * 1024))])


async def test_a_compressed_message_is_refused(running):
    """A message that claims to be compressed is not unpacked, however small it looks."""
    async with running.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(MINT)(
                bytes(50 * 1024 * 1024), timeout=5, compression=grpc.Compression.Gzip
            )
    assert caught.value.code() in (grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.RESOURCE_EXHAUSTED)


async def test_a_port_that_is_taken_is_named(running, tmp_path):
    """A start on a taken address fails, and says which one."""
    address = f"127.0.0.1:{running.server.ports.tls}"
    with pytest.raises(ListenError, match=address):
        async with serving(tmp_path, root=ROOT, tls_address=address):
            pass


@pytest.mark.parametrize(("workers", "shared"), [(1, 0), (2, 1)])
def test_ports_are_shared_only_between_workers(tmp_path, workers, shared):
    """One worker does not let another process listen beside it; several share their ports."""
    settings = ServerSettings(certificate=tmp_path, private_key=tmp_path, client_ca=tmp_path, workers=workers)
    assert dict(server_options(settings))["grpc.so_reuseport"] == shared


def test_every_limit_of_the_core_is_explicit(tmp_path):
    """What the core bounds does not hang on its defaults: times in milliseconds, and what settings say."""
    settings = ServerSettings(
        certificate=tmp_path,
        private_key=tmp_path,
        client_ca=tmp_path,
        max_connections=7,
        max_connection_idle=8,
        max_connection_age=9,
        max_deadline=11,
        max_concurrent_streams=12,
    )
    options = dict(server_options(settings))
    assert options["grpc.max_allowed_incoming_connections"] == 7
    assert options["grpc.max_connection_idle_ms"] == 8_000
    assert options["grpc.max_connection_age_ms"] == 9_000
    assert options["grpc.max_connection_age_grace_ms"] == 11_000
    assert options["grpc.max_concurrent_streams"] == 12
    assert options["grpc.keepalive_time_ms"] + options["grpc.keepalive_timeout_ms"] == 40_000
    assert options["grpc.http2.min_ping_interval_without_data_ms"] == 10_000
    assert options["grpc.http2.max_ping_strikes"] == 2
    assert options["grpc.http2.settings_timeout"] == 10_000
    assert options["grpc.http2.max_requests_per_read"] == 32
    assert options["grpc.server_handshake_timeout_ms"] == 10_000


async def test_connections_are_bounded_before_their_handshake(tmp_path):
    """Silent connections take the room of their listener only; when they go others get in."""
    async with serving(tmp_path, root=ROOT, max_connections=2) as running:
        silent = [await asyncio.open_connection("127.0.0.1", running.server.ports.tls) for _ in range(2)]
        reader, _ = await asyncio.open_connection("127.0.0.1", running.server.ports.tls)
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        await running.call(client=ROOT.leaf("alice"))
        for _, writer in silent:
            writer.close()
        async with running.channel() as channel:
            await channel.unary_unary(MINT)(b"", wait_for_ready=True, timeout=10)


async def test_an_idle_connection_ends(tmp_path):
    """A connection without a call is told to go after `max_connection_idle`; one with a call is not idle."""
    async with serving(tmp_path, root=ROOT, max_connection_idle=1) as running, running.channel() as channel:
        await channel.unary_unary(MINT)(b"", timeout=10)
        state = grpc.ChannelConnectivity.READY
        async with asyncio.timeout(10):
            await channel.wait_for_state_change(state)
        await channel.unary_unary(MINT)(b"", timeout=10)


async def test_an_old_connection_is_asked_to_go(tmp_path):
    """After `max_connection_age` the client is asked to connect anew, and no call is lost by it."""
    async with serving(tmp_path, root=ROOT, max_connection_age=1) as running, running.channel() as channel:
        peers = set()
        async with asyncio.timeout(20):
            while len(peers) < 2:
                call = channel.unary_unary(MINT)(b"", timeout=10)
                await call
                peers.add(running.records[-1].peer)


async def test_too_many_pings(running):
    """A client that pings faster than every ten seconds is sent away (RFC 9113 §10.5)."""
    context = ssl.create_default_context(cadata=ROOT.pem.decode())
    context.set_alpn_protocols(["h2"])
    async with AsyncExitStack() as stack:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", running.server.ports.tls, ssl=context, server_hostname="localhost"
        )
        stack.callback(writer.close)
        writer.write(PREFACE + frame(SETTINGS) + frame(PING, bytes(8)) * 8)
        async with asyncio.timeout(10):
            while True:
                kind, payload = await read_frame(reader)
                if kind == GOAWAY:
                    break
    assert int.from_bytes(payload[4:8]) == ENHANCE_YOUR_CALM
    assert payload[8:] == b"too_many_pings"


async def test_streams_of_a_connection(tmp_path):
    """A connection is told how many calls it may have under way (RFC 9113 §6.5.2)."""
    context = ssl.create_default_context(cadata=ROOT.pem.decode())
    context.set_alpn_protocols(["h2"])
    async with serving(tmp_path, root=ROOT, max_concurrent_streams=3) as running:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", running.server.ports.tls, ssl=context, server_hostname="localhost"
        )
        writer.write(PREFACE + frame(SETTINGS))
        async with asyncio.timeout(10):
            kind, payload = await read_frame(reader)
        writer.close()
    entries = {
        int.from_bytes(payload[at : at + 2]): int.from_bytes(payload[at + 2 : at + 6])
        for at in range(0, len(payload), 6)
    }
    assert kind == SETTINGS
    assert entries[0x3] == 3
