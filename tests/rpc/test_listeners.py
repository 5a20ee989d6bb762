"""Limits that grpc's core enforces, as a client meets them."""

import grpc
import pytest

from gateway.ports import ListenError
from gateway.rpc.listeners import server_options
from gateway.settings.server import ServerSettings
from tests.support.pki import Authority
from tests.support.rpc_server import MINT, serving

ROOT = Authority.root()


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
