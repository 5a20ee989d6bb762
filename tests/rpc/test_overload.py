"""A whole gateway under more than it can do: what is refused, and what goes on."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from countersign import CountersignError, TokenRequest
from countersign.v1 import token_service_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.support.edge import leaf, register
from tests.support.gateway import RunningGateway, running_gateway
from tests.support.rpc_server import MINT, details_of, reason_of

HOUR = 1 / 3600
CONNECTIONS, CALLS = 4, 60


@asynccontextmanager
async def minting(gateway: RunningGateway, name: str):
    """A client of *gateway* that may mint."""
    async with gateway.client(gateway.admin) as admin:
        await register(admin, name)
    async with gateway.client(leaf(gateway, name)) as client:
        yield client


class Flood:
    """Mints from many connections, each caller with the next one as soon as the last was answered."""

    def __init__(self, gateway: RunningGateway, name: str) -> None:
        self._gateway = gateway
        self._identity = leaf(gateway, name)
        self._request = token_service_pb2.MintTokenRequest(client_id=name)
        self._request.client_credentials.SetInParent()
        self.refusals: list[grpc.aio.AioRpcError] = []
        self.minted = 0
        self.refused = asyncio.Event()

    async def run(self) -> None:
        """For ever."""
        channels = [self._gateway.channel(self._identity) for _ in range(CONNECTIONS)]
        try:
            async with asyncio.TaskGroup() as group:
                for channel in channels:
                    for _ in range(CALLS):
                        group.create_task(self._call(channel.unary_unary(MINT)))
        finally:
            for channel in channels:
                await channel.close()

    async def _call(self, method) -> None:
        request = self._request.SerializeToString()
        while True:
            try:
                await method(request, timeout=30)
                self.minted += 1
            except grpc.aio.AioRpcError as error:
                self.refusals.append(error)
                self.refused.set()


async def test_introspection_and_revocation_go_on_while_minting_is_refused(tmp_path):
    """While a flood of mints is refused with OVERLOADED and a time, every introspection, revocation, question
    for health and disabling of a key is answered; and some of the mints succeed.
    """
    async with (
        running_gateway(tmp_path, limits={"queue_target": 0.02}) as gateway,
        minting(gateway, "flood") as owner,
        gateway.client(gateway.api, timeout=30) as resource_server,
        gateway.client(gateway.admin, timeout=30) as admin,
        gateway.channel() as channel,
    ):
        tokens = [await owner.mint_token("flood") for _ in range(5)]
        flood = Flood(gateway, "flood")
        task = asyncio.create_task(flood.run())
        try:
            async with asyncio.timeout(60):
                await flood.refused.wait()
                for token in tokens:
                    before = len(flood.refusals)
                    assert await resource_server.introspect_token(token.value) is not None
                    await owner.revoke_token(token.value, client_id="flood", timeout=30)
                    assert await resource_server.introspect_token(token.value) is None
                    check = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
                    assert (await check).status == health_pb2.HealthCheckResponse.SERVING
                    while len(flood.refusals) == before:
                        flood.refused.clear()
                        await flood.refused.wait()
                with pytest.raises(CountersignError) as caught:
                    await admin.disable_key("unknown", reason="It leaked.")
                assert caught.value.reason == "KEY_NOT_FOUND"
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert flood.minted > 0
        assert {reason_of(error) for error in flood.refusals} == {"OVERLOADED"}
        assert {error.code() for error in flood.refusals} == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        for error in flood.refusals[:10]:
            pause = details_of(error)["RetryInfo"].retry_delay.ToTimedelta()
            assert pause.total_seconds() >= 0.5
        assert {each.cause for each in gateway.log.records if each.reason == "OVERLOADED"} == {
            "waiting_too_long"
        }
        async with asyncio.timeout(30):
            while gateway.server._pipeline.admission.shedder.share < 1.0:  # noqa: ASYNC110 - it is looked at
                await asyncio.sleep(0.05)
        await owner.mint_token("flood")


async def test_a_batch_counts_by_its_items(tmp_path):
    """Ten tokens of one call are ten calls of its rule; a batch that has too many mints none of them."""
    rule = {"methods": ["mint", "introspect"], "rate": HOUR, "burst": 12}
    async with (
        running_gateway(tmp_path, rate_limits=[rule]) as gateway,
        minting(gateway, "batches") as client,
    ):
        minted = await client.batch_mint_tokens("batches", [TokenRequest()] * 10)
        assert len(minted) == 10
        with pytest.raises(CountersignError) as caught:
            await client.batch_mint_tokens("batches", [TokenRequest()] * 3)
        assert caught.value.reason == "RATE_LIMITED"
        assert caught.value.retry_after is not None
        await client.batch_mint_tokens("batches", [TokenRequest()])
        await client.mint_token("batches")
        with pytest.raises(CountersignError) as caught:
            await client.batch_mint_tokens("batches", [TokenRequest()])
        assert caught.value.reason == "RATE_LIMITED"
        async with gateway.client(gateway.api) as api:
            token = minted[0].value
            assert len(await api.batch_introspect_tokens([token] * 12)) == 12
            with pytest.raises(CountersignError) as caught:
                await api.introspect_token(token)
        assert caught.value.reason == "RATE_LIMITED"
