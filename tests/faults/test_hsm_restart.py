"""An HSM behind a socket that is killed, hangs and returns, while callers keep signing."""

import asyncio
import time

import pytest

from signers import Algorithm, SignerUnavailableError
from signers.pkcs11.options import Pkcs11Options
from signers.registry import SignerRegistry
from tests.support.signing_load import Load, record
from tests.support.softhsm import eventually

pytestmark = pytest.mark.parametrize("isolation", [False, True], ids=["in-process", "isolated"])


async def test_killed_and_restarted(network_hsm, isolation, record_property):
    """Killed under load and restarted: every call ends, every signature verifies, signing is back in 1 s."""
    options = Pkcs11Options(isolation=isolation, timeout=2)
    async with SignerRegistry(pkcs11=options) as registry:
        signer = await registry.open(network_hsm.uri("tokens-es256"), Algorithm.ES256)
        load = Load(signer)
        recoveries = []
        for _ in range(5):
            await load.more("signed")
            network_hsm.kill()
            await load.more("SignerUnavailableError")
            await eventually(lambda: not next(iter(registry.health().values())).available)
            network_hsm.start()
            returned = time.monotonic()
            await load.more("signed")
            recoveries.append(time.monotonic() - returned)
            assert recoveries[-1] < 1
        await load.finish()
        await signer.check()
        record(record_property, load, recoveries)


async def test_stopped_and_resumed(network_hsm, isolation, record_property):
    """A hung HSM costs its callers an error each, holds a bounded number of threads, and is used again."""
    options = Pkcs11Options(isolation=isolation, sessions=3, timeout=0.3)
    async with SignerRegistry(pkcs11=options) as registry:
        signer = await registry.open(network_hsm.uri("tokens-es256"), Algorithm.ES256)
        load = Load(signer)
        await load.more("signed")
        network_hsm.stop()
        await load.more("SignerTimeoutError")
        await load.more("SignerUnavailableError")
        (health,) = registry.health().values()
        # A signer process that hangs is killed, so that no thread of it stays behind.
        assert (health.available, health.stuck_threads) == (False, 0 if isolation else 3)
        # The event loop turns: a hundred turns pass while every thread hangs.
        async with asyncio.timeout(1):
            for _ in range(100):
                await asyncio.sleep(0)
        network_hsm.resume()
        resumed = time.monotonic()
        await load.more("signed")
        recovery = time.monotonic() - resumed
        await load.finish()
        record(record_property, load, [recovery])
        # Sessions come back one by one: a call goes on signing as soon as the first is there.
        async with asyncio.timeout(5):
            while next(iter(registry.health().values())).stuck_threads:  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)
        (health,) = registry.health().values()
        assert health.available
        await signer.check()


async def test_killed_while_hung(network_hsm, isolation, record_property):
    """An HSM that hangs, dies and returns frees the hung threads and is reconnected."""
    options = Pkcs11Options(isolation=isolation, sessions=3, timeout=0.3)
    async with SignerRegistry(pkcs11=options) as registry:
        signer = await registry.open(network_hsm.uri("tokens-es256"), Algorithm.ES256)
        load = Load(signer)
        await load.more("signed")
        network_hsm.stop()
        await load.more("SignerTimeoutError")
        if not isolation:
            await eventually(lambda: next(iter(registry.health().values())).stuck_threads == 3)
        network_hsm.kill()
        network_hsm.start()
        returned = time.monotonic()
        await load.more("signed")
        recovery = time.monotonic() - returned
        await load.finish()
        await signer.check()
        record(record_property, load, [recovery])


async def test_absent_at_start(network_hsm, isolation):
    """Without the HSM opening a key raises a reason at once, and succeeds when the HSM is there."""
    network_hsm.kill()
    async with SignerRegistry(pkcs11=Pkcs11Options(isolation=isolation)) as registry:
        uri = network_hsm.uri("tokens-es256")
        with pytest.raises(SignerUnavailableError) as caught:
            await registry.open(uri, Algorithm.ES256)
        assert caught.value.key == "pkcs11:token=countersign"
        network_hsm.start()
        await (await registry.open(uri, Algorithm.ES256)).check()
