"""Every signature of the gateway goes through a guard: withdrawn keys, counts, records."""

import asyncio
from collections import Counter
from time import perf_counter

import pytest

from gateway.errors import AvailabilityError, Reason
from gateway.keys.freshness import Freshness
from gateway.keys.guarded import CANCELLED, GuardedSigner, KeyUsage
from gateway.telemetry.audit import AuditedKey
from gateway.telemetry.caller import current_caller
from gateway.telemetry.request_id import current_request_id
from signers import Algorithm, SignerTimeoutError, SignerUnavailableError
from signers.registry import SignerRegistry
from signers.verification import verify
from tests.support.gateway import make_key

USED = AuditedKey("kid", "file:one.pem", "tokens", "ES256", "file")


class RememberingAudit:
    """An audit log that keeps its records."""

    def __init__(self) -> None:
        self.records = []

    def signed(self, record) -> None:
        self.records.append(record)


class SlowSigner:
    """A real signer that signs when it is let."""

    def __init__(self, inner) -> None:
        self._inner = inner
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()
        self.failure = None

    def __getattr__(self, name):
        return getattr(self._inner, name)

    async def sign(self, message):
        self.entered.set()
        await self.go_on.wait()
        if self.failure is not None:
            raise self.failure
        return await self._inner.sign(message)

    async def sign_many(self, messages):
        return [await self.sign(message) for message in messages]


class Guarded:
    """A guard, and all that it was given."""

    def __init__(self, inner, max_age=60.0) -> None:
        self.looks = 0
        self.look_fails = False
        self.usage = KeyUsage()
        self.audit = RememberingAudit()
        self.freshness = Freshness(self.look, max_age=max_age)
        self.inner = inner
        self.signer = GuardedSigner(inner, USED, self.usage, self.freshness, self.audit)

    async def look(self) -> None:
        self.looks += 1
        await asyncio.sleep(0)
        if self.look_fails:
            raise AvailabilityError(Reason.STORE_UNAVAILABLE, "away")
        self.freshness.confirmed(perf_counter())


@pytest.fixture
async def key(tmp_path):
    """A key in a file."""
    async with SignerRegistry(base_dir=tmp_path) as registry:
        yield await registry.open(make_key(tmp_path, "one"), Algorithm.ES256)


async def test_a_signature_is_counted_and_on_record(key):
    """The record names the caller, the key and the request, and holds nothing of what was signed."""
    guarded = Guarded(key)
    current_caller.set("spiffe://example.org/one")
    current_request_id.set("r1")
    signature = await guarded.signer.sign(b"message")
    verify(key.public_key, Algorithm.ES256, b"message", signature)
    (record,) = guarded.audit.records
    assert (record.used, record.caller, record.request_id, record.signatures) == (
        USED, "spiffe://example.org/one", "r1", 1,
    )  # fmt: skip
    assert b"message" not in repr(record).encode()
    assert (guarded.usage.signatures, sum(guarded.usage.calls.counts)) == (1, 1)


async def test_a_batch_is_one_record(key):
    """With the number of its signatures."""
    guarded = Guarded(key)
    signatures = await guarded.signer.sign_many([b"a", b"b", b"c"])
    verify(key.public_key, Algorithm.ES256, b"c", signatures[2])
    assert [record.signatures for record in guarded.audit.records] == [3]
    assert guarded.usage.signatures == 3
    assert list(await guarded.signer.sign_many([])) == []
    assert len(guarded.audit.records) == 1


@pytest.mark.parametrize("many", [False, True])
async def test_a_signature_under_way_is_not_handed_out_once_withdrawn(key, many):
    """The key was disabled while the device signed."""
    guarded = Guarded(SlowSigner(key))
    call = guarded.signer.sign_many([b"m"]) if many else guarded.signer.sign(b"m")
    signing = asyncio.create_task(call)
    await guarded.inner.entered.wait()
    guarded.usage.withdrawn = True
    guarded.inner.go_on.set()
    with pytest.raises(SignerUnavailableError, match="withdrawn"):
        await signing
    assert guarded.audit.records == []
    assert guarded.usage.errors == Counter({"SignerUnavailableError": 1})


async def test_a_withdrawn_key_signs_nothing(key):
    """The device is not even asked."""
    guarded = Guarded(SlowSigner(key))
    guarded.usage.withdrawn = True
    with pytest.raises(SignerUnavailableError, match="withdrawn"):
        await guarded.signer.sign(b"m")
    assert not guarded.inner.entered.is_set()


async def test_old_knowledge_is_confirmed_first(key):
    """Many signatures share one look at the database."""
    guarded = Guarded(key)
    await asyncio.gather(*(guarded.signer.sign(b"m") for _ in range(20)))
    assert guarded.looks == 1
    await guarded.signer.sign(b"m")
    assert guarded.looks == 1


async def test_what_cannot_be_confirmed_is_not_signed(key):
    """While the database is away no key signs; afterwards it does."""
    guarded = Guarded(SlowSigner(key))
    guarded.inner.go_on.set()
    guarded.look_fails = True
    with pytest.raises(SignerUnavailableError, match="cannot be confirmed"):
        await guarded.signer.sign(b"m")
    assert not guarded.inner.entered.is_set()
    guarded.look_fails = False
    assert await guarded.signer.sign(b"m")


async def test_a_signature_that_took_long_is_confirmed_again(key):
    """What was known when it began may be wrong by its end."""
    guarded = Guarded(SlowSigner(key))
    signing = asyncio.create_task(guarded.signer.sign(b"m"))
    await guarded.inner.entered.wait()
    guarded.freshness.until = float("-inf")
    guarded.inner.go_on.set()
    assert await signing
    assert guarded.looks == 2


async def test_failures_are_counted_by_class(key):
    """And the last one is the key's fault until it signs again."""
    guarded = Guarded(SlowSigner(key))
    guarded.inner.go_on.set()
    guarded.inner.failure = SignerTimeoutError("late")
    with pytest.raises(SignerTimeoutError):
        await guarded.signer.sign(b"m")
    with pytest.raises(SignerTimeoutError):
        await guarded.signer.sign_many([b"m", b"n"])
    assert (guarded.usage.errors, guarded.usage.fault) == (
        Counter({"SignerTimeoutError": 3}), "SignerTimeoutError",
    )  # fmt: skip
    guarded.inner.failure = None
    await guarded.signer.sign(b"m")
    assert guarded.usage.fault is None


async def test_a_caller_who_left_is_no_fault_of_the_key(key):
    """It is counted apart."""
    guarded = Guarded(SlowSigner(key))
    signing = asyncio.create_task(guarded.signer.sign(b"m"))
    await guarded.inner.entered.wait()
    signing.cancel()
    await asyncio.gather(signing, return_exceptions=True)
    assert (guarded.usage.errors, guarded.usage.fault) == (Counter({CANCELLED: 1}), None)
