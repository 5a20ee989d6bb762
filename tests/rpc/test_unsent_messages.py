"""Calls that are begun and whose messages do not come: they cost nobody else a place."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from countersign.v1 import token_service_pb2

from gateway.settings.limits import LimitSettings
from tests.support.bad_clients import Door, DoorKind
from tests.support.bad_http2 import connected
from tests.support.http2_frames import Flag, Kind, frame, grpc_request
from tests.support.pki import Authority
from tests.support.rpc_server import JWKS, MINT, reason_of, serving
from tests.support.softhsm import eventually

ROOT = Authority.root()
ALICE = ROOT.leaf("alice", uris=("spiffe://example.org/alice",))
CALLS = 10


@asynccontextmanager
async def begun(running, folder, calls: int):
    """A connection of nobody with *calls* begun, no message of which was sent; what writes to it."""
    ca = folder / "ca.pem"
    ca.write_bytes(ROOT.pem)
    async with connected(Door.of(DoorKind.GRPC, running.server.ports.tls, ca)) as (writer, _):
        for stream in range(1, 2 * calls, 2):
            writer.write(frame(Kind.HEADERS, grpc_request(JWKS), stream=stream, flags=Flag.END_HEADERS))
        yield writer


async def test_calls_without_a_message_take_no_place(tmp_path):
    """With more calls begun than may be under way, none counts as under way, and others are served."""
    async with serving(tmp_path, root=ROOT, max_concurrent_calls=CALLS) as running:
        admission = running.pipeline.admission
        async with begun(running, tmp_path, 3 * CALLS):
            await eventually(lambda: admission.taken == 3 * CALLS)
            await eventually(lambda: admission.awaited == CALLS // 2)
            assert admission.calls == 0
            for _ in range(CALLS):
                await running.call(client=ALICE)
                await running.call()
        # Calls of one caller are bounded, those that wait for their message among them.
        await eventually(lambda: admission.awaited == 0)
        assert {record.cause for record in running.records if record.reason} >= {"too_many_calls_of_caller"}


async def test_the_caller_with_most_gives_way(tmp_path):
    """Where too many calls wait for their message the oldest of the caller with most are refused, and a
    caller with fewer keeps its own.
    """
    limits = LimitSettings(calls_per_caller=CALLS - 1)
    async with serving(tmp_path, root=ROOT, limits=limits, max_concurrent_calls=CALLS) as running:
        admission = running.pipeline.admission
        async with running.channel(ALICE) as channel, begun(running, tmp_path, CALLS - 1):
            await eventually(lambda: admission.awaited == CALLS - 1)
            slow = [channel.stream_unary(MINT)(timeout=30) for _ in range(2)]
            await eventually(lambda: admission.awaited == CALLS - (CALLS // 2) + 1)
            refused = [record for record in running.records if record.cause == "too_many_messages_awaited"]
            assert len(refused) == CALLS // 2
            assert {(record.caller, record.reason) for record in refused} == {("", "OVERLOADED")}
            for call in slow:
                await call.write(b"")
                await call.done_writing()
                await call
        assert admission.calls == 0


async def test_a_message_that_comes_late_finds_the_server_full(tmp_path):
    """A call whose message comes when every place is taken is refused with OVERLOADED."""
    started, finish = asyncio.Semaphore(0), asyncio.Event()

    async def mint(request, context):
        started.release()
        await finish.wait()
        return token_service_pb2.MintTokenResponse()

    limits = LimitSettings(reserved_calls=0, calls_per_caller=2)
    async with (
        serving(tmp_path, root=ROOT, limits=limits, max_concurrent_calls=2) as running,
        running.channel(ALICE) as channel,
    ):
        late = channel.stream_unary(JWKS)(timeout=30)
        await eventually(lambda: running.pipeline.admission.awaited == 1)
        running.methods.behaviors["MintToken"] = mint
        holding = []
        for _ in range(2):
            holding.append(asyncio.ensure_future(running.call()))
            await started.acquire()
        await late.write(b"")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await late
        assert reason_of(caught.value) == "OVERLOADED"
        finish.set()
        await asyncio.gather(*holding)
        assert running.pipeline.admission.calls == 0
