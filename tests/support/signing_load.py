"""Callers that sign without pause while something breaks, and what became of each call."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence

from signers import SignerError, SignerTimeoutError, SignerUnavailableError
from signers.base import Signer
from signers.verification import verify
from tests.support.softhsm import eventually

CALLERS = 16


class Load:
    """`CALLERS` tasks that sign and verify; `outcomes` counts "signed" and the names of expected errors."""

    def __init__(
        self,
        signer: Signer,
        *,
        expected: tuple[type[SignerError], ...] = (SignerUnavailableError, SignerTimeoutError),
    ) -> None:
        self._expected = expected
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
            except self._expected as error:
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
        """Stop; raises what a caller met besides the expected errors, and fails where a call never ended."""
        self._stop.set()
        await asyncio.gather(*self._tasks)
        assert self.outcomes.total() == self.started


def record(record_property: Callable[[str, object], None], load: Load, recoveries: Sequence[float]) -> None:
    """Keep for ``--junitxml`` what docs/hsm.md tells: outcomes, and seconds until signing was back."""
    record_property("outcomes", dict(load.outcomes))
    record_property("recovery", [round(seconds, 2) for seconds in recoveries])
