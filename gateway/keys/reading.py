"""Looking at keys: which there are, whether their signers are open, and whether they sign."""

import time
from dataclasses import dataclass

from gateway.errors import Reason, StateError
from gateway.keys.keyring import Keyring
from gateway.keys.model import KeyRecord
from gateway.keys.ports import KeyRepository
from signers import Signer, SignerError


@dataclass(frozen=True, slots=True)
class KeyStatus:
    """A key and whether its signer is open now; `fault` names the class of error where it is not."""

    record: KeyRecord
    fault: str | None


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """The outcome of signing and verifying a probe, in `seconds`; `fault` is None for success."""

    seconds: float
    fault: str | None


class KeyReader:
    """Tells of keys, and changes none."""

    def __init__(self, keyring: Keyring, repository: KeyRepository) -> None:
        self._keyring = keyring
        self._repository = repository

    async def list(self) -> tuple[KeyStatus, ...]:
        """Every key, oldest first."""
        faults = self._keyring.view.faults
        return tuple(KeyStatus(r, faults.get(r.key_id)) for r in await self._repository.all())

    async def get(self, key_id: str) -> KeyStatus:
        """One key. Raises `StateError`: KEY_NOT_FOUND."""
        for status in await self.list():
            if status.record.key_id == key_id:
                return status
        raise StateError(Reason.KEY_NOT_FOUND, "There is no such key.", field="name")

    async def check(self, key_id: str) -> KeyCheck:
        """Sign a probe with the key and verify it. Raises `StateError`: KEY_NOT_FOUND, KEY_STATE_CONFLICT."""
        status = await self.get(key_id)
        signer = self._keyring.view.signers.get(key_id)
        if signer is None:
            if status.fault is not None:
                return KeyCheck(0.0, status.fault)
            raise StateError(
                Reason.KEY_STATE_CONFLICT,
                "Only a prepared or active key can be checked; this one no longer signs.",
                metadata={"state": status.record.state.value},
            )
        start = time.perf_counter()
        try:
            await signer.check()
        except SignerError as error:
            return KeyCheck(time.perf_counter() - start, type(error).__name__)
        return KeyCheck(time.perf_counter() - start, None)

    async def signer(self, key_id: str) -> Signer:
        """What signs with a key now. Raises `StateError`: KEY_NOT_FOUND, KEY_STATE_CONFLICT."""
        status = await self.get(key_id)
        signer = self._keyring.view.signers.get(key_id)
        if signer is None:
            raise StateError(
                Reason.KEY_STATE_CONFLICT,
                "Only a prepared or active key that is open can sign a request.",
                metadata={"state": status.record.state.value},
                cause=status.fault,
            )
        return signer
