"""Keeping the keyring current: keys declared in the configuration, and every change that a replica makes.

A change reaches every worker within `interval` seconds (0.5 by default): each compares the change number of
the key table, one tiny read, and reloads only when it moved. Opening a signer may wait for a device, so it
never happens on a request's way.
"""

import asyncio
import hashlib
import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Protocol, Self

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.clock import Clock
from gateway.errors import GatewayError
from gateway.keys.keyring import Keyring, KeyringView
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.keys.ports import KeyRepository
from signers import Algorithm, PublicKey, Signer, SignerError, SignerTimeoutError, SignerUnavailableError

logger = logging.getLogger(__name__)

_REOPEN_INTERVAL: Final = 1.0
_OPENED: Final = frozenset({KeyState.PREPARED, KeyState.ACTIVE})


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


@dataclass(frozen=True, slots=True)
class DeclaredKey:
    """A key that the configuration names; see `gateway.config.KeySettings`."""

    purpose: KeyPurpose
    algorithm: Algorithm
    uri: str
    public_key_sha256: str | None = None
    certificate: x509.Certificate | None = None


class KeyringLoader:
    """Owns the task that keeps *keyring* current; an async context manager.

    Entering imports the declared keys and loads the rest. A declared key that is wrong (missing, ambiguous,
    of another type, not the pinned one, or behind a refused PIN) raises `SignerError` and stops the start. A
    device that does not answer does not: keys known from before are published and verified with, and signing
    starts when the device is back.
    """

    def __init__(
        self,
        *,
        keyring: Keyring,
        repository: KeyRepository,
        signers: SignerOpener,
        declared: Sequence[DeclaredKey],
        clock: Clock,
        interval: float = 0.5,
    ) -> None:
        self._keyring = keyring
        self._repository = repository
        self._signers = signers
        self._missing = list(declared)
        self._clock = clock
        self._interval = interval
        self._change_number = -1
        self._reopen_at = 0.0
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._import_declared()
        await self.refresh()
        self._task = asyncio.create_task(self._keep_current(), name="keyring")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def refresh(self) -> None:
        """Bring the keyring up to date now; a caller that changed a key sees its change afterwards."""
        async with self._lock:
            if self._missing:
                await self._import_declared()
            now = self._clock()
            if any(_is_due(record, now) for record in self._keyring.view.records):
                await self._repository.retire_due(now=now)
            number = await self._repository.change_number()
            reopen = bool(self._keyring.view.faults) and now >= self._reopen_at
            if number == self._change_number and not reopen:
                return
            await self._load()
            self._change_number = number

    async def _keep_current(self) -> None:
        while True:
            await asyncio.sleep(self._interval)
            try:
                await self.refresh()
            except (GatewayError, SignerError) as error:
                # The last view stays in force: it is at most as old as the outage, and health reports it.
                logger.warning("keyring refresh failed", extra={"cause": str(error)})

    async def _import_declared(self) -> None:
        still_missing = []
        for declared in self._missing:
            try:
                signer = await self._signers.open(
                    declared.uri,
                    declared.algorithm,
                    public_key_sha256=declared.public_key_sha256,
                    certificate=declared.certificate,
                )
            except (SignerUnavailableError, SignerTimeoutError) as error:
                logger.warning("a declared key cannot be reached yet", extra={"cause": str(error)})
                still_missing.append(declared)
                continue
            await self._insert_declared(declared, signer)
        self._missing = still_missing

    async def _insert_declared(self, declared: DeclaredKey, signer: Signer) -> None:
        if any(record.key_id == signer.key_id for record in await self._repository.all()):
            return
        record = new_record(signer, declared.purpose, declared.uri, KeyState.ACTIVE, self._clock())
        stored, _ = await self._repository.insert(record, None)
        logger.info(
            "key imported",
            extra={"key_id": stored.key_id, "purpose": stored.purpose.value, "state": stored.state.value},
        )

    async def _load(self) -> None:
        records = await self._repository.all()
        opened: dict[str, Signer] = {}
        faults: dict[str, str] = {}
        for record in records:
            if record.state not in _OPENED:
                continue
            present = self._keyring.view.signers.get(record.key_id)
            if present is not None:
                opened[record.key_id] = present
                continue
            try:
                opened[record.key_id] = await self._open(record)
            except SignerError as error:
                faults[record.key_id] = type(error).__name__
                logger.warning("a key cannot be opened", extra={"key_id": record.key_id, "cause": str(error)})
        if faults:
            self._reopen_at = self._clock() + _REOPEN_INTERVAL
        self._keyring.replace(KeyringView(records, opened, faults))

    async def _open(self, record: KeyRecord) -> Signer:
        pin = hashlib.sha256(record.public_key_der).hexdigest()
        return await self._signers.open(record.uri, record.algorithm, public_key_sha256=pin)


def new_record(signer: Signer, purpose: KeyPurpose, uri: str, state: KeyState, now: float) -> KeyRecord:
    """The record of a key seen for the first time."""
    return KeyRecord(
        key_id=signer.key_id,
        purpose=purpose,
        algorithm=signer.algorithm,
        uri=uri,
        public_key_der=_spki(signer.public_key),
        state=state,
        create_time=now,
        activate_time=now if state is KeyState.ACTIVE else None,
        retire_time=None,
        disable_time=None,
        disable_reason="",
        revision=1,
    )


def _is_due(record: KeyRecord, now: float) -> bool:
    return record.state is KeyState.RETIRING and record.retire_time is not None and record.retire_time <= now


def _spki(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
