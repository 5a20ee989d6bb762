"""A token that fails in every way its binding can report, with a real SoftHSM behind."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from signers import (
    Algorithm,
    KeyMismatchError,
    KeyNotFoundError,
    PinError,
    SignatureInvalidError,
    SignerBusyError,
    SignerError,
    SignerTimeoutError,
    SignerUnavailableError,
)
from signers.pkcs11 import constants as ck
from signers.pkcs11.return_values import RECOVERABLE
from signers.verification import verify
from softhsm.provision import provision
from tests.support.softhsm import delete_key, eventually, opened


async def _sign_and_verify(signer) -> None:
    verify(signer.public_key, signer.algorithm, b"message", await signer.sign(b"message"))


@pytest.mark.parametrize("code", sorted(RECOVERABLE))
async def test_one_failure_is_mended_by_a_new_session(softhsm, faulty, code):
    """A recoverable error that does not repeat costs a session, and the caller sees nothing of it."""
    async with opened(softhsm.uris[0], faulty, sessions=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        await signer.sign(b"warm")
        before = faulty.cryptoki.calls["open_session"]
        faulty.cryptoki.faults["sign"] = [code]
        await _sign_and_verify(signer)
        assert faulty.cryptoki.calls["open_session"] == before + 1
        assert faulty.cryptoki.calls["initialize"] == 1


@pytest.mark.parametrize("code", sorted(RECOVERABLE))
async def test_repeated_failure_initializes_the_module_again(softhsm, faulty, code):
    """An error that outlives its session is reported at once, and signing returns after re-initialization."""
    async with opened(softhsm.uris[0], faulty, sessions=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        faulty.cryptoki.faults["sign"] = [code, code]
        with pytest.raises(SignerUnavailableError):
            await signer.sign(b"message")
        await eventually(lambda: provider.health().available)
        await _sign_and_verify(signer)
        assert faulty.cryptoki.calls["initialize"] == 2
        assert faulty.cryptoki.calls["finalize"] == 1
        assert faulty.cryptoki.calls["login"] == 2


async def test_recovery_is_single_flight(softhsm, faulty):
    """Many calls that fail at once cause one re-initialization."""
    async with opened(softhsm.uris[0], faulty, sessions=4) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        await signer.check()
        faulty.cryptoki.faults["sign"] = [ck.CKR_DEVICE_ERROR] * 8
        results = await asyncio.gather(*(signer.sign(b"m") for _ in range(64)), return_exceptions=True)
        assert {type(result) for result in results} <= {bytes, SignerUnavailableError}
        assert SignerUnavailableError in {type(result) for result in results}
        faulty.cryptoki.faults["sign"].clear()
        await eventually(lambda: provider.health().available)
        await _sign_and_verify(signer)
        assert faulty.cryptoki.calls["initialize"] == 2


async def test_while_recovering_calls_fail_at_once(softhsm, faulty):
    """Until the device is back, calls raise `SignerUnavailableError` without touching it."""
    async with opened(softhsm.uris[0], faulty, sessions=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        gate = faulty.cryptoki.gates["initialize"] = threading.Event()
        faulty.cryptoki.faults["sign"] = [ck.CKR_DEVICE_REMOVED] * 2
        with pytest.raises(SignerUnavailableError):
            await signer.sign(b"message")
        signed = faulty.cryptoki.calls["sign"]
        with pytest.raises(SignerUnavailableError, match="reconnected"):
            await signer.sign(b"message")
        assert faulty.cryptoki.calls["sign"] == signed
        assert not provider.health().available
        gate.set()
        await eventually(lambda: provider.health().available)
        await _sign_and_verify(signer)


async def test_recovery_goes_on_until_the_token_is_back(softhsm, faulty):
    """Attempts that fail are repeated: C_Initialize, the search for the token, and the login."""
    async with opened(softhsm.uris[0], faulty, sessions=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        faulty.cryptoki.faults["initialize"] = [ck.CKR_DEVICE_ERROR] * 2
        faulty.cryptoki.faults["tokens"] = [ck.CKR_DEVICE_ERROR]
        faulty.cryptoki.faults["login"] = [ck.CKR_DEVICE_ERROR]
        faulty.cryptoki.faults["sign"] = [ck.CKR_DEVICE_ERROR] * 2
        with pytest.raises(SignerUnavailableError):
            await signer.sign(b"message")
        await eventually(lambda: provider.health().available)
        await _sign_and_verify(signer)
        assert faulty.cryptoki.calls["initialize"] == 6


async def test_recovery_waits_for_threads_inside_the_module(softhsm, faulty):
    """C_Finalize is not called while another thread is in a call."""
    async with opened(softhsm.uris[0], faulty, sessions=2) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        gate = faulty.cryptoki.gates["sign"] = threading.Event()
        hanging = asyncio.ensure_future(signer.sign(b"hanging"))
        await eventually(lambda: faulty.cryptoki.calls["sign"] == 1)
        del faulty.cryptoki.gates["sign"]
        faulty.cryptoki.faults["sign"] = [ck.CKR_DEVICE_ERROR] * 2
        with pytest.raises(SignerUnavailableError):
            await signer.sign(b"failing")
        with pytest.raises(SignerUnavailableError, match="reconnected"):
            await signer.sign(b"refused")
        assert faulty.cryptoki.calls["finalize"] == 0
        gate.set()
        verify(signer.public_key, Algorithm.ES256, b"hanging", await hanging)
        await eventually(lambda: provider.health().available)
        assert faulty.cryptoki.calls["finalize"] == 1
        await _sign_and_verify(signer)


async def test_a_lost_login_is_restored(softhsm, faulty):
    """A key that is invisible because the login was lost is not reported as missing; the login is renewed."""
    async with opened(softhsm.uris[0], faulty, sessions=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        await signer.sign(b"warm")
        cryptoki = faulty.cryptoki
        session = cryptoki.open_session(cryptoki.tokens()[0].slot, read_write=False)
        cryptoki._inner._call("C_Logout", session)
        with pytest.raises(SignerUnavailableError):
            await signer.sign(b"message")
        await eventually(lambda: provider.health().available)
        await _sign_and_verify(signer)


async def test_wrong_signature_is_never_released(softhsm, faulty, caplog):
    """A signature that does not verify raises `SignatureInvalidError`, is logged, and leaves no trace."""
    async with opened(softhsm.uris[0], faulty) as provider:
        for uri, algorithm in zip(softhsm.uris, (Algorithm.ES256, Algorithm.EDDSA), strict=True):
            signer = await provider.signer(uri, algorithm)
            faulty.cryptoki.alter["sign"] = lambda signature: signature[:-1] + bytes([signature[-1] ^ 1])
            with pytest.raises(SignatureInvalidError):
                await signer.sign(b"message")
            with pytest.raises(SignatureInvalidError):
                await signer.sign_many([b"one", b"two"])
            faulty.cryptoki.alter.clear()
            await _sign_and_verify(signer)
    assert "not released" in caplog.text


async def test_hung_calls_are_bounded_reported_and_survived(softhsm, faulty):
    """Hung threads time their callers out, are counted, stop admission when all hang, and come back."""
    async with opened(softhsm.uris[0], faulty, sessions=2, timeout=0.2) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        await signer.check()
        gate = faulty.cryptoki.gates["sign"] = threading.Event()
        results = await asyncio.gather(*(signer.sign(b"m") for _ in range(6)), return_exceptions=True)
        assert {type(result) for result in results} == {SignerTimeoutError}
        await eventually(lambda: provider.health().stuck_threads == 2)
        assert not provider.health().available
        with pytest.raises(SignerUnavailableError, match="hangs"):
            await signer.sign(b"message")
        calls = faulty.cryptoki.calls["sign"]
        assert calls <= 4
        del faulty.cryptoki.gates["sign"]
        gate.set()
        await eventually(lambda: provider.health().available and not provider.health().queued)
        await _sign_and_verify(signer)
        assert provider.health().stuck_threads == 0
        assert faulty.cryptoki.calls["sign"] == calls + 1


async def test_one_hung_session_leaves_the_others_working(softhsm, faulty):
    """A call that hangs in one session delays no call in another."""
    async with opened(softhsm.uris[0], faulty, sessions=2, timeout=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        gate = faulty.cryptoki.gates["sign"] = threading.Event()
        hanging = asyncio.ensure_future(signer.sign(b"hanging"))
        await eventually(lambda: faulty.cryptoki.calls["sign"] == 1)
        del faulty.cryptoki.gates["sign"]
        await asyncio.gather(*(_sign_and_verify(signer) for _ in range(50)))
        with pytest.raises(SignerTimeoutError):
            await hanging
        gate.set()


async def test_full_queue_refuses_at_once(softhsm, faulty):
    """Beyond the queue's bound a call raises `SignerBusyError`, and those that wait are still served."""
    async with opened(softhsm.uris[0], faulty, sessions=1, max_queue=4) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        gate = faulty.cryptoki.gates["sign"] = threading.Event()
        waiting = [asyncio.ensure_future(signer.sign(b"m"))]
        await eventually(lambda: faulty.cryptoki.calls["sign"] == 1)
        waiting += [asyncio.ensure_future(signer.sign(b"m")) for _ in range(4)]
        await eventually(lambda: provider.health().queued == 4)
        with pytest.raises(SignerBusyError):
            await signer.sign(b"m")
        with pytest.raises(SignerBusyError):
            await signer.sign_many([b"m"])
        gate.set()
        for signature in await asyncio.gather(*waiting):
            verify(signer.public_key, Algorithm.ES256, b"m", signature)


async def test_cancelled_call_is_not_signed(softhsm, faulty):
    """A waiter that is cancelled before its turn costs the token nothing."""
    async with opened(softhsm.uris[0], faulty, sessions=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        gate = faulty.cryptoki.gates["sign"] = threading.Event()
        first = asyncio.ensure_future(signer.sign(b"first"))
        await eventually(lambda: faulty.cryptoki.calls["sign"] == 1)
        second = asyncio.ensure_future(signer.sign(b"second"))
        await eventually(lambda: provider.health().queued == 1)
        second.cancel()
        await asyncio.gather(second, return_exceptions=True)
        gate.set()
        await first
        await signer.sign(b"third")
        assert faulty.cryptoki.calls["sign"] == 2


async def test_results_come_back_in_one_hop(softhsm, faulty, monkeypatch):
    """A thread that finds ten jobs waiting signs them all and wakes the event loop once."""
    async with opened(softhsm.uris[0], faulty, sessions=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        monkeypatch.setattr("signers.pkcs11.pool.MAX_HOLD", 10.0)
        gate = faulty.cryptoki.gates["sign"] = threading.Event()
        jobs = [asyncio.ensure_future(signer.sign(b"m")) for _ in range(10)]
        await eventually(lambda: provider.health().queued == 9)
        hops = _count_hops(monkeypatch)
        gate.set()
        await asyncio.gather(*jobs)
        assert hops() == 1


def _count_hops(monkeypatch) -> Callable[[], int]:
    loop = asyncio.get_running_loop()
    original, hops = loop.call_soon_threadsafe, []

    def counted(*arguments, **keywords):
        hops.append(arguments)
        return original(*arguments, **keywords)

    monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
    return lambda: len(hops)


async def test_deleted_key(softhsm, faulty):
    """A key that another process deletes is reported as missing, not as an unavailable device."""
    async with opened(softhsm.uris[0], faulty) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        await signer.check()
        await asyncio.to_thread(delete_key, softhsm, "tokens-es256")
        with pytest.raises(KeyNotFoundError):
            await signer.sign(b"message")
        assert provider.health().available
        assert faulty.cryptoki.calls["initialize"] == 1


async def test_replaced_key_under_load(softhsm, faulty):
    """A key that is replaced under load is never signed with: callers get an old signature or a reason."""
    async with opened(softhsm.uris[0], faulty) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        replaced = asyncio.Event()
        outcomes: list[BaseException] = []

        async def caller() -> None:
            while not replaced.is_set():
                try:
                    await _sign_and_verify(signer)
                except SignerError as error:
                    # Missing, replaced, or seen while only one half of the new pair was there.
                    outcomes.append(error)

        load = [asyncio.ensure_future(caller()) for _ in range(4)]
        await asyncio.to_thread(delete_key, softhsm, "tokens-es256")
        await asyncio.to_thread(provision, softhsm.softhsm2_conf.parent)
        replaced.set()
        await asyncio.gather(*load)
        with pytest.raises(KeyMismatchError):
            await signer.sign(b"message")
        assert outcomes
        again = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        assert again.key_id != signer.key_id


async def test_key_replaced_while_the_device_was_away(softhsm, faulty):
    """After recovery the key is found again, and one with another public half is refused."""
    async with opened(softhsm.uris[0], faulty, sessions=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        gate = faulty.cryptoki.gates["initialize"] = threading.Event()
        faulty.cryptoki.faults["sign"] = [ck.CKR_DEVICE_ERROR] * 2
        with pytest.raises(SignerUnavailableError):
            await signer.sign(b"message")
        await asyncio.to_thread(delete_key, softhsm, "tokens-es256")
        await asyncio.to_thread(provision, softhsm.softhsm2_conf.parent)
        gate.set()
        await eventually(lambda: provider.health().available)
        with pytest.raises(KeyMismatchError):
            await signer.sign(b"message")


async def test_wrong_pin_is_tried_once(softhsm, faulty):
    """A refused PIN raises `PinError`, and no later attempt of this process reaches the token."""
    right = softhsm.pin_file.read_text()
    softhsm.pin_file.write_text("wrong-pin")
    for _ in range(3):
        with pytest.raises(PinError):
            async with opened(softhsm.uris[0], faulty):
                pass
    assert faulty.cryptoki.calls["login"] == 1
    softhsm.pin_file.write_text(right)
    with pytest.raises(PinError, match="restart"):
        async with opened(softhsm.uris[0], faulty):
            pass
    assert faulty.cryptoki.calls["login"] == 1


async def test_wrong_pin_at_recovery_stops_for_ever(softhsm, faulty):
    """A PIN that is refused when the device returns is not tried again, whatever callers do."""
    async with opened(softhsm.uris[0], faulty, sessions=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        softhsm.pin_file.write_text("wrong-pin")
        faulty.cryptoki.faults["sign"] = [ck.CKR_DEVICE_ERROR] * 2
        with pytest.raises(SignerUnavailableError):
            await signer.sign(b"message")
        await eventually(lambda: "refused" in provider.health().detail)
        for _ in range(3):
            with pytest.raises(PinError):
                await signer.sign(b"message")
        assert not provider.health().available
        assert faulty.cryptoki.calls["login"] == 2


async def test_unreadable_pin_at_recovery_is_read_again(softhsm, faulty):
    """A PIN file that is missing for a while at recovery delays signing, and tries no PIN."""
    async with opened(softhsm.uris[0], faulty, sessions=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        away = softhsm.pin_file.rename(softhsm.pin_file.with_name("away"))
        faulty.cryptoki.faults["sign"] = [ck.CKR_DEVICE_ERROR] * 2
        with pytest.raises(SignerUnavailableError):
            await signer.sign(b"message")
        await eventually(lambda: faulty.cryptoki.calls["initialize"] >= 3)
        assert faulty.cryptoki.calls["login"] == 1
        away.rename(softhsm.pin_file)
        await eventually(lambda: provider.health().available)
        await _sign_and_verify(signer)


@pytest.mark.parametrize(
    ("content", "mode", "reason"),
    [(b"", 0o600, "empty"), (b"1234", 0o644, "chmod 600"), (None, 0, "does not exist")],
)
async def test_pin_file_that_cannot_be_used(softhsm, faulty, content, mode, reason):
    """An empty, open or missing PIN file has its own reason each, and no login is tried."""
    softhsm.pin_file.unlink()
    if content is not None:
        softhsm.pin_file.write_bytes(content)
        softhsm.pin_file.chmod(mode)
    with pytest.raises(PinError, match=reason):
        async with opened(softhsm.uris[0], faulty):
            pass
    assert faulty.cryptoki.calls["login"] == 0


async def test_providers_share_one_module(softhsm, faulty):
    """Two providers of one token share initialization and login, and the last one to close finalizes."""
    async with opened(softhsm.uris[0], faulty) as one:
        async with opened(softhsm.uris[0], faulty) as two:
            await (await two.signer(softhsm.uris[1], Algorithm.EDDSA)).check()
        assert faulty.cryptoki.calls["finalize"] == 0
        await (await one.signer(softhsm.uris[0], Algorithm.ES256)).check()
    assert faulty.cryptoki.calls["initialize"] == 1
    assert faulty.cryptoki.calls["login"] == 1
    assert faulty.cryptoki.calls["finalize"] == 1


async def test_one_absent_token_does_not_keep_another_down(softhsm, faulty):
    """After recovery the tokens that are there sign, and one that is absent is taken up when it comes."""
    second = await asyncio.to_thread(provision, softhsm.softhsm2_conf.parent, token="second")
    async with opened(softhsm.uris[0], faulty) as one, opened(second.uris[0], faulty) as two:
        signers = [
            await one.signer(softhsm.uris[0], Algorithm.ES256),
            await two.signer(second.uris[0], Algorithm.ES256),
        ]
        faulty.cryptoki.alter["tokens"] = lambda found: [info for info in found if info.label != "second"]
        faulty.cryptoki.faults["sign"] = [ck.CKR_TOKEN_NOT_PRESENT] * 2
        with pytest.raises(SignerUnavailableError):
            await signers[1].sign(b"message")
        await eventually(lambda: one.health().available)
        await _sign_and_verify(signers[0])
        assert two.health().detail == "the token is absent"
        with pytest.raises(SignerUnavailableError):
            await signers[1].sign(b"message")
        faulty.cryptoki.alter.clear()
        await eventually(lambda: two.health().available)
        await _sign_and_verify(signers[1])
        assert faulty.cryptoki.calls["initialize"] == 2


async def test_recoveries_are_spaced(softhsm, faulty):
    """A fault that recovery does not mend is not answered with one re-initialization after another."""
    async with opened(softhsm.uris[0], faulty, sessions=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        for _ in range(5):
            faulty.cryptoki.faults["sign"] = [ck.CKR_GENERAL_ERROR] * 2
            with pytest.raises(SignerUnavailableError):
                await signer.sign(b"message")
            await eventually(lambda: provider.health().available)
        assert faulty.cryptoki.calls["initialize"] <= 3


async def test_closing_waits_for_signatures_under_way(softhsm, faulty):
    """What was admitted before closing is signed; what hangs in the device is given up, and closing ends."""
    async with opened(softhsm.uris[0], faulty, sessions=1) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        gate = faulty.cryptoki.gates["sign"] = threading.Event()
        jobs = [asyncio.ensure_future(signer.sign(b"m")) for _ in range(3)]
        await eventually(lambda: faulty.cryptoki.calls["sign"] == 1)
        closing = asyncio.ensure_future(provider.aclose())
        await asyncio.sleep(0)
        gate.set()
        for signature in await asyncio.gather(*jobs):
            verify(signer.public_key, Algorithm.ES256, b"m", signature)
        await closing
        assert faulty.cryptoki.calls["finalize"] == 1


async def test_closing_with_a_hung_device(softhsm, faulty):
    """Closing ends although a call hangs, does not finalize under it, and the module can be opened again."""
    gate = threading.Event()
    async with opened(softhsm.uris[0], faulty, sessions=1, timeout=0.2) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        faulty.cryptoki.gates["sign"] = gate
        hanging = asyncio.ensure_future(signer.sign(b"m"))
        await eventually(lambda: faulty.cryptoki.calls["sign"] == 1)
    with pytest.raises((SignerTimeoutError, SignerUnavailableError)):
        await hanging
    assert faulty.cryptoki.calls["finalize"] == 0
    del faulty.cryptoki.gates["sign"]
    async with opened(softhsm.uris[0], faulty) as provider:
        await (await provider.signer(softhsm.uris[0], Algorithm.ES256)).check()
        gate.set()
        # A module with a call inside is not finalized, and would stay initialized for the tests that follow.
        await eventually(lambda: not provider._module._inside)


async def test_opening_a_hung_device_ends(softhsm, faulty):
    """Opening is bounded as well; what the device answers later is undone."""
    faulty.get(str(softhsm.module))
    gate = faulty.cryptoki.gates["login"] = threading.Event()
    with pytest.raises(SignerTimeoutError):
        async with opened(softhsm.uris[0], faulty, timeout=0.2):
            pass
    gate.set()
    await eventually(lambda: faulty.cryptoki.calls["finalize"] == 1)
    async with opened(softhsm.uris[0], faulty) as provider:
        await (await provider.signer(softhsm.uris[0], Algorithm.ES256)).check()
