"""Sixteen callers on SoftHSM for as long as COUNTERSIGN_STRESS_SECONDS says (5 by default)."""

import asyncio
import os
import time

import pytest

from signers import Algorithm
from signers.pkcs11.options import Pkcs11Options
from signers.registry import SignerRegistry
from signers.verification import verify

SECONDS = float(os.environ.get("COUNTERSIGN_STRESS_SECONDS", "5"))
CALLERS = 16


@pytest.mark.parametrize("isolation", [False, True], ids=["in-process", "isolated"])
async def test_sixteen_concurrent_callers(softhsm, record_property, isolation):
    """Both keys in sixteen sessions: no crash, no hang, no error, and every signature verifies."""
    async with SignerRegistry(pkcs11=Pkcs11Options(sessions=16, isolation=isolation)) as registry:
        signers = [
            await registry.open(softhsm.uris[0], Algorithm.ES256),
            await registry.open(softhsm.uris[1], Algorithm.EDDSA),
        ]
        end = time.monotonic() + SECONDS

        async def caller(number: int) -> int:
            signer = signers[number % len(signers)]
            count = 0
            while time.monotonic() < end:
                message = b"%d %d" % (number, count)
                verify(signer.public_key, signer.algorithm, message, await signer.sign(message))
                count += 1
            return count

        async with asyncio.timeout(SECONDS + 10):
            counts = await asyncio.gather(*(caller(number) for number in range(CALLERS)))
        assert min(counts) > 0
        record_property("signatures", sum(counts))
