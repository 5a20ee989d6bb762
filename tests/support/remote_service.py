"""A service for `signers.remote` in this process: real keys, and faults by script."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.errors import KeyNotFoundError, SignerError
from signers.file import _signature_function
from signers.key_files import generate_private_key

Outcomes = Sequence[bytes | SignerError]


@dataclass(eq=False)
class ScriptedKey:
    """A key whose requests are answered by its real private key, or by `script`, one entry each.

    An entry is an error to raise, or a function from the true signatures to what is answered. `gate`, where
    it is cleared, keeps requests waiting.
    """

    algorithm: Algorithm = Algorithm.ES256
    max_batch: int = 1
    name: str = "test:key=one"
    version: str = "1"
    pinned_uri: str = "test:key=one;version=1"
    script: list[SignerError | Callable[[Outcomes], Outcomes]] = field(default_factory=list)
    requests: list[list[bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        private_key = generate_private_key(self.algorithm)
        self.public_key: PublicKey = private_key.public_key()
        self._sign = _signature_function(private_key, self.algorithm)
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0
        self.most_under_way = 0

    async def request_signatures(self, messages: Sequence[bytes]) -> Outcomes:
        self.requests.append(list(messages))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(0)
            await self.gate.wait()
        finally:
            self.under_way -= 1
        step = self.script.pop(0) if self.script else None
        if isinstance(step, SignerError):
            raise step
        signatures: Outcomes = [self._sign(message) for message in messages]
        return signatures if step is None else step(signatures)


@dataclass
class ScriptedService:
    """One `ScriptedKey`, found by any URI that does not say "missing", after the faults of `script`."""

    key: ScriptedKey = field(default_factory=ScriptedKey)
    name: str = "test:"
    script: list[SignerError | Callable[[], Awaitable[None]]] = field(default_factory=list)
    finds: int = 0
    creates: int = 0
    closed: int = 0

    async def find(self, uri: str, algorithm: Algorithm, public_key_sha256: str | None) -> ScriptedKey:
        self.finds += 1
        await self._step()
        if "missing" in uri:
            raise KeyNotFoundError("No such key.", key=uri)
        return self.key

    async def create(self, uri: str, algorithm: Algorithm) -> None:
        self.creates += 1
        await self._step()

    async def aclose(self) -> None:
        self.closed += 1

    async def _step(self) -> None:
        step = self.script.pop(0) if self.script else None
        if isinstance(step, SignerError):
            raise step
        if step is not None:
            await step()
