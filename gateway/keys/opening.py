"""The signers of prepared and active keys: opened off the requests' way, and tried again while they fail."""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from cryptography import x509

from gateway.keys.model import KeyRecord
from signers import Algorithm, PinError, Signer, SignerError

logger = logging.getLogger(__name__)


class SignerOpener(Protocol):
    """The part of `signers.registry.SignerRegistry` that the keyring needs."""

    async def open(
        self,
        uri: str,
        algorithm: Algorithm,
        *,
        public_key_sha256: str | None = None,
        certificate: x509.Certificate | None = None,
    ) -> Signer:
        """Find the key and check it against the pin. Raises `SignerError`."""
        ...

    async def create(self, uri: str, algorithm: Algorithm) -> Signer:
        """Generate the key that *uri* will name. Raises `SignerError`."""
        ...


class OpenSigners:
    """Signers by key id, and the class of error of each key that cannot be opened.

    Each key is opened by a task of its own, so that a device that hangs keeps no other key waiting. Whoever
    makes one closes it.
    """

    def __init__(self, opener: SignerOpener, on_change: Callable[[], None]) -> None:
        """*on_change* is called after a key was opened, or failed in another way than before."""
        self._opener = opener
        self._on_change = on_change
        self.signers: dict[str, Signer] = {}
        self.faults: dict[str, str] = {}
        self._given_up: set[str] = set()
        self._opening: dict[str, asyncio.Task[None]] = {}

    def adopt(self, signer: Signer) -> None:
        """Use *signer*, which was opened elsewhere."""
        self.signers[signer.key_id] = signer
        self.faults.pop(signer.key_id, None)
        self._given_up.discard(signer.key_id)

    def keep_only(self, records: Sequence[KeyRecord]) -> None:
        """Forget the signers and faults of keys that sign no more."""
        wanted = {record.key_id for record in records if record.signs}
        self.signers = {key: signer for key, signer in self.signers.items() if key in wanted}
        self.faults = {key: fault for key, fault in self.faults.items() if key in wanted}

    def open_missing(self, records: Sequence[KeyRecord]) -> None:
        """Begin to open what is not open yet. A refused PIN is not tried again: tokens lock themselves."""
        for record in records:
            key_id = record.key_id
            known = key_id in self.signers or key_id in self._opening or key_id in self._given_up
            if record.signs and not known:
                task = asyncio.create_task(self._open(record), name=f"open-key-{key_id}")
                self._opening[key_id] = task

    async def settle(self) -> None:
        """Wait until everything begun has succeeded or failed."""
        await asyncio.gather(*self._opening.values())

    async def aclose(self) -> None:
        """End what is still under way."""
        tasks = list(self._opening.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _open(self, record: KeyRecord) -> None:
        pin = hashlib.sha256(record.public_key_der).hexdigest()
        try:
            signer = await self._opener.open(record.uri, record.algorithm, public_key_sha256=pin)
        except SignerError as error:
            self._failed(record.key_id, error)
        else:
            self.adopt(signer)
            self._on_change()
        finally:
            del self._opening[record.key_id]

    def _failed(self, key_id: str, error: SignerError) -> None:
        fault = type(error).__name__
        if isinstance(error, PinError):
            self._given_up.add(key_id)
        if self.faults.get(key_id) != fault:
            logger.warning("a key cannot be opened", extra={"key_id": key_id, "cause": str(error)})
            self.faults[key_id] = fault
            self._on_change()
