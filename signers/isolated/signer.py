"""A key in a signer process as a `signers.base.Signer`."""

import asyncio
from base64 import b64encode
from collections.abc import Iterator, Sequence
from time import perf_counter
from typing import Any, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.durations import StageTimes, call_stages
from signers.isolated.frames import MAX_FRAME
from signers.jose_form import thumbprint
from signers.pkcs11.signer import CHUNK
from signers.pkcs11.signing_key import TimedSignature, signature_size
from signers.probe import probe


class SigningProcess(Protocol):
    """What a signer needs of its provider."""

    def sign(
        self, number: int, messages: Sequence[bytes], size: int, key: str, places: int
    ) -> "asyncio.Future[list[TimedSignature]]":
        """Ask for signatures; *places* is how many such requests the caller is about to make."""
        ...


class IsolatedSigner:
    """One private key under one algorithm, known to every signer process of its provider by *number*."""

    def __init__(
        self,
        process: SigningProcess,
        number: int,
        name: str,
        algorithm: Algorithm,
        public_key: PublicKey,
    ) -> None:
        self._process = process
        self._number = number
        self._name = name
        self._algorithm = algorithm
        self._public_key = public_key
        self._key_id = thumbprint(public_key)
        self._size = signature_size(algorithm, public_key)
        self.stages = StageTimes()

    @property
    def key_id(self) -> str:
        return self._key_id

    @property
    def algorithm(self) -> Algorithm:
        return self._algorithm

    @property
    def public_key(self) -> PublicKey:
        return self._public_key

    async def sign(self, message: bytes) -> bytes:
        started = perf_counter()
        (signed,) = await self._process.sign(self._number, (message,), self._size, self._name, 1)
        self._count(signed, perf_counter() - started - signed.signing - signed.verifying)
        return signed.signature

    async def sign_many(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        chunks = list(_chunks(messages))
        started = perf_counter()
        jobs: list[asyncio.Future[list[TimedSignature]]] = []
        try:
            for index, chunk in enumerate(chunks):
                places = len(chunks) - index
                jobs.append(self._process.sign(self._number, chunk, self._size, self._name, places))
            signed = [each for chunk in await asyncio.gather(*jobs) for each in chunk]
        finally:
            for job in jobs:
                job.cancel()
        waited = perf_counter() - started - sum(each.signing + each.verifying for each in signed)
        for each in signed:
            self._count(each, None)
        for stages in self._counted():
            stages.of_this_thread.queue.add(max(0.0, waited))
        return [each.signature for each in signed]

    def _count(self, signed: TimedSignature, waited: float | None) -> None:
        """Count the stages of a signature; *waited* in seconds for the signer process, the way included."""
        for stages in self._counted():
            times = stages.of_this_thread
            times.sign.add(signed.signing)
            times.verify.add(signed.verifying)
            if waited is not None:
                times.queue.add(waited)

    def _counted(self) -> Sequence[StageTimes]:
        traced = call_stages.get()
        return (self.stages,) if traced is None else (self.stages, traced)

    async def check(self) -> None:
        await probe(self)


def key_members(
    number: int, uri: str, algorithm: Algorithm, certificate: x509.Certificate | None
) -> dict[str, Any]:
    """The members of FIND, ADOPT and CREATE that name a key."""
    encoded = None
    if certificate is not None:
        encoded = b64encode(certificate.public_bytes(Encoding.DER)).decode()
    return {"number": number, "uri": uri, "algorithm": str(algorithm), "certificate": encoded}


def spki_hex(public_key: PublicKey) -> str:
    """The DER SubjectPublicKeyInfo in hex, by which a later process knows the key."""
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo).hex()


def _chunks(messages: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    """*messages* in the portions that go into one frame each."""
    chunk: list[bytes] = []
    size = 0
    for message in messages:
        if chunk and (len(chunk) == CHUNK or size + len(message) > MAX_FRAME // 2):
            yield chunk
            chunk, size = [], 0
        chunk.append(message)
        size += len(message)
    if chunk:
        yield chunk
