"""What callers see while AWS, Google or Azure fail; each fault against all three."""

import asyncio
import itertools

import pytest

from signers import (
    AccessDeniedError,
    Algorithm,
    KeyNotFoundError,
    KeyUnusableError,
    SignatureInvalidError,
    SignerError,
    SignerThrottledError,
    SignerTimeoutError,
    SignerUnavailableError,
)
from signers.errors import FaultClass
from signers.remote import credentials
from signers.verification import verify
from tests.support.fault_proxy import FaultProxy, altering, cut_after, cut_before, garbled, holding

MESSAGE = b"message"


async def test_throttling_is_told_with_the_time_to_wait(cloud):
    """A throttled signature fails with the service's own wait, and until then nothing more is sent."""
    async with cloud.registry() as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        cloud.proxy.faults = [cloud.throttled]
        for _ in range(5):
            with pytest.raises(SignerThrottledError) as caught:
                await signer.sign(MESSAGE)
            assert 0 < caught.value.retry_after <= (cloud.retry_after or 0.5)
            assert caught.value.fault_class is FaultClass.THROTTLED
        assert cloud.proxy.signing == 1


async def test_short_throttling_is_waited_out(cloud):
    """Where the service's wait is one that a signature may wait, the signature comes."""
    async with cloud.registry(budget_wait=2) as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        cloud.proxy.faults = [cloud.throttled]
        verify(signer.public_key, Algorithm.ES256, MESSAGE, await signer.sign(MESSAGE))
        assert cloud.proxy.signing == 2


async def test_budget_answers_before_the_service_is_asked(cloud):
    """Beyond the budget, signatures fail at once with the time to wait, and the service sees none of them."""
    async with cloud.registry(budget=0.1, burst=2, budget_wait=0) as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        outcomes = await asyncio.gather(*(signer.sign(MESSAGE) for _ in range(10)), return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, SignerThrottledError)]
        assert len(refused) == 8
        assert all(9 < error.retry_after <= 10 for error in refused)
        assert cloud.proxy.signing == 2


@pytest.mark.parametrize("fault", ["unavailable", cut_before, cut_after, garbled])
async def test_passing_failures_are_tried_again(cloud, fault):
    """A fault of the service or the network that passes costs a retry, and no caller sees it."""
    async with cloud.registry(attempts=3) as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        cloud.proxy.faults = [cloud.unavailable if fault == "unavailable" else fault]
        verify(signer.public_key, Algorithm.ES256, MESSAGE, await signer.sign(MESSAGE))
        assert cloud.proxy.signing == 2


@pytest.mark.parametrize("fault", ["unavailable", cut_before, cut_after, garbled])
async def test_lasting_failures_are_unavailable(cloud, fault):
    """A fault that stays is `SignerUnavailableError`, and signing works again once it is over."""
    async with cloud.registry(attempts=2) as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        cloud.proxy.always = cloud.unavailable if fault == "unavailable" else fault
        with pytest.raises(SignerUnavailableError):
            await signer.sign(MESSAGE)
        assert cloud.proxy.signing == 2
        cloud.proxy.always = None
        await signer.check()


async def test_late_answer(cloud):
    """An answer that is late costs its request's time limit: the next is tried, or the caller is told."""
    release = asyncio.Event()
    async with cloud.registry(attempts=2, attempt_timeout=1.0) as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        cloud.proxy.faults = [holding(release)]
        verify(signer.public_key, Algorithm.ES256, MESSAGE, await signer.sign(MESSAGE))
        cloud.proxy.always = holding(release)
        with pytest.raises(SignerTimeoutError) as caught:
            await signer.sign(MESSAGE)
        assert caught.value.fault_class is FaultClass.RETRYABLE
        release.set()


async def test_corrupted_signature_is_never_released(cloud):
    """A signature that does not verify is withheld, and not asked for again."""
    async with cloud.registry() as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        cloud.proxy.faults = [altering(cloud.corrupt)]
        with pytest.raises(SignatureInvalidError):
            await signer.sign(MESSAGE)
        assert cloud.proxy.signing == 1
        await signer.check()


async def test_signature_of_another_key_is_never_released(cloud):
    """A signature that the service says is by another key or version is withheld."""
    async with cloud.registry() as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        cloud.proxy.faults = [altering(cloud.other_key)]
        with pytest.raises(SignatureInvalidError, match="another"):
            await signer.sign(MESSAGE)


async def test_disabled_key(cloud):
    """A key that is disabled under load fails for good, fails the check of a new opening as well, and
    signs again once it is enabled.
    """
    async with cloud.registry() as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        cloud.disable()
        with pytest.raises(KeyUnusableError, match=r"(?i)disabled|not enabled") as caught:
            await signer.sign(MESSAGE)
        assert caught.value.fault_class is FaultClass.PERMANENT
        assert cloud.proxy.signing == 1
        async with cloud.registry() as another:
            # ministack gives the public key of a disabled key, where AWS itself refuses it.
            with pytest.raises(KeyUnusableError):
                await (await another.open(cloud.uri, Algorithm.ES256)).check()
        cloud.enable()
        await signer.check()


async def test_deleted_key(cloud):
    """A key that is deleted under load is unusable or gone, as its service says, for good."""
    async with cloud.registry() as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        cloud.delete()
        with pytest.raises((KeyUnusableError, KeyNotFoundError)):
            await signer.sign(MESSAGE)
        assert cloud.proxy.signing == 1


async def test_withdrawn_credentials_are_replaced(cloud, monkeypatch):
    """Credentials that the service no longer accepts are obtained anew, and no caller sees it."""
    monkeypatch.setattr(credentials, "MIN_AGE", 0.0)
    async with cloud.registry() as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        cloud.withdraw_credentials()
        await asyncio.gather(*(signer.check() for _ in range(8)))


async def test_missing_permission(cloud):
    """Without the permission to sign, the caller is told what the service said; nothing is tried again."""
    async with cloud.registry() as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        cloud.deny()
        with pytest.raises(AccessDeniedError):
            await signer.sign(MESSAGE)
        assert cloud.proxy.signing == 1


async def test_every_call_ends_in_a_right_signature_or_a_typed_error(cloud):
    """Among all faults at once no signature is wrong and no reply is lost."""
    faults = itertools.cycle(
        [cloud.unavailable, altering(cloud.corrupt), cut_before, None, cut_after, altering(cloud.other_key)]
    )

    async def any_of_them(forward):
        fault = next(faults)
        return await (forward() if fault is None else fault(forward))

    async with cloud.registry(timeout=5, attempts=4) as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        cloud.proxy.always = any_of_them
        messages = [b"message %d" % number for number in range(60)]
        outcomes = await asyncio.gather(*map(signer.sign, messages), return_exceptions=True)
        cloud.proxy.always = None
        signed = 0
        for message, outcome in zip(messages, outcomes, strict=True):
            if isinstance(outcome, bytes):
                verify(signer.public_key, Algorithm.ES256, message, outcome)
                signed += 1
            else:
                assert isinstance(outcome, SignerError)
        assert signed > 0


async def test_network_cut_under_load(cloud):
    """While nobody answers, every call ends in a typed error; when the service is back,
    signatures come again without anybody's help.
    """
    async with cloud.registry() as registry:
        signer = await registry.open(cloud.uri, Algorithm.ES256)
        await signer.check()
        port = cloud.proxy.port
        await cloud.proxy.__aexit__(None, None, None)
        outcomes = await asyncio.gather(*(signer.sign(MESSAGE) for _ in range(40)), return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {SignerUnavailableError}
        (health,) = registry.health().values()
        assert not health.available
        assert "cannot be reached" in health.detail
        async with FaultProxy(upstream=cloud.proxy.upstream, port=port), asyncio.timeout(5):
            while not await signs(signer):
                pass
        (health,) = registry.health().values()
        assert health.available


async def signs(signer):
    """Whether a signature comes; where none does, the time that the error asks to wait has passed."""
    try:
        await signer.check()
    except SignerUnavailableError as error:
        await asyncio.sleep(error.retry_after or 0.01)
        return False
    return True
