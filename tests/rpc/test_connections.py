"""Connections of clients: they move between replicas, and one that is dead is noticed on either side."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack

import grpc
import pytest
from countersign import GatewayClient, RetryPolicy, TlsConfig, UnavailableError
from countersign.v1 import token_service_pb2, token_service_pb2_grpc

from gateway.rpc import listeners
from tests.support.gateway import RunningGateway, prepare, running_gateway
from tests.support.pki import Authority
from tests.support.softhsm import eventually
from tests.support.tcp_proxy import TcpProxy

ROUND_ROBIN = '{"loadBalancingConfig": [{"round_robin": {}}]}'


async def pair(stack: AsyncExitStack, folder, **server) -> list[RunningGateway]:
    """Two replicas with one certificate authority."""
    root = Authority.root()
    return [
        await stack.enter_async_context(
            running_gateway(folder / name, prepared=await prepare(folder / name, root=root, server=server))
        )
        for name in ("first", "second")
    ]


def channel_to(gateway: RunningGateway, target: str, *options: tuple[str, str | int]) -> grpc.aio.Channel:
    credentials = grpc.ssl_channel_credentials(gateway.root.pem)
    names = (("grpc.ssl_target_name_override", "localhost"), ("grpc.use_local_subchannel_pool", 1))
    return grpc.aio.secure_channel(target, credentials, options=(*names, *options))


def client_to(gateway: RunningGateway, port: int, **options) -> GatewayClient:
    """A client of *gateway*, as its resource server, through *port*."""
    tls = TlsConfig(ca=gateway.root.pem, certificate=gateway.api.chain_pem, private_key=gateway.api.key_pem)
    return GatewayClient(f"127.0.0.1:{port}", tls=tls, **options)


async def call_until(channel: grpc.aio.Channel, enough) -> None:
    """Call until *enough*; every call must succeed."""
    stub = token_service_pb2_grpc.TokenServiceStub(channel)
    async with asyncio.timeout(30):
        while not enough():
            await stub.GetJwks(token_service_pb2.GetJwksRequest(), timeout=5, wait_for_ready=True)


def peers(gateway: RunningGateway) -> Counter[str]:
    """The connections that calls came on, and how many on each."""
    return Counter(record.peer for record in gateway.log.records)


async def test_old_connections_move(tmp_path):
    """Behind a balancer of connections a client reaches the other replica when its connection is old, and no
    call fails.
    """
    async with AsyncExitStack() as stack:
        first, second = await pair(stack, tmp_path, max_connection_age=1)
        proxy = await stack.enter_async_context(TcpProxy(first.server.ports.tls, second.server.ports.tls))
        channel = await stack.enter_async_context(channel_to(first, f"127.0.0.1:{proxy.port}"))
        await call_until(channel, lambda: peers(first) and peers(second))
        assert {record.code for each in (first, second) for record in each.log.records} == {"OK"}


async def test_round_robin(tmp_path):
    """A client that knows both replicas uses both, also with new connections once the old are too old."""
    async with AsyncExitStack() as stack:
        first, second = await pair(stack, tmp_path, max_connection_age=1)
        ports = (first.server.ports.tls, second.server.ports.tls)
        target = "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)
        channel = await stack.enter_async_context(
            channel_to(first, target, ("grpc.service_config", ROUND_ROBIN))
        )
        await call_until(channel, lambda: len(peers(first)) > 1 and len(peers(second)) > 1)
        assert {record.code for each in (first, second) for record in each.log.records} == {"OK"}


async def test_a_client_notices_a_dead_connection(tmp_path, monkeypatch):
    """Where the network drops everything without a word, whoever follows revocations hears that, and comes
    back.
    """
    monkeypatch.setattr(listeners, "_MIN_PING_INTERVAL_MS", 1)
    async with (
        running_gateway(tmp_path) as gateway,
        TcpProxy(gateway.server.ports.mtls) as proxy,
        client_to(gateway, proxy.port, keepalive=0.2) as client,
        gateway.client(gateway.admin) as admin,
        asyncio.timeout(20),
    ):
        batches = client.watch_revocations()
        await anext(batches)
        proxy.cut()
        waiting = asyncio.ensure_future(anext(batches))
        await eventually(lambda: proxy.connections > 1)
        proxy.mend()
        await admin.revoke_token_id("t1")
        found = [each.token_id for each in (await waiting).revocations]
        while not found:
            found += [each.token_id for each in (await anext(batches)).revocations]
        assert found == ["t1"]


async def test_a_call_on_a_dead_connection(tmp_path, monkeypatch):
    """A call whose connection is dead fails long before its deadline."""
    monkeypatch.setattr(listeners, "_MIN_PING_INTERVAL_MS", 1)
    once = RetryPolicy(max_attempts=1)
    async with (
        running_gateway(tmp_path) as gateway,
        TcpProxy(gateway.server.ports.mtls) as proxy,
        client_to(gateway, proxy.port, keepalive=0.2, retry=once) as client,
    ):
        await client.get_jwks()
        proxy.cut()
        with pytest.raises(UnavailableError):
            async with asyncio.timeout(30):
                await client.get_jwks(timeout=60)


async def test_the_gateway_notices_a_dead_connection(tmp_path, monkeypatch):
    """The gateway ends streams whose client is gone without a word."""
    monkeypatch.setattr(listeners, "_KEEPALIVE_TIME_MS", 200)
    monkeypatch.setattr(listeners, "_KEEPALIVE_TIMEOUT_MS", 200)
    async with (
        running_gateway(tmp_path) as gateway,
        TcpProxy(gateway.server.ports.mtls) as proxy,
        client_to(gateway, proxy.port) as client,
    ):
        batches = client.watch_revocations()
        await anext(batches)
        admission = gateway.server._pipeline.admission
        assert admission.streams == 1
        proxy.cut()
        await eventually(lambda: admission.streams == 0)
        assert gateway.log.records[-1].code == "CANCELLED"
