"""An HSM behind a socket that is killed, hangs and returns, while callers keep signing."""

import asyncio
import time
from collections import Counter

import pytest

from signers import Algorithm, SignerTimeoutError, SignerUnavailableError
from signers.pkcs11.options import Pkcs11Options
from signers.registry import SignerRegistry
from signers.verification import verify
from tests.support.softhsm import eventually

CALLERS = 16


class Load:
    """Callers that sign without pause, and what became of each call."""

    def __init__(self, signer) -> None:
        self.outcomes: Counter[str] = Counter()
        self.started = 0
        self.last_success = 0.0
        self._signer = signer
        self._stop = asyncio.Event()
        self._tasks = [asyncio.ensure_future(self._call()) for _ in range(CALLERS)]

    async def _call(self) -> None:
        signer = self._signer
        while not self._stop.is_set():
            self.started += 1
            message = b"message %d" % self.started
            try:
                signature = await signer.sign(message)
            except (SignerUnavailableError, SignerTimeoutError) as error:
                self.outcomes[type(error).__name__] += 1
                await asyncio.sleep(0.01)
                continue
            verify(signer.public_key, signer.algorithm, message, signature)
            self.outcomes["signed"] += 1
            self.last_success = time.monotonic()

    async def more(self, outcome: str) -> None:
        """Wait for another call that ends in *outcome*."""
        before = self.outcomes[outcome]
        await eventually(lambda: self.outcomes[outcome] > before)

    async def finish(self) -> None:
        """Stop; raises what a caller met besides the expected errors."""
        self._stop.set()
        await asyncio.gather(*self._tasks)
        assert self.outcomes.total() == self.started


async def test_killed_and_restarted(network_hsm):
    """Killed under load and restarted: every call ends, every signature verifies, signing is back in 2 s."""
    options = Pkcs11Options(timeout=2)
    async with SignerRegistry(pkcs11=options) as registry:
        signer = await registry.open(network_hsm.uri("tokens-es256"), Algorithm.ES256)
        load = Load(signer)
        for _ in range(5):
            await load.more("signed")
            network_hsm.kill()
            await load.more("SignerUnavailableError")
            await eventually(lambda: not next(iter(registry.health().values())).available)
            network_hsm.start()
            returned = time.monotonic()
            await load.more("signed")
            assert load.last_success - returned < 2
        await load.finish()
        await signer.check()


async def test_stopped_and_resumed(network_hsm):
    """A hung HSM costs its callers an error each, holds a bounded number of threads, and is used again."""
    options = Pkcs11Options(sessions=3, timeout=0.3)
    async with SignerRegistry(pkcs11=options) as registry:
        signer = await registry.open(network_hsm.uri("tokens-es256"), Algorithm.ES256)
        load = Load(signer)
        await load.more("signed")
        network_hsm.stop()
        await load.more("SignerTimeoutError")
        await load.more("SignerUnavailableError")
        (health,) = registry.health().values()
        assert (health.available, health.stuck_threads) == (False, 3)
        # The event loop turns: a hundred turns pass while every thread hangs.
        async with asyncio.timeout(1):
            for _ in range(100):
                await asyncio.sleep(0)
        network_hsm.resume()
        await load.more("signed")
        await load.finish()
        (health,) = registry.health().values()
        assert (health.available, health.stuck_threads) == (True, 0)
        await signer.check()


async def test_killed_while_hung(network_hsm):
    """An HSM that hangs, dies and returns frees the hung threads and is reconnected."""
    options = Pkcs11Options(sessions=3, timeout=0.3)
    async with SignerRegistry(pkcs11=options) as registry:
        signer = await registry.open(network_hsm.uri("tokens-es256"), Algorithm.ES256)
        load = Load(signer)
        await load.more("signed")
        network_hsm.stop()
        await eventually(lambda: next(iter(registry.health().values())).stuck_threads == 3)
        network_hsm.kill()
        network_hsm.start()
        await load.more("signed")
        await load.finish()
        await signer.check()


async def test_absent_at_start(network_hsm):
    """Without the HSM opening a key raises a reason at once, and succeeds when the HSM is there."""
    network_hsm.kill()
    async with SignerRegistry() as registry:
        uri = network_hsm.uri("tokens-es256")
        with pytest.raises(SignerUnavailableError) as caught:
            await registry.open(uri, Algorithm.ES256)
        assert caught.value.key == "pkcs11:token=countersign"
        network_hsm.start()
        await (await registry.open(uri, Algorithm.ES256)).check()
