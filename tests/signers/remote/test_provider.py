"""A service as a provider: keys are found, checked, created, and reported on."""

import asyncio

import pytest

from signers import (
    AccessDeniedError,
    Algorithm,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    SignerTimeoutError,
    SignerUnavailableError,
    VersionedSigner,
)
from signers.remote.circuit import THRESHOLD
from signers.remote.options import RemoteOptions
from signers.remote.provider import RemoteProvider
from tests.support.remote_service import ScriptedKey, ScriptedService


def provider_of(service, **options):
    return RemoteProvider(service, RemoteOptions(**options))


async def test_found_key_signs_and_tells_its_version():
    """A key is found, signs, and says which version it is and by which URI it is found again."""
    signer = await provider_of(ScriptedService()).signer("test:key=one", Algorithm.ES256)
    await signer.check()
    assert isinstance(signer, VersionedSigner)
    assert (signer.key_version, signer.pinned_uri) == ("1", "test:key=one;version=1")


async def test_the_public_key_is_fetched_once():
    """However often a signer signs, the service is asked for its key once."""
    service = ScriptedService()
    signer = await provider_of(service).signer("test:key=one", Algorithm.ES256)
    for _ in range(20):
        await signer.sign(b"m")
    await signer.check()
    assert (service.finds, len(service.key.requests)) == (1, 21)


async def test_looking_up_is_tried_again():
    """A service that does not answer a look-up at first is asked again."""
    service = ScriptedService(script=[SignerUnavailableError("down"), SignerTimeoutError("slow")])
    await provider_of(service).signer("test:key=one", Algorithm.ES256)
    assert service.finds == 3


@pytest.mark.parametrize("error", [AccessDeniedError("no"), KeyNotFoundError("none"), KeyUnusableError("no")])
async def test_final_answers_are_not_asked_for_again(error):
    """A look-up that the service refuses is not repeated."""
    service = ScriptedService(script=[error])
    with pytest.raises(type(error)):
        await provider_of(service).signer("test:key=one", Algorithm.ES256)
    assert service.finds == 1


async def test_looking_up_has_a_time_limit():
    """A look-up that hangs ends after its time."""

    async def hang():
        await asyncio.sleep(10)

    service = ScriptedService(script=[hang] * 10)
    with pytest.raises(SignerTimeoutError):
        await provider_of(service, timeout=0.1, attempt_timeout=0.03).signer("test:key=one", Algorithm.ES256)


async def test_another_key_is_refused():
    """A key of another type, or not the pinned one, is refused when it is opened."""
    provider = provider_of(ScriptedService(ScriptedKey(Algorithm.ES384)))
    with pytest.raises(KeyUnusableError):
        await provider.signer("test:key=one", Algorithm.ES256)
    with pytest.raises(KeyMismatchError):
        await provider.signer("test:key=one", Algorithm.ES384, public_key_sha256="0" * 64)


async def test_creating_is_tried_once():
    """A creation whose answer was lost is not repeated: the key may have been made."""
    service = ScriptedService(script=[SignerUnavailableError("lost")])
    with pytest.raises(SignerUnavailableError):
        await provider_of(service).create("test:key=one", Algorithm.ES256)
    assert service.creates == 1


async def test_creation_may_take_as_long_as_a_signature_with_all_its_retries():
    """A key that the service takes long to generate is waited for: the request is not made a second time."""

    async def generate():
        await asyncio.sleep(0.05)

    service = ScriptedService(script=[generate])
    provider = provider_of(service, attempt_timeout=0.01, timeout=10)
    await provider.create("test:key=one", Algorithm.ES256)
    assert (service.creates, service.finds) == (1, 1)


async def test_health():
    """Health tells an open circuit and its fault, the budget, and the end."""
    key = ScriptedKey(script=[SignerUnavailableError("It is down.")] * THRESHOLD)
    service = ScriptedService(key)
    provider = provider_of(service, attempts=THRESHOLD, budget=1000.0, burst=50)
    signer = await provider.signer("test:key=one", Algorithm.ES256)
    assert (provider.health().available, provider.health().budget_left) == (True, 50)
    with pytest.raises(SignerUnavailableError):
        await signer.sign(b"m")
    health = provider.health()
    assert (health.available, health.detail) == (False, "It is down.")
    await provider.aclose()
    assert (provider.health().available, provider.health().detail) == (False, "closed")
    assert service.closed == 1


async def test_closed_provider_finds_nothing():
    """After closing no key is found, made, or signs."""
    service = ScriptedService()
    provider = provider_of(service)
    signer = await provider.signer("test:key=one", Algorithm.ES256)
    await provider.aclose()
    for call in (
        provider.signer("test:key=one", Algorithm.ES256),
        provider.create("test:key=one", Algorithm.ES256),
        signer.sign(b"m"),
        signer.sign_many([]),
    ):
        with pytest.raises(SignerUnavailableError):
            await call
    assert (service.finds, service.creates) == (1, 0)
