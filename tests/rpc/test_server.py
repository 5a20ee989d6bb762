"""The life of the server: drain, close, reflection, channelz."""

import asyncio

import grpc
import pytest
from countersign.v1 import token_service_pb2
from grpc_channelz.v1 import channelz_pb2, channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from gateway.principal import Role
from gateway.settings.callers import CallerSettings
from tests.support.pki import Authority
from tests.support.rpc_server import JWKS, MINT, reason_of, serving

ROOT = Authority.root()
ADMIN = ROOT.leaf("admin")
CALLERS = (CallerSettings(subject_dn="CN=admin", roles=(Role.ADMIN,)),)


def holding(running):
    """A MintToken that begins, and ends when told to."""
    started, finish = asyncio.Event(), asyncio.Event()

    async def mint(request, context):
        started.set()
        await finish.wait()
        return token_service_pb2.MintTokenResponse()

    running.methods.behaviors["MintToken"] = mint
    return started, finish


async def test_a_call_under_way_finishes(tmp_path):
    """Draining waits for a call under way, and refuses new ones on open connections meanwhile."""
    async with serving(tmp_path, root=ROOT) as running, running.channel() as channel:
        started, finish = holding(running)
        first = channel.unary_unary(MINT)(b"", timeout=10)
        await started.wait()
        drain = asyncio.create_task(running.server.drain())
        await asyncio.sleep(0)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(JWKS)(b"", timeout=5)
        # The core cancels a call that reached it before its GOAWAY reached the client; nothing began.
        assert caught.value.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call(timeout=5)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert not drain.done()
        finish.set()
        await first
        await drain


async def test_a_draining_process_says_so(tmp_path):
    """A call that still gets in while the server drains is SHUTTING_DOWN, with the way out: retry."""
    async with serving(tmp_path, root=ROOT) as running:
        running.pipeline.admission.draining = True
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call(timeout=5)
        assert (caught.value.code(), reason_of(caught.value)) == (
            grpc.StatusCode.UNAVAILABLE,
            "SHUTTING_DOWN",
        )


async def test_a_call_that_does_not_finish_is_cut_off(tmp_path):
    """After the drain timeout what still runs is cancelled, and the server ends."""
    async with serving(tmp_path, root=ROOT, drain_timeout=0.05) as running, running.channel() as channel:
        started, _ = holding(running)
        call = channel.unary_unary(MINT)(b"", timeout=10)
        await started.wait()
        async with asyncio.timeout(5):
            await running.server.drain()
        with pytest.raises(grpc.aio.AioRpcError):
            await call
        assert running.records[0].code == "CANCELLED"


async def test_a_watcher_hears_of_the_drain(tmp_path):
    """A health watcher is told NOT_SERVING, then its stream ends, long before the drain timeout."""
    async with (
        serving(tmp_path, root=ROOT, drain_timeout=60) as running,
        running.channel() as channel,
        asyncio.timeout(10),
    ):
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        drain = asyncio.create_task(running.server.drain())
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.NOT_SERVING
        assert await watch.read() is grpc.aio.EOF
        await drain
        assert running.health.serves("live")


async def test_a_stream_without_an_end_is_ended(tmp_path):
    """A stream that the client holds open is ended with SHUTTING_DOWN."""
    async with (
        serving(tmp_path, root=ROOT, drain_timeout=60) as running,
        running.channel() as channel,
        asyncio.timeout(10),
    ):
        stream = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await stream.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        await stream.read()
        await running.server.drain()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert reason_of(caught.value) == "SHUTTING_DOWN"


async def test_resources_are_closed_in_order_after_the_last_call(tmp_path, caplog):
    """Each resource is closed once, in order, after the last call; one that fails keeps no other open."""
    closed = []

    async def store():
        closed.append("store")
        raise RuntimeError("cannot")

    async def signers():
        closed.append("signers")

    async with serving(tmp_path, root=ROOT, resources=(store, signers)) as running:
        started, finish = holding(running)
        call = asyncio.create_task(running.call())
        await started.wait()
        drain = asyncio.create_task(running.server.drain())
        await asyncio.sleep(0.05)
        assert closed == []
        finish.set()
        await call
        await drain
        await running.server.drain()
    assert closed == ["store", "signers"]
    assert "could not be closed" in caplog.text


async def test_it_serves_until_told_to_stop(tmp_path):
    """`serve_until` returns after the drain."""
    stop = asyncio.Event()
    async with serving(tmp_path, root=ROOT) as running:
        serve = asyncio.create_task(running.server.serve_until(stop))
        await running.call()
        stop.set()
        async with asyncio.timeout(5):
            await serve


async def test_a_task_that_ends_ends_the_server(tmp_path):
    """A background task that dies is not overlooked: serving ends with its error."""
    async with serving(tmp_path, root=ROOT) as running:
        for task in running.server._tasks:
            task.cancel()
        with pytest.raises((RuntimeError, asyncio.CancelledError)):
            await running.server.serve_until(asyncio.Event())


async def test_reflection_lists_the_services(tmp_path):
    """Reflection names every service, and is absent where it is turned off."""
    async with serving(tmp_path, root=ROOT) as running, running.channel() as channel:
        stream = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        await stream.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        answer = await stream.read()
        names = {each.name for each in answer.list_services_response.service}
        assert {"countersign.v1.TokenService", "grpc.health.v1.Health"} <= names
    async with serving(tmp_path, root=ROOT, reflection=False) as running, running.channel() as channel:
        stream = reflection_pb2_grpc.ServerReflectionStub(channel).ServerReflectionInfo()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stream.read()
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_channelz_is_for_admins(tmp_path):
    """Channelz answers an admin, refuses others, and is absent unless configured."""
    async with serving(tmp_path, root=ROOT, callers=CALLERS, channelz=True) as running:
        async with running.channel(ADMIN) as channel:
            stub = channelz_pb2_grpc.ChannelzStub(channel)
            assert (await stub.GetServers(channelz_pb2.GetServersRequest(), timeout=5)).server
        async with running.channel() as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await channelz_pb2_grpc.ChannelzStub(channel).GetServers(
                    channelz_pb2.GetServersRequest(), timeout=5
                )
            assert reason_of(caught.value) == "CALLER_UNAUTHENTICATED"
    async with serving(tmp_path, root=ROOT, callers=CALLERS) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.call("/grpc.channelz.v1.Channelz/GetServers", ADMIN)
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
