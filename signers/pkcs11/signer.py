"""A key on a token as a `signers.base.Signer`."""

import asyncio
from collections.abc import Sequence
from functools import partial
from time import perf_counter

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.durations import StageTimes, call_stages
from signers.jose_form import thumbprint
from signers.pkcs11.pool import SessionPool
from signers.pkcs11.signing_key import SigningKey
from signers.probe import probe

CHUNK = 16
"""Messages of `sign_many` that one thread signs in one job."""


class Pkcs11Signer:
    """One private key under one algorithm, in any session of its token's pool."""

    def __init__(self, pool: SessionPool, key: SigningKey) -> None:
        self._pool = pool
        self._key = key
        self._key_id = thumbprint(key.public_key)

    @property
    def key_id(self) -> str:
        return self._key_id

    @property
    def algorithm(self) -> Algorithm:
        return self._key.algorithm

    @property
    def public_key(self) -> PublicKey:
        return self._key.public_key

    @property
    def stages(self) -> StageTimes:
        """How long signatures waited for a session, were made by the token, and verified here."""
        return self._key.stages

    async def sign(self, message: bytes) -> bytes:
        call = partial(self._key.sign_queued, (message,), perf_counter(), call_stages.get())
        (signature,) = await self._pool.submit(call, key=self._key.name)
        return signature

    async def sign_many(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        chunks = [messages[start : start + CHUNK] for start in range(0, len(messages), CHUNK)]
        jobs: list[asyncio.Future[list[bytes]]] = []
        try:
            for number, chunk in enumerate(chunks):
                call = partial(self._key.sign_queued, chunk, perf_counter(), call_stages.get())
                jobs.append(self._pool.submit(call, key=self._key.name, places=len(chunks) - number))
            signed = await asyncio.gather(*jobs)
        finally:
            # All or nothing: once one has failed, the others are not worth the token's time.
            for job in jobs:
                job.cancel()
        return [signature for chunk in signed for signature in chunk]

    async def check(self) -> None:
        await probe(self)
