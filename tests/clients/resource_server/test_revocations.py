"""Revocations: followed from a real gateway across its restart, kept as long as they matter, or refused."""

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import grpc
import pytest
from countersign import InvalidRequestError, UnavailableError
from countersign.resource_server import (
    Fault,
    InvalidTokenError,
    RevocationFollower,
    VerificationUnavailableError,
)
from countersign.resource_server._revoked import RevokedSet
from countersign.resource_server.revocations import FULL_BATCH, MARGIN
from countersign.resource_server.verifier import MAX_LEEWAY
from countersign.tokens import Revocation, RevocationBatch

from gateway.introspection import feed
from tests.clients.resource_server.conftest import request, verifier
from tests.support.gateway import running_gateway

NOW = 1_900_000_000.0


def revocation(token_id="", grant_id="", end=NOW + 300):
    times = [datetime.fromtimestamp(each, UTC) for each in (NOW, end)]
    return Revocation(token_id, grant_id, *times)


class Stream:
    """A gateway's stream, as the test fills it: batches, errors, and None for an end."""

    def __init__(self):
        self.items = asyncio.Queue()
        self.opened = []
        self.open_again = asyncio.Queue()

    async def watch_revocations(self, cursor=""):
        self.opened.append(cursor)
        self.open_again.put_nowait(cursor)
        while (item := await self.items.get()) is not None:
            if isinstance(item, Exception):
                raise item
            yield item

    def put(self, *revocations, cursor):
        self.items.put_nowait(RevocationBatch(revocations, cursor))


class Clock:
    def __init__(self, now):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def stream():
    return Stream()


@asynccontextmanager
async def following(stream, **options):
    values = {"clock": lambda: NOW, "max_backoff": 0.001} | options
    async with RevocationFollower(stream, **values) as follower:
        yield follower


async def caught_up(follower):
    async with asyncio.timeout(5):
        await follower.caught_up()


async def opened(stream, count):
    """The cursors of the first *count* times that the stream was opened."""
    async with asyncio.timeout(5):
        while len(stream.opened) < count:
            await stream.open_again.get()
    return stream.opened


async def verified(issuer, follower=None, **claims):
    """A token of the double's as the verifier sees it, asking *follower* last."""
    checking = verifier(issuer, accept_unbound=True, revocations=follower)
    return await checking.verify(request(issuer.token(**claims)))


async def outcome(issuer, follower, **claims):
    try:
        await verified(issuer, follower, **claims)
    except (InvalidTokenError, VerificationUnavailableError) as error:
        return error.fault
    return None


async def test_token_and_grant(issuer, stream):
    """A token is refused by its own id and by that of its grant, and no other is."""
    async with following(stream) as follower:
        stream.put(revocation("t1"), revocation(grant_id="g1"), cursor="c1")
        await caught_up(follower)
        assert await outcome(issuer, follower, jti="t1") is Fault.REVOKED
        assert await outcome(issuer, follower, jti="t2", grant_id="g1") is Fault.REVOKED
        assert await outcome(issuer, follower, jti="t2", grant_id="t1") is None
        assert await outcome(issuer, follower, jti="g1") is None
        assert len(follower) == 2


async def test_nothing_is_accepted_before_the_first_answer(issuer, stream):
    """Before the stream has spoken, and while it has only begun to, all tokens are refused."""
    async with following(stream) as follower:
        assert follower.staleness is None
        assert await outcome(issuer, follower) is Fault.REVOCATIONS_STALE
        stream.put(*(revocation(f"t{number}") for number in range(FULL_BATCH)), cursor="c1")
        stream.items.put_nowait(None)
        await opened(stream, 2)
        assert await outcome(issuer, follower, jti="new") is Fault.REVOCATIONS_STALE
        stream.put(cursor="c1")
        await caught_up(follower)
        assert await outcome(issuer, follower, jti="new") is None
        assert stream.opened == ["", "c1"]


async def test_a_stale_follower_refuses(issuer, stream):
    """When the last answer is older than allowed all tokens are refused, until the next answer."""
    monotonic = Clock(0.0)
    async with following(stream, max_staleness=timedelta(seconds=60), monotonic=monotonic) as follower:
        stream.put(cursor="c1")
        await caught_up(follower)
        monotonic.now = 60.0
        assert follower.staleness == timedelta(seconds=60)
        assert await outcome(issuer, follower) is None
        monotonic.now = 60.5
        with pytest.raises(VerificationUnavailableError) as caught:
            await verified(issuer, follower)
        assert (caught.value.fault, caught.value.code) == (
            Fault.REVOCATIONS_STALE,
            grpc.StatusCode.UNAVAILABLE,
        )
        stream.put(cursor="c1")
        stream.items.put_nowait(None)
        await opened(stream, 2)
        assert await outcome(issuer, follower) is None


async def test_a_stream_that_breaks_off_is_resumed(issuer, stream):
    """After a failure the stream goes on at the last cursor; what was known stays known."""
    async with following(stream) as follower:
        stream.put(revocation("t1"), cursor="c1")
        stream.items.put_nowait(UnavailableError("down", code=grpc.StatusCode.UNAVAILABLE))
        assert await opened(stream, 2) == ["", "c1"]
        assert await outcome(issuer, follower, jti="t1") is Fault.REVOKED


async def test_a_silent_stream_is_opened_again(stream):
    """A stream without a word for half of the staleness is dead, whatever the connection says."""
    async with following(stream, max_staleness=timedelta(milliseconds=20)):
        assert await opened(stream, 3) == ["", "", ""]


async def test_a_cursor_that_is_refused(issuer, stream):
    """With a cursor that the gateway does not know, as after a restore, the stream begins anew."""
    async with following(stream) as follower:
        stream.put(revocation("t1"), cursor="c9")
        stream.items.put_nowait(InvalidRequestError("no", code=grpc.StatusCode.INVALID_ARGUMENT))
        assert await opened(stream, 2) == ["", ""]
        assert await outcome(issuer, follower, jti="t1") is Fault.REVOKED


async def test_too_many_revocations(issuer, stream):
    """Where not all revocations find room no token is accepted, until a new start finds room for all."""
    async with following(stream, max_entries=2) as follower:
        stream.put(*(revocation(f"t{number}") for number in range(3)), cursor="c1")
        assert await opened(stream, 2) == ["", ""]
        assert await outcome(issuer, follower, jti="other") is Fault.REVOCATIONS_STALE
        stream.put(revocation("t1"), cursor="c1")
        await caught_up(follower)
        assert await outcome(issuer, follower, jti="other") is None


async def test_a_defect_is_told_and_stops_nothing_else(issuer, stream):
    """An error that is none of the gateway's ends the following, and comes out at the end of the block."""
    stream.items.put_nowait(ZeroDivisionError())
    follower = await RevocationFollower(stream).__aenter__()
    await opened(stream, 1)
    assert await outcome(issuer, follower) is Fault.REVOCATIONS_STALE
    with pytest.raises(ZeroDivisionError):
        await follower.__aexit__(None, None, None)


async def test_revocations_are_forgotten(issuer):
    """An id goes when its end and the margin have passed, the latest end counting, and makes room."""
    token = await verified(issuer, jti="t1")
    revoked = RevokedSet(max_entries=1, margin=10.0)
    revoked.add([revocation("t1", end=NOW + 5), revocation("t1", end=NOW + 50)], now=NOW)
    revoked.forget(NOW + 59)
    assert token in revoked
    revoked.add([revocation("t2", end=NOW + 100)], now=NOW + 60)
    assert token not in revoked
    assert (len(revoked), revoked.overflown) == (1, False)
    revoked.add([revocation("t3", end=NOW + 100)], now=NOW + 60)
    assert revoked.overflown


def test_figures_that_belong_together():
    """A full batch is the gateway's, and a revocation outlives the leeway of its token."""
    assert FULL_BATCH == feed.PAGE
    assert MARGIN > MAX_LEEWAY


@pytest.mark.parametrize("options", [{"max_staleness": timedelta(0)}, {"max_entries": 0}, {"max_backoff": 0}])
def test_configuration_is_checked(stream, options):
    """A follower without bounds is not made."""
    with pytest.raises(ValueError, match="above 0"):
        RevocationFollower(stream, **options)


async def wait_until_revoked(checking, call):
    """The verification of *call* once it fails, as the stream brings the news."""
    async with asyncio.timeout(10):
        while True:
            try:
                await checking.verify(call)
            except InvalidTokenError as error:
                return error.fault
            await asyncio.sleep(0.01)


async def kept(follower, count):
    """The follower keeps *count* revocations."""
    async with asyncio.timeout(10):
        while True:
            if len(follower) == count:
                return
            await asyncio.sleep(0.01)


async def test_a_real_gateway(served):
    """A token that the gateway revokes is refused here soon, and no other."""
    async with (
        served.gateway.client(served.gateway.api) as api,
        served.gateway.client(served.gateway.admin) as admin,
        RevocationFollower(api) as follower,
    ):
        await caught_up(follower)
        checking = verifier(api, revocations=follower)
        first, second = [
            request(await served.certificate_bound(), certificate=served.identity.der) for _ in range(2)
        ]
        token = await checking.verify(first)
        await admin.revoke_token_id(token.token_id)
        assert await wait_until_revoked(checking, first) is Fault.REVOKED
        await checking.verify(second)
        assert follower.staleness < timedelta(seconds=20)


class Moving:
    """A gateway that comes back at another port."""

    def __init__(self, client):
        self.client = client

    def watch_revocations(self, cursor=""):
        return self.client.watch_revocations(cursor)

    async def get_jwks(self):
        return await self.client.get_jwks()


async def test_a_gateway_that_restarts(tmp_path):
    """What was revoked while the stream was away arrives when it is back; nothing is lost in between."""
    async with AsyncExitStack() as stack:
        first = await stack.enter_async_context(running_gateway(tmp_path))
        source = Moving(await stack.enter_async_context(first.client(first.api)))
        follower = await stack.enter_async_context(RevocationFollower(source, max_backoff=0.05))
        await caught_up(follower)
        async with first.client(first.admin) as admin:
            await admin.revoke_token_id("before")
            await kept(follower, 1)
            await first.server.drain()
        async with running_gateway(tmp_path, prepared=first.prepared) as second:
            async with second.client(second.admin) as admin:
                await admin.revoke_token_id("away")
            async with second.client(second.api) as client:
                source.client = client
                await kept(follower, 2)
                await stack.aclose()
