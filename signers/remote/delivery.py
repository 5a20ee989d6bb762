"""The way of a service's answer to those who wait for it: nothing passes that does not verify."""

import asyncio
import logging
import time
from collections.abc import Sequence

from signers.errors import SignatureInvalidError, SignerError
from signers.remote.service import RemoteKey
from signers.remote.waiting import Item
from signers.verification import Verify, verifier

logger = logging.getLogger(__name__)

YIELD_EVERY = 8
"""Signatures verified on the loop before other tasks get their turn; one takes about 0.1 ms."""

PORTION = 24
"""Signatures handed over together, or fewer at the end of a batch. Callers that ask for the next one at once
then ask together, and their requests are as large; and the service works on one portion while the next is
verified.
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
        verified: list[tuple[Item, bytes]] = []
        async with self._turn:
            try:
                for number, (item, outcome) in enumerate(zip(batch, outcomes, strict=True), start=1):
                    try:
                        verified.append((item, _verified(key, item, outcome, verify)))
                    except SignerError as error:
                        item.fail(error)
                    if len(verified) >= PORTION:
                        _hand_over(verified)
                    if number % YIELD_EVERY == 0:
                        await asyncio.sleep(0)
            finally:
                _hand_over(verified)


def _verified(key: RemoteKey, item: Item, outcome: bytes | SignerError, verify: Verify) -> bytes:
    """The signature that may be handed over. Raises the `SignerError` that the waiter is to be told."""
    if isinstance(outcome, SignerError):
        raise outcome
    begun = time.perf_counter()
    try:
        verify(item.message, outcome)
    except SignatureInvalidError as error:
        logger.error("%s: a signature does not verify and is withheld: %s", key.name, error)  # noqa: TRY400
        raise SignatureInvalidError(str(error), key=key.name) from None
    seconds = time.perf_counter() - begun
    for stages in item.stages:
        stages.of_this_thread.verify.add(seconds)
    return outcome


def _hand_over(verified: list[tuple[Item, bytes]]) -> None:
    for item, signature in verified:
        if not item.future.done():
            item.future.set_result(signature)
    verified.clear()
