"""The signer process is killed, stopped and orphaned, and meets wrong PINs and other keys."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from signers import (
    Algorithm,
    KeyMismatchError,
    PinError,
    SignerBusyError,
    SignerError,
    SignerTimeoutError,
    SignerUnavailableError,
)
from signers.isolated.provider import IsolatedProvider
from signers.pkcs11.options import Pkcs11Options
from signers.verification import verify
from softhsm.provision import ROOT, provision
from tests.support.pkcs11_spy import Spy
from tests.support.signing_load import Load
from tests.support.softhsm import delete_key, eventually, softhsm_all

__all__ = ["softhsm_all"]


@asynccontextmanager
async def opened(uri: str, **options):
    """A provider whose token is behind a signer process, closed at the end."""
    provider = await IsolatedProvider.open(uri, Pkcs11Options(isolation=True, **options))
    try:
        yield provider
    finally:
        await provider.aclose()


def ended(pid: int) -> bool:
    """Whether the process has ended; one that nobody has reaped yet has."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state in "ZX"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
async def test_killed_under_load(softhsm, number):
    """However often it dies or crashes, each call ends, all signatures verify, and signing is back in 1 s."""
    async with opened(softhsm.uris[0]) as provider:
        load = Load(await provider.signer(softhsm.uris[0], Algorithm.ES256))
        for _ in range(3):
            await load.more("signed")
            former = provider.process_id
            os.kill(former, number)
            killed = time.monotonic()
            await load.more("SignerUnavailableError")
            await eventually(lambda former=former: provider.process_id not in (None, former))
            await load.more("signed")
            assert load.last_success - killed < 1.0
            assert ended(former)
        await load.finish()
        assert provider.health().available
        assert "restarted 3 times" in provider.health().detail


async def test_stopped_under_load(softhsm):
    """A process that hangs is killed at the bound of a signature, and the next one signs."""
    async with opened(softhsm.uris[0], timeout=0.4) as provider:
        load = Load(await provider.signer(softhsm.uris[0], Algorithm.ES256))
        await load.more("signed")
        former = provider.process_id
        os.kill(former, signal.SIGSTOP)
        await load.more("SignerTimeoutError")
        await eventually(lambda: provider.process_id not in (None, former))
        await load.more("signed")
        await load.finish()
        assert ended(former)


async def test_the_queue_is_bounded(softhsm):
    """Beyond the queue callers are told so at once; what was admitted is given up in time."""
    async with opened(softhsm.uris[0], timeout=0.4, max_queue=4) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        os.kill(provider.process_id, signal.SIGSTOP)
        results = await asyncio.gather(*(signer.sign(b"m") for _ in range(6)), return_exceptions=True)
        assert [type(each) for each in results] == [SignerTimeoutError] * 4 + [SignerBusyError] * 2
        with pytest.raises((SignerBusyError, SignerUnavailableError)):
            await signer.sign_many([b"m"] * 100)


async def test_closing_serves_what_was_admitted(softhsm):
    """Closing waits for the signatures under way, and the process ends."""
    async with opened(softhsm.uris[0]) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        pid = provider.process_id
        jobs = [asyncio.ensure_future(signer.sign(b"m")) for _ in range(50)]
        await asyncio.sleep(0)
        await provider.aclose()
        for signature in await asyncio.gather(*jobs):
            verify(signer.public_key, Algorithm.ES256, b"m", signature)
        assert ended(pid)


async def test_closing_ends_a_process_that_hangs(softhsm):
    """Closing is bounded where the process does not answer."""
    async with opened(softhsm.uris[0], timeout=0.3) as provider:
        pid = provider.process_id
        os.kill(pid, signal.SIGSTOP)
        await provider.aclose()
        assert ended(pid)


async def test_opening_where_the_process_cannot_start(softhsm, monkeypatch):
    """A process that does not come up is an error of opening, and none is left behind."""
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(SignerUnavailableError, match="did not come up"):
        async with opened(softhsm.uris[0]):
            pass


async def test_slow_keys_are_signed_by_several_threads(softhsm_all, monkeypatch):
    """RSA and P-256 together: every signature verifies, whichever thread made it."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm_all.softhsm2_conf))
    async with opened(softhsm_all.uri("rsa"), sessions=4) as provider:
        rsa = await provider.signer(softhsm_all.uri("rsa"), Algorithm.RS256)
        p256 = await provider.signer(softhsm_all.uri("p256"), Algorithm.ES256)
        for turn in range(4):
            messages = [b"%d %d" % (turn, number) for number in range(20)]
            for signer in (rsa, p256):
                signatures = await asyncio.gather(*(signer.sign(each) for each in messages))
                for message, signature in zip(messages, signatures, strict=True):
                    verify(signer.public_key, signer.algorithm, message, signature)


async def test_a_key_that_is_made_holds_up_no_signature(softhsm):
    """While the device makes an RSA key, which takes it long, other keys sign."""
    async with opened(softhsm.uris[0]) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        before = []
        # Now and then a prime is found at once.
        for number in range(5):
            making = asyncio.ensure_future(provider.create(softhsm.uri(f"rsa-{number}"), Algorithm.RS256))
            await signer.check()
            before.append(not making.done())
            await (await making).check()
        assert any(before)


async def test_the_next_process_takes_a_mechanism_that_signs(softhsm):
    """A key that is taken over from the process before signs by the same mechanism as before."""
    async with opened(softhsm.uris[0]) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        former = provider.process_id
        os.kill(former, signal.SIGKILL)
        await eventually(lambda: provider.process_id not in (None, former))
        await signer.check()


async def test_wrong_pin_is_tried_once_whatever_process_tries(softhsm, tmp_path, monkeypatch):
    """A refused PIN is final for the gateway: neither opening again nor another process tries it."""
    spy = Spy(softhsm, tmp_path, monkeypatch)
    right = softhsm.pin_file.read_text()
    softhsm.pin_file.write_text("wrong-pin")
    for _ in range(2):
        with pytest.raises(PinError, match="restart"):
            async with opened(spy.uri("tokens-es256")):
                pass
    softhsm.pin_file.write_text(right)
    with pytest.raises(PinError, match="restart"):
        async with opened(spy.uri("tokens-es256")):
            pass
    assert spy.calls("C_Login") == 1


async def test_wrong_pin_at_a_restart_stops_for_ever(softhsm, tmp_path, monkeypatch):
    """A PIN that the next process finds wrong is tried by it once, and signing ends with that reason."""
    spy = Spy(softhsm, tmp_path, monkeypatch)
    uri = spy.uri("tokens-es256")
    async with opened(uri) as provider:
        signer = await provider.signer(uri, Algorithm.ES256)
        await signer.check()
        right = softhsm.pin_file.read_text()
        softhsm.pin_file.write_text("wrong-pin")
        os.kill(provider.process_id, signal.SIGKILL)
        await eventually(lambda: "refused" in provider.health().detail)
        softhsm.pin_file.write_text(right)
        for _ in range(3):
            with pytest.raises(PinError):
                await signer.sign(b"message")
        assert not provider.health().available
        assert provider.process_id is None
    assert spy.calls("C_Login") == 2


async def test_key_replaced_while_no_process_ran(softhsm):
    """The next process finds the key again, and one with another public half is never signed with."""
    async with opened(softhsm.uris[0]) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        away = softhsm.pin_file.rename(softhsm.pin_file.with_name("away"))
        os.kill(provider.process_id, signal.SIGKILL)
        await eventually(lambda: provider.process_id is None)
        with pytest.raises(SignerUnavailableError, match="being replaced"):
            await signer.sign(b"message")
        away.rename(softhsm.pin_file)
        await asyncio.to_thread(delete_key, softhsm, "tokens-es256")
        await asyncio.to_thread(provision, softhsm.softhsm2_conf.parent)
        await eventually(lambda: provider.process_id is not None)
        with pytest.raises(KeyMismatchError):
            await signer.sign(b"message")
        eddsa = await provider.signer(softhsm.uris[1], Algorithm.EDDSA)
        await eddsa.check()


_GATEWAY = """
import asyncio, sys
from signers import Algorithm
from signers.isolated.provider import IsolatedProvider
from signers.pkcs11.options import Pkcs11Options

async def main():
    provider = await IsolatedProvider.open(sys.argv[1], Pkcs11Options(isolation=True, timeout=60))
    signer = await provider.signer(sys.argv[1], Algorithm.ES256)
    await signer.check()
    print(provider.process_id, flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    asyncio.ensure_future(signer.sign(b"message"))
    await asyncio.sleep(0.1)
    print("asked", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("hanging", [False, True])
async def test_the_process_ends_with_its_gateway(network_hsm, hanging):
    """A gateway that is killed takes its signer process along, even one that hangs in the device."""
    gateway = subprocess.Popen(  # noqa: ASYNC220 - it is started once, and the loop has nothing else to do
        [sys.executable, "-c", _GATEWAY, network_hsm.uri("tokens-es256")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        pid = int(await asyncio.to_thread(gateway.stdout.readline))
        if hanging:
            network_hsm.stop()
            gateway.stdin.write("\n")
            gateway.stdin.flush()
            assert await asyncio.to_thread(gateway.stdout.readline) == "asked\n"
        assert not ended(pid)
    finally:
        gateway.kill()
        gateway.communicate()
    await eventually(lambda: ended(pid))


async def test_signals_to_the_group_leave_the_process_to_its_gateway(softhsm):
    """SIGTERM and SIGINT, sent to all processes of a service, do not end signing before the gateway does."""
    async with opened(softhsm.uris[0]) as provider:
        signer = await provider.signer(softhsm.uris[0], Algorithm.ES256)
        pid = provider.process_id
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            os.kill(pid, number)
            await signer.check()
        assert provider.process_id == pid


async def test_errors_keep_class_message_and_key(softhsm):
    """An error of the other process is raised as if it were of this one."""
    async with opened(softhsm.uris[0]) as provider:
        with pytest.raises(SignerError) as caught:
            await provider.signer(softhsm.uri("missing"), Algorithm.ES256)
        assert type(caught.value).__name__ == "KeyNotFoundError"
        assert caught.value.key == "pkcs11:token=countersign;object=missing"
