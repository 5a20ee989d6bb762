"""Credentials that expire, are renewed, and are refused."""

import asyncio

import pytest

from signers import AccessDeniedError, SignerUnavailableError
from signers.remote import credentials
from signers.remote.credentials import Credentials, Lease
from tests.support.softhsm import eventually


class Issuer:
    """Issues "1", "2", ...; `script` has errors to raise instead."""

    def __init__(self, lifetime=None, *, renewable=False):
        self.lifetime = lifetime
        self.renewable = renewable
        self.asked = []
        self.script = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, previous):
        self.asked.append(None if previous is None else previous.value)
        await self.gate.wait()
        if self.script:
            step = self.script.pop(0)
            if isinstance(step, Exception):
                raise step
            return step
        return Lease(str(len(self.asked)), self.lifetime, self.renewable)


@pytest.fixture
async def make():
    made = []

    def credentials_of(issuer):
        made.append(Credentials("test:", issuer))
        return made[-1]

    yield credentials_of
    for each in made:
        await each.aclose()


@pytest.fixture
def hurried(monkeypatch):
    """Renewals may follow each other at once."""
    monkeypatch.setattr(credentials, "MIN_AGE", 0.0)
    monkeypatch.setattr(credentials, "FAILURE_PAUSE", 0.0)
    monkeypatch.setattr(credentials, "RENEWAL_PAUSE", 0.01)


async def test_obtained_once_for_all(make):
    """Many who need a credential at once cause one login, and it is kept."""
    issuer = Issuer()
    issuer.gate.clear()
    held = make(issuer)
    calls = [asyncio.ensure_future(held.current()) for _ in range(10)]
    await eventually(lambda: issuer.asked == [None])
    issuer.gate.set()
    assert await asyncio.gather(*calls) == ["1"] * 10
    assert await held.current() == "1"
    assert issuer.asked == [None]


async def test_renewed_before_its_end(make, hurried):
    """A credential is renewed after two thirds of its lifetime, though nobody asks for it."""
    issuer = Issuer(0.15)
    held = make(issuer)
    assert await held.current() == "1"
    await eventually(lambda: len(issuer.asked) >= 3)
    assert issuer.asked[:3] == [None, None, None]
    assert await held.current() != "1"


async def test_prolonged_where_that_is_possible(make, hurried):
    """A renewable credential is prolonged by its own value."""
    issuer = Issuer(0.15, renewable=True)
    assert await make(issuer).current() == "1"
    await eventually(lambda: len(issuer.asked) >= 3)
    assert issuer.asked[:3] == [None, "1", "2"]


async def test_replaced_where_it_cannot_be_prolonged(make, hurried):
    """Where prolonging is refused, or grants less and less, a new credential is obtained."""
    issuer = Issuer(0.15, renewable=True)
    issuer.script = [
        Lease("a", 0.15, renewable=True),
        AccessDeniedError("no more"),
        Lease("b", 0.15, renewable=True),
        Lease("b", 0.01, renewable=True),
        Lease("c"),
    ]
    held = make(issuer)
    await held.current()
    await eventually(lambda: not issuer.script)
    assert issuer.asked == [None, "a", None, "b", None]
    assert await held.current() == "c"


async def test_failed_renewal_is_tried_again(make, hurried):
    """A renewal that fails is tried again, and the credential is used until its end."""
    issuer = Issuer(0.3)
    issuer.script = [
        Lease("a", 0.3),
        SignerUnavailableError("down"),
        SignerUnavailableError("down"),
        Lease("b"),
    ]
    held = make(issuer)
    assert await held.current() == "a"
    await eventually(lambda: len(issuer.asked) >= 2)
    assert await held.current() == "a"
    await eventually(lambda: not issuer.script)
    assert await held.current() == "b"


async def test_refused_credential_is_replaced_once(make, hurried):
    """Of many that are refused the same credential, one obtains another, and all get it."""
    issuer = Issuer()
    held = make(issuer)
    first = await held.current()
    assert await asyncio.gather(*(held.refused(first) for _ in range(10))) == ["2"] * 10
    assert issuer.asked == [None, None]


async def test_refusals_do_not_become_logins(make):
    """A credential that replaced another a moment ago and is refused as well is not at fault, and is kept."""
    issuer = Issuer()
    held = make(issuer)
    first = await held.current()
    second = await held.refused(first)
    assert [await held.refused(second) for _ in range(10)] == [second] * 10
    assert issuer.asked == [None, None]


async def test_failure_is_shared(make):
    """While a login has just failed, others get its error without trying their own."""
    issuer = Issuer()
    issuer.script = [AccessDeniedError("the SecretID is wrong")]
    held = make(issuer)
    for _ in range(5):
        with pytest.raises(AccessDeniedError, match="SecretID"):
            await held.current()
    assert issuer.asked == [None]


async def test_expired_and_not_renewed(make, monkeypatch, hurried):
    """After its end a credential is not used, whatever the renewal does."""
    issuer = Issuer(0.05)
    issuer.script = [Lease("a", 0.05), *[SignerUnavailableError("down")] * 1000]
    held = make(issuer)
    await held.current()
    await eventually(lambda: held._valid() is None)
    with pytest.raises(SignerUnavailableError):
        await held.current()


async def test_hanging_login_is_given_up(make, monkeypatch):
    """A login has a time limit of its own."""
    monkeypatch.setattr(credentials, "OBTAIN_TIMEOUT", 0.05)
    issuer = Issuer()
    issuer.gate.clear()
    with pytest.raises(SignerUnavailableError):
        await make(issuer).current()


async def test_closed():
    """After closing nothing is obtained, and no task is left."""
    held = Credentials("test:", Issuer(0.1))
    await held.current()
    await held.aclose()
    await held.aclose()
    await eventually(lambda: held._valid() is None)
    with pytest.raises(SignerUnavailableError):
        await held.current()


def test_a_lease_is_not_shown():
    """The credential is in no representation that a log could show."""
    assert "hvs.secret" not in repr(Lease("hvs.secret", 60))
