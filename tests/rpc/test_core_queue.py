"""What grpc's core holds, as channelz counts it."""

import asyncio

import grpc
import pytest
from countersign.v1 import token_service_pb2

from gateway.rpc.core_queue import APART, CoreQueue, next_server_id, queue_apart
from tests.support.pki import Authority
from tests.support.rpc_server import MINT, serving

ROOT = Authority.root()
CALLS = 5


async def test_calls_that_arrived_and_have_not_ended(tmp_path):
    """Each counts until it ends, but for those that are known to be under way."""
    first_id = next_server_id()
    async with serving(tmp_path, root=ROOT) as running, running.channel() as channel:
        queue = CoreQueue(first_id)
        assert queue.waiting(0) == 0
        started, finish = asyncio.Semaphore(0), asyncio.Event()

        async def mint(request, context):
            started.release()
            await finish.wait()
            return token_service_pb2.MintTokenResponse()

        running.methods.behaviors["MintToken"] = mint
        calls = [channel.unary_unary(MINT)(b"", timeout=30) for _ in range(CALLS)]
        for _ in calls:
            await started.acquire()
        assert queue.waiting(0) == CALLS
        assert queue.waiting(running.pipeline.admission.calls) == 0
        assert queue.waiting(CALLS + 1) == 0
        finish.set()
        await asyncio.gather(*calls)
        assert running.pipeline.admission.taken == CALLS
        async with asyncio.timeout(10):
            while queue.waiting(0):  # noqa: ASYNC110 - the core tells nobody when it has counted
                await asyncio.sleep(0.01)
    assert queue.waiting(0) == 0


async def test_each_server_has_its_own_count(tmp_path):
    """Of several servers in a process, each queue is that of the one made right before it."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    first_id = next_server_id()
    async with serving(tmp_path / "a", root=ROOT) as one:
        queue_of_one, second_id = CoreQueue(first_id), next_server_id()
        async with serving(tmp_path / "b", root=ROOT):
            queue_of_two = CoreQueue(second_id)
            assert second_id > first_id
            started = asyncio.Event()

            async def mint(request, context):
                started.set()
                await asyncio.Event().wait()

            one.methods.behaviors["MintToken"] = mint
            async with one.channel() as channel:
                call = channel.unary_unary(MINT)(b"", timeout=30)
                await started.wait()
                assert (queue_of_one.waiting(0), queue_of_two.waiting(0)) == (1, 0)
                call.cancel()


def test_a_server_that_channelz_does_not_know():
    """Without channelz nothing can be counted, and nothing is pretended."""
    with pytest.raises(RuntimeError, match="channelz"):
        CoreQueue(next_server_id() + 1000)


def test_what_is_not_served_has_no_queue():
    """Only methods that the server has are registered, each under its service."""
    registered = []

    class Server:
        def add_registered_method_handlers(self, service, handlers):
            registered.extend(f"/{service}/{name}" for name in handlers)

    handler = grpc.unary_unary_rpc_method_handler(None)
    served = dict.fromkeys(sorted(APART)[:2], handler)
    queue_apart(Server(), served.get)
    assert registered == sorted(APART)[:2]
