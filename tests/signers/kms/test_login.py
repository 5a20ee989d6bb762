"""The vendors' blocking ways to credentials, one at a time and never for ever."""

import threading

import pytest

from signers import SignerTimeoutError, SignerUnavailableError
from signers.kms import login


async def test_result_and_error():
    """What the call returns or raises reaches the caller, and the next call may start."""
    attempts = login.Login("name")
    assert await attempts.run(lambda: 1) == 1
    with pytest.raises(ZeroDivisionError):
        await attempts.run(lambda: 1 // 0)
    assert await attempts.run(lambda: 2) == 2


async def test_call_that_hangs(monkeypatch):
    """A call that hangs is given up in time, and while it hangs no other starts."""
    monkeypatch.setattr(login, "LOGIN_TIMEOUT", 0.05)
    release, calls = threading.Event(), []

    def hang() -> None:
        calls.append(1)
        release.wait(10)

    attempts = login.Login("name")
    with pytest.raises(SignerTimeoutError, match="No credentials came within"):
        await attempts.run(hang)
    for _ in range(5):
        with pytest.raises(SignerUnavailableError, match="earlier attempt"):
            await attempts.run(hang)
    release.set()
    assert len(calls) == 1
