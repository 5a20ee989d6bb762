"""A request for several signatures by a slow key, made by several threads and answered once."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from signers import Algorithm
from signers.errors import KeyNotFoundError, SignatureInvalidError, SignerUnavailableError
from signers.isolated.batch import Batch
from signers.isolated.crew import Crew, Pace
from signers.isolated.frames import SignRequest
from signers.isolated.provider import IsolatedProvider
from signers.pkcs11.options import Pkcs11Options
from signers.pkcs11.signing_key import TimedSignature
from signers.verification import verify
from tests.support.slow_hsm import build


class Made:
    """What `Key` signed; `verified` fails where the key says so."""

    signing = 0.001

    def __init__(self, key: "Key", message: bytes) -> None:
        self.key = key
        self.message = message

    def verified(self) -> TimedSignature:
        """The signature."""
        if self.message in self.key.wrong:
            raise SignatureInvalidError("wrong", key="key")
        return TimedSignature(self.message[::-1], 0.001, 0.001)


class Key:
    """A key that signs by turning the message around, fails where `errors` says so, and errs for `wrong`."""

    name = "key"

    def __init__(self, *, wrong: tuple[bytes, ...] = (), **errors: Exception) -> None:
        self.errors = errors
        self.wrong = wrong
        self.asked: list[bytes] = []

    def in_session(self, session: object) -> "Key":
        """Itself."""
        del session
        return self

    def sign_unverified(self, message: bytes, session: object) -> Made:
        """The signature."""
        del session
        self.asked.append(message)
        if message.decode() in self.errors:
            raise self.errors[message.decode()]
        return Made(self, message)


class Lease:
    """A lease whose session is nothing."""

    def run(self, call, *, key):
        """The call's own result."""
        del key
        return call(None)

    def close(self):
        """Nothing is to be closed."""


def signed(key: Key, *, verified_at_once: bool = True) -> list[object]:
    """What the request for b"ab", b"cd" and b"ef" is answered with."""
    answers: list[object] = []
    later: list[Callable[[], None]] = []
    verify = (lambda job: job()) if verified_at_once else later.append
    batch = Batch(key, SignRequest(1, (b"ab", b"cd", b"ef")), Pace(), verify, answers.append)
    left = [batch.sign(Lease()) for _ in range(4)]
    assert left == [True, True, False, False]
    assert verified_at_once or not answers
    for job in later:
        job()
    return answers


@pytest.mark.parametrize("verified_at_once", [True, False])
def test_signatures_stand_in_the_order_of_the_messages(verified_at_once):
    """There is one answer, however often the threads come back, and none before all are verified."""
    (answer,) = signed(Key(), verified_at_once=verified_at_once)
    assert [each.signature for each in answer] == [b"ba", b"dc", b"fe"]


@pytest.mark.parametrize("verified_at_once", [True, False])
@pytest.mark.parametrize("wrong", [b"ab", b"ef"])
def test_one_wrong_signature_is_the_answer_to_the_whole_request(wrong, verified_at_once):
    """None of a request's signatures is released where one does not verify, and there is one answer."""
    (answer,) = signed(Key(wrong=(wrong,)), verified_at_once=verified_at_once)
    assert isinstance(answer, SignatureInvalidError)


def test_a_session_signs_on_while_its_last_signature_is_verified():
    """One thread has the device sign all messages although no verification has ended."""
    all_asked, answered, answers = threading.Event(), threading.Event(), []

    class Waiting(Made):
        def verified(self) -> TimedSignature:
            assert all_asked.wait(5)
            return super().verified()

    class Watched(Key):
        def sign_unverified(self, message: bytes, session: object) -> Made:
            super().sign_unverified(message, session)
            if len(self.asked) == 3:
                all_asked.set()
            return Waiting(self, message)

    def answer(outcome: object) -> None:
        answers.append(outcome)
        answered.set()

    crew = Crew([Lease()])
    try:
        request = SignRequest(1, (b"ab", b"cd", b"ef"))
        crew.submit(Batch(Watched(), request, Pace(), crew.verify, answer).sign)
        assert answered.wait(5)
    finally:
        crew.close(5)
    assert [each.signature for each in answers[0]] == [b"ba", b"dc", b"fe"]


def test_the_first_error_is_the_answer_and_the_rest_is_not_signed():
    """All or none: after an error the token is not asked for more, and there is one answer."""
    key = Key(ab=KeyNotFoundError("gone", key="key"), ef=KeyNotFoundError("never seen", key="key"))
    (answer,) = signed(key)
    assert isinstance(answer, KeyNotFoundError)
    assert str(answer) == "gone"
    assert key.asked == [b"ab"]


def test_an_unforeseen_error_is_told_without_its_words(caplog):
    """The gateway learns the class alone; the log has the rest."""
    (answer,) = signed(Key(ab=RuntimeError("secret")))
    assert isinstance(answer, SignerUnavailableError)
    assert "secret" not in str(answer)
    assert "RuntimeError" in str(answer)
    assert "signing failed" in caplog.text


@pytest.fixture
def slow_hsm(tmp_path, monkeypatch):
    """A device of 5 ms per signature and 16 sessions."""
    hsm = build(tmp_path, engines=16)
    for name, value in hsm.environment.items():
        monkeypatch.setenv(name, value)
    return hsm


async def test_wrong_signatures_of_a_slow_device_are_not_released(slow_hsm, monkeypatch):
    """Where one of eight is wrong, its request fails as that, and all that is released verifies."""
    monkeypatch.setenv("SLOW_HSM_DAMAGED", "1")
    provider = await IsolatedProvider.open(slow_hsm.uri, Pkcs11Options(isolation=True, sessions=16))
    try:
        signer = await provider.signer(slow_hsm.uri, Algorithm.ES256)
        released = refused = 0
        for start in range(0, 120, 3):
            messages = [b"%d" % number for number in range(start, start + 3)]
            try:
                signatures = await signer.sign_many(messages)
            except SignatureInvalidError:
                refused += 1
                continue
            for message, signature in zip(messages, signatures, strict=True):
                verify(signer.public_key, Algorithm.ES256, message, signature)
                released += 1
        # At most 15 of 120 are wrong; after one, the rest of its request need not be signed.
        assert released + 3 * refused == 120
        assert 8 <= refused <= 15
    finally:
        await provider.aclose()


async def test_one_batch_has_every_session_at_work(slow_hsm):
    """A device that makes sixteen signatures at once makes those of a single request together."""
    provider = await IsolatedProvider.open(slow_hsm.uri, Pkcs11Options(isolation=True, sessions=16))
    try:
        signer = await provider.signer(slow_hsm.uri, Algorithm.ES256)
        messages = [b"%d" % number for number in range(16)]
        loop = asyncio.get_running_loop()
        least = float("inf")
        for _ in range(6):
            started = loop.time()
            signatures = await signer.sign_many(messages)
            least = min(least, loop.time() - started)
            for message, signature in zip(messages, signatures, strict=True):
                verify(signer.public_key, Algorithm.ES256, message, signature)
        # One after another they take the device 80 ms.
        assert 0.005 <= least < 0.06
    finally:
        await provider.aclose()
