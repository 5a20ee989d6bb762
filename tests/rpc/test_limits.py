"""What a caller may take, and who is refused first, as real clients see it."""

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
from countersign.v1 import token_service_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.limits.rate_limits import RateRule
from gateway.principal import Role
from gateway.settings.callers import CallerSettings
from gateway.settings.limits import LimitSettings
from gateway.settings.server import TerminatorSettings
from tests.support.pki import Authority
from tests.support.rpc_server import JWKS, LIST_KEYS, MINT, details_of, reason_of, serving

ROOT = Authority.root()
ALICE = ROOT.leaf("alice", uris=("spiffe://example.org/alice",))
BOB = ROOT.leaf("bob", uris=("spiffe://example.org/bob",))
ADMIN = ROOT.leaf("admin", uris=("spiffe://example.org/admin",))
PROXY = ROOT.leaf("proxy", uris=("spiffe://example.org/proxy",))
CALLERS = (
    CallerSettings(san_uri="spiffe://example.org/alice", roles=(Role.CLIENT,)),
    CallerSettings(san_uri="spiffe://example.org/admin", roles=(Role.ADMIN,)),
)
REVOKE = "/countersign.v1.TokenService/RevokeToken"
HOUR = 1 / 3600


def served(tmp_path, **options):
    """A server that knows `CALLERS`."""
    return serving(tmp_path, root=ROOT, callers=CALLERS, **options)


async def refusal(running, *arguments, **options) -> grpc.aio.AioRpcError:
    """The error of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.call(*arguments, **options)
    return caught.value


def assert_limited(error: grpc.aio.AioRpcError) -> float:
    """It is RATE_LIMITED; the seconds after which it may come again."""
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    return details_of(error)["RetryInfo"].retry_delay.ToTimedelta().total_seconds()


@asynccontextmanager
async def held(running, client, calls: int):
    """*calls* mints of *client* under way, until the end of the block."""
    started, finish = asyncio.Semaphore(0), asyncio.Event()

    async def mint(request, context):
        started.release()
        await finish.wait()
        return token_service_pb2.MintTokenResponse()

    running.methods.behaviors["MintToken"] = mint
    async with running.channel(client) as channel:
        under_way = [channel.unary_unary(MINT)(b"", timeout=30) for _ in range(calls)]
        for _ in under_way:
            await started.acquire()
        del running.methods.behaviors["MintToken"]
        yield
        finish.set()
        await asyncio.gather(*under_way)


async def test_a_caller_that_calls_too_often(tmp_path):
    """Beyond its burst a caller is RATE_LIMITED and told when to come; others, and other methods, go on."""
    rule = RateRule(methods=frozenset({"mint"}), rate=HOUR, burst=2)
    async with served(tmp_path, rules=(rule,)) as running:
        for _ in range(2):
            await running.call(client=ALICE)
        wait = assert_limited(await refusal(running, client=ALICE))
        assert 3500 < wait <= 3600
        assert (running.records[-1].caller, running.records[-1].cause) == (
            "spiffe://example.org/alice",
            "rate",
        )
        await running.call(client=BOB)
        await running.call(JWKS, client=ALICE)


async def test_the_pause_is_long_enough(tmp_path):
    """Who waits as long as it was told is served."""
    async with served(tmp_path, rules=(RateRule(rate=20, burst=1),)) as running:
        await running.call(client=ALICE)
        async with running.channel(ALICE) as channel, asyncio.timeout(20):
            while True:
                try:
                    await channel.unary_unary(MINT)(b"", timeout=10)
                except grpc.aio.AioRpcError as error:
                    await asyncio.sleep(assert_limited(error))
                else:
                    break


async def test_nobody_is_limited_by_address(tmp_path):
    """Callers without a certificate or a token count together, by where they come from."""
    async with served(tmp_path, rules=(RateRule(anonymous=True, rate=HOUR, burst=1),)) as running:
        await running.call()
        assert_limited(await refusal(running))
        await running.call(client=ALICE)


async def test_tokens_that_do_not_hold_are_counted(tmp_path):
    """Who guesses tokens is limited as nobody, and is then told nothing of further guesses."""
    async with served(tmp_path, rules=(RateRule(anonymous=True, rate=HOUR, burst=2),)) as running:
        guess = {"metadata": [("authorization", "Bearer wrong")]}
        for _ in range(2):
            assert reason_of(await refusal(running, **guess)) == "INVALID_TOKEN"
        assert_limited(await refusal(running, **guess))


async def test_calls_that_may_not_be_made_are_counted(tmp_path):
    """Who lacks the role uses up its calls all the same."""
    async with served(tmp_path, rules=(RateRule(rate=HOUR, burst=1),)) as running:
        assert reason_of(await refusal(running, LIST_KEYS, ALICE)) == "PERMISSION_DENIED"
        assert_limited(await refusal(running, LIST_KEYS, ALICE))


async def test_health_is_not_limited(tmp_path):
    """Orchestrators ask as often as they like."""
    async with (
        served(tmp_path, rules=(RateRule(rate=HOUR, burst=1),)) as running,
        running.channel() as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        for _ in range(5):
            await stub.Check(health_pb2.HealthCheckRequest())


async def test_addresses_behind_a_terminator(tmp_path):
    """A trusted terminator's last word on the address counts; nobody else's header does."""
    terminator = TerminatorSettings(trusted=("spiffe://example.org/proxy",), address_header="x-forwarded-for")
    rule = RateRule(anonymous=True, rate=HOUR, burst=1)
    async with served(tmp_path, rules=(rule,), terminator=terminator) as running:

        def forwarded(value):
            return {"metadata": [("x-forwarded-for", value)]}

        await running.call(client=PROXY, **forwarded("192.0.2.1"))
        assert_limited(await refusal(running, client=PROXY, **forwarded("198.51.100.9, 192.0.2.1")))
        await running.call(client=PROXY, **forwarded("192.0.2.1, 192.0.2.2"))
        await running.call(client=PROXY, **forwarded("2001:db8::1"))
        assert_limited(await refusal(running, client=PROXY, **forwarded("2001:db8::2")))
        await running.call(**forwarded("192.0.2.3"))
        assert_limited(await refusal(running, **forwarded("192.0.2.4")))


async def test_one_caller_cannot_take_all_calls(tmp_path):
    """By default a caller has at most half of the calls under way; the others still get in."""
    async with served(tmp_path, max_concurrent_calls=4) as running, held(running, ALICE, 2):
        assert_limited(await refusal(running, client=ALICE))
        assert running.records[-1].cause == "too_many_calls_of_caller"
        await running.call(client=BOB)
        await running.call()
    assert running.pipeline.admission.calls == 0


async def test_calls_of_a_caller_are_given_back(tmp_path):
    """However a call ends its caller has the room again."""
    limits = LimitSettings(calls_per_caller=1)
    async with served(tmp_path, limits=limits) as running:
        for _ in range(3):
            assert reason_of(await refusal(running, client=ALICE, request=b"\xff")) == "INVALID_REQUEST"
            assert reason_of(await refusal(running, LIST_KEYS, ALICE)) == "PERMISSION_DENIED"
        await running.call(client=ALICE)
        assert running.pipeline.admission._calls_of == {}


async def test_one_caller_cannot_take_all_streams(tmp_path):
    """A caller has so many streams, over all its connections; when one ends there is room again."""
    limits = LimitSettings(streams_per_caller=1)
    async with (
        served(tmp_path, limits=limits) as running,
        running.channel(ALICE) as first,
        running.channel(ALICE) as second,
        running.channel(BOB) as other,
    ):
        watches = [
            health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
            for channel in (first, other)
        ]
        for watch in watches:
            await watch.read()
        further = health_pb2_grpc.HealthStub(second).Watch(health_pb2.HealthCheckRequest())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await further.read()
        assert_limited(caught.value)
        watches[0].cancel()
        async with asyncio.timeout(10):
            while running.pipeline.admission.streams > 1:  # noqa: ASYNC110 - nothing tells of the end of a stream
                await asyncio.sleep(0.01)
        again = health_pb2_grpc.HealthStub(second).Watch(health_pb2.HealthCheckRequest())
        await again.read()


async def test_what_is_minted_leaves_room(tmp_path):
    """Minting cannot take the last places: revocation still gets in."""
    limits = LimitSettings(reserved_calls=0.5, calls_per_caller=100)
    async with served(tmp_path, max_concurrent_calls=8, limits=limits) as running, held(running, ALICE, 4):
        error = await refusal(running, client=BOB)
        assert (error.code(), reason_of(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert "RetryInfo" in details_of(error)
        await running.call(REVOKE, BOB)
        assert running.pipeline.limits.ceilings == (4, 7, 8)


async def test_calls_that_wait_too_long_are_refused_by_priority(tmp_path):
    """While calls wait too long, some of those that mint are refused before their callers are even looked
    at; nothing else is.
    """
    async with served(tmp_path) as running:
        shedder = running.pipeline.admission.shedder
        shedder.look = lambda **_: None
        shedder.share = 0.1
        error = await refusal(running, client=ALICE)
        assert reason_of(error) == "OVERLOADED"
        assert details_of(error)["RetryInfo"].retry_delay.ToTimedelta().total_seconds() >= 0.5
        assert (running.records[0].cause, running.records[0].caller) == ("waiting_too_long", "")
        await running.call(REVOKE, ALICE)
        await running.call(LIST_KEYS, ADMIN)
