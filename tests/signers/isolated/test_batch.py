"""A request for several signatures by a slow key, made by several threads and answered once."""

import asyncio

import pytest

from signers import Algorithm
from signers.errors import KeyNotFoundError, SignerUnavailableError
from signers.isolated.batch import Batch
from signers.isolated.crew import Pace
from signers.isolated.frames import SignRequest
from signers.isolated.provider import IsolatedProvider
from signers.pkcs11.options import Pkcs11Options
from signers.pkcs11.signing_key import TimedSignature
from signers.verification import verify
from tests.support.slow_hsm import build


class Key:
    """A key that signs by turning the message around, and fails where `errors` says so."""

    name = "key"

    def __init__(self, **errors: Exception) -> None:
        self.errors = errors
        self.asked: list[bytes] = []

    def in_session(self, session: object) -> "Key":
        """Itself."""
        del session
        return self

    def sign_timed(self, message: bytes, session: object) -> TimedSignature:
        """The signature."""
        del session
        self.asked.append(message)
        if message.decode() in self.errors:
            raise self.errors[message.decode()]
        return TimedSignature(message[::-1], 0.001, 0.001)


class Lease:
    """A lease whose session is nothing."""

    def run(self, call, *, key):
        """The call's own result."""
        del key
        return call(None)


def signed(key: Key) -> list[object]:
    """What the request for b"ab", b"cd" and b"ef" is answered with."""
    answers: list[object] = []
    batch = Batch(key, SignRequest(1, (b"ab", b"cd", b"ef")), Pace(), answers.append)
    left = [batch.sign(Lease()) for _ in range(4)]
    assert left == [True, True, False, False]
    return answers


def test_signatures_stand_in_the_order_of_the_messages():
    """There is one answer, however often the threads come back."""
    (answer,) = signed(Key())
    assert [each.signature for each in answer] == [b"ba", b"dc", b"fe"]


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
