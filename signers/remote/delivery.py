"""The way of a service's answer to those who wait for it: nothing passes that does not verify."""

import asyncio
import logging
import time
from collections.abc import Sequence

from signers.errors import SignatureInvalidError, SignerError
from signers.remote.service import RemoteKey
from signers.remote.waiting import Item
from signers.verification import verifier

logger = logging.getLogger(__name__)

YIELD_EVERY = 16
"""Signatures verified on the loop before other tasks get their turn; one takes about 0.1 ms. Callers that ask
for the next one at once so come in portions, and the service works on one while the next is verified.
"""


class Delivery:
    """One batch at a time, so that a turn of the event loop has no more than `YIELD_EVERY` verifications."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()

    async def deliver(
        self, key: RemoteKey, batch: Sequence[Item], outcomes: Sequence[bytes | SignerError]
    ) -> None:
        """Give each item of *batch* its own outcome, a signature after it was verified."""
        verify = verifier(key.public_key, key.algorithm)
        async with self._turn:
            for number, (item, outcome) in enumerate(zip(batch, outcomes, strict=True), start=1):
                if isinstance(outcome, SignerError):
                    item.fail(outcome)
                    continue
                begun = time.perf_counter()
                try:
                    verify(item.message, outcome)
                except SignatureInvalidError as error:
                    logger.error("%s: a signature does not verify and is withheld: %s", key.name, error)  # noqa: TRY400
                    item.fail(SignatureInvalidError(str(error), key=key.name))
                    continue
                verified = time.perf_counter() - begun
                for stages in item.stages:
                    stages.of_this_thread.verify.add(verified)
                if not item.future.done():
                    item.future.set_result(outcome)
                if number % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
