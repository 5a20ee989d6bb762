"""The key set: fetched once, kept as long as it may be, and refreshed for an unknown key at most so often."""

import asyncio
from dataclasses import replace

import grpc
import pytest
from countersign import UnavailableError
from countersign.resource_server import Fault, InvalidTokenError, VerificationUnavailableError
from countersign.resource_server.key_cache import KeySetCache

from tests.clients.resource_server.conftest import Issuer
from tests.support.dpop import Prover

DOWN = UnavailableError("down", code=grpc.StatusCode.UNAVAILABLE)


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


async def fetched(cache):
    """The fetch that a request began, if it began one, has ended."""
    if cache._fetching is not None:
        await cache._fetching


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cache(issuer, clock):
    """Five minutes of max_age, ten seconds between fetches."""
    return KeySetCache(issuer, clock=clock)


async def test_fetched_once_for_all(issuer, cache):
    """Requests that come together share one fetch."""
    await asyncio.gather(*(cache.key("key-1") for _ in range(20)))
    assert issuer.fetches == 1


async def test_max_age(issuer, cache, clock):
    """A set is refreshed in the last quarter of its max_age."""
    await cache.key("key-1")
    clock.now += 224
    await cache.key("key-1")
    assert issuer.fetches == 1
    clock.now += 2
    await cache.key("key-1")
    await fetched(cache)
    assert issuer.fetches == 2
    clock.now += 200
    await cache.key("key-1")
    assert issuer.fetches == 2


async def test_gateway_is_down(issuer, cache, clock):
    """A set serves until its max_age though the gateway is down, and not a second longer."""
    await cache.key("key-1")
    issuer.failure = DOWN
    clock.now += 299
    await cache.key("key-1")
    await fetched(cache)
    clock.now += 1
    with pytest.raises(VerificationUnavailableError) as caught:
        await cache.key("key-1")
    assert (caught.value.fault, caught.value.code) == (Fault.KEYS_UNAVAILABLE, grpc.StatusCode.UNAVAILABLE)
    issuer.failure = None
    clock.now += 10
    await cache.key("key-1")


async def test_gateway_is_down_from_the_start(issuer, cache, clock):
    """Without any set nothing is verified, and the gateway is asked once in ten seconds."""
    issuer.failure = DOWN
    for _ in range(5):
        with pytest.raises(VerificationUnavailableError):
            await cache.key("key-1")
    assert issuer.fetches == 1
    issuer.failure = None
    clock.now += 10
    await cache.key("key-1")


async def test_unknown_key_makes_one_fetch(issuer, cache, clock):
    """A new key is found by a refresh; invented ones make no more than one fetch in ten seconds."""
    await cache.key("key-1")
    clock.now += 10
    issuer.published.append(Issuer.key(Prover.es256(), "key-2"))
    await cache.key("key-2")
    assert issuer.fetches == 2
    for number in range(50):
        with pytest.raises(InvalidTokenError) as caught:
            await cache.key(f"invented-{number}")
        assert caught.value.fault is Fault.KEY_UNKNOWN
    assert issuer.fetches == 2
    clock.now += 10
    with pytest.raises(InvalidTokenError):
        await cache.key("invented")
    assert issuer.fetches == 3


async def test_unknown_key_while_the_gateway_is_down(issuer, cache, clock):
    """A key that could be a new one is not called wrong while nobody can tell; known ones are served."""
    await cache.key("key-1")
    clock.now += 10
    issuer.failure = DOWN
    with pytest.raises(VerificationUnavailableError):
        await cache.key("key-2")
    await cache.key("key-1")


async def test_withdrawn_key(issuer, cache, clock):
    """A key that the gateway no longer publishes is unknown after the next fetch."""
    await cache.key("key-1")
    issuer.published.clear()
    clock.now += 230
    await cache.key("key-1")
    await fetched(cache)
    with pytest.raises(InvalidTokenError) as caught:
        await cache.key("key-1")
    assert caught.value.fault is Fault.KEY_UNKNOWN


@pytest.mark.parametrize(
    "changes",
    [{"alg": "ES384"}, {"alg": ""}, {"alg": "HS256"}, {"use": "enc"}, {"public_key": None}, {"kid": ""}],
)
async def test_keys_that_are_left_out(issuer, cache, changes):
    """A key that cannot verify by its algorithm is left out, and the others serve."""
    issuer.published.append(replace(issuer.published[0], **({"kid": "odd"} | changes)))
    await cache.key("key-1")
    with pytest.raises(InvalidTokenError):
        await cache.key(changes.get("kid", "odd"))


async def test_one_name_for_two_keys(issuer, cache):
    """No signature is tried with two keys: a name that is not unique names none."""
    issuer.published.append(Issuer.key(Prover.es256(), "key-1"))
    with pytest.raises(InvalidTokenError):
        await cache.key("key-1")


async def test_request_that_goes_away(issuer, cache):
    """A request that is cancelled during the fetch leaves the fetch to the others."""
    release, fetch = asyncio.Event(), issuer.get_jwks

    async def slow():
        await release.wait()
        return await fetch()

    issuer.get_jwks = slow
    first, second = (asyncio.create_task(cache.key("key-1")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    release.set()
    await second
    assert issuer.fetches == 1
