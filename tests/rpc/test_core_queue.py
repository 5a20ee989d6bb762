"""What grpc's core holds, as channelz counts it."""

import asyncio

import grpc
import pytest
from countersign.v1 import token_service_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.rpc.core_queue import APART, CoreQueue, next_server_id, queue_apart
from tests.support.bad_clients import Door, DoorKind
from tests.support.bad_http2 import connected
from tests.support.http2_frames import call as http2_call
from tests.support.pki import Authority
from tests.support.rpc_server import JWKS, MINT, serving

ROOT = Authority.root()
CALLS = 5


async def test_calls_that_arrived_and_have_not_ended(tmp_path):
    """Each counts until it ends, but for those that were taken."""
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
        assert queue.waiting(running.pipeline.admission.taken) == 0
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


async def test_replies_that_are_not_read_wait_for_nobody(tmp_path):
    """A call that was taken and answered is no queue, however long its client takes to read the reply."""
    first_id = next_server_id()
    async with serving(tmp_path, root=ROOT) as running:
        queue, admission = CoreQueue(first_id), running.pipeline.admission
        ca = tmp_path / "ca.pem"
        ca.write_bytes(ROOT.pem)
        door = Door.of(DoorKind.GRPC, running.server.ports.tls, ca)
        async with connected(door, window=0) as (writer, _):
            for stream in range(1, 2 * CALLS, 2):
                writer.write(http2_call(JWKS, stream))
            async with asyncio.timeout(10):
                while len(running.records) < CALLS:  # noqa: ASYNC110 - the log tells nobody
                    await asyncio.sleep(0.01)
            assert (admission.taken, admission.calls, queue.waiting(0)) == (CALLS, 0, CALLS)
            assert queue.waiting(admission.taken) == 0


async def test_every_call_counts_as_taken(tmp_path):
    """Streams, questions for health and methods that nobody has were taken too, so that no count drifts."""
    first_id = next_server_id()
    async with serving(tmp_path, root=ROOT) as running, running.channel() as channel:
        queue, admission = CoreQueue(first_id), running.pipeline.admission
        await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        with pytest.raises(grpc.aio.AioRpcError):
            await channel.unary_unary("/countersign.v1.TokenService/Nothing")(b"")
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        assert (admission.taken, queue.waiting(admission.taken)) == (3, 0)
        watch.cancel()


class Clocks:
    """The time, and for how much of it the thread was busy, as the test says."""

    def __init__(self):
        self.now, self.busy = 100.0, 50.0

    def pass_time(self, part):
        """A tenth of a second, of which the thread was busy for *part*."""
        self.now, self.busy = self.now + 0.1, self.busy + 0.1 * part


@pytest.fixture
async def counted(tmp_path):
    """A queue whose clocks the test moves, and those."""
    first_id, clocks = next_server_id(), Clocks()
    async with serving(tmp_path, root=ROOT):
        yield CoreQueue(first_id, clock=lambda: clocks.now, busy=lambda: clocks.busy), clocks


def looks(counted, part, found, times=10):
    """What *times* looks in a row find, where *found* calls seem to wait."""
    queue, clocks = counted
    waiting = []
    for _ in range(times):
        clocks.pass_time(part)
        waiting.append(queue._count(found, found + 5))
    return waiting


async def test_calls_that_the_core_ended_itself(counted):
    """They seem to wait for ever; a thread that has nothing to do shows that they do not, and calls that
    come later are a queue all the same.
    """
    waiting = looks(counted, 0.2, 60)
    assert (waiting[0], waiting[-1]) == (60, 0)
    assert looks(counted, 0.9, 100) == [40] * 10


async def test_a_queue_that_stands(counted):
    """A thread that is busy, or waits for a processor, has a queue."""
    assert looks(counted, 0.9, 60) == [60] * 10


async def test_a_queue_that_was_taken_for_none(counted):
    """What was held to be lost and is taken after all counts again when it comes again."""
    assert looks(counted, 0.2, 60)[-1] == 0
    assert looks(counted, 0.9, 10) == [0] * 10
    assert looks(counted, 0.9, 60) == [50] * 10


async def test_looks_that_are_far_apart(counted):
    """What nobody looked at tells nothing."""
    queue, clocks = counted
    for _ in range(10):
        clocks.now += 1.0
        assert queue._count(60, 60) == 60
