"""Creating, rotating and disabling keys: what KeyService and ``countersign keys`` do."""

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from gateway.audit.events import KeyActivated, KeyDisabled
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.idempotency import IdempotencyKey
from gateway.keys.declared import created_event, new_record
from gateway.keys.delegation import Delegator
from gateway.keys.keyring import Keyring
from gateway.keys.loading import KeyringLoader
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.keys.opening import SignerOpener
from gateway.keys.own_certificates import OwnCertificates
from gateway.keys.ports import KeyRepository
from gateway.keys.reading import KeyReader
from gateway.keys.signer_faults import explained
from gateway.keys.succession import (
    Rotation,
    active_key,
    key_to_promote,
    require_certificate,
    require_published,
    rotation_of,
)
from signers import Algorithm, Signer, SignerError

audit = logging.getLogger("audit")

FOLLOWED_WITHIN: Final = timedelta(seconds=2)
"""How long a replica may take to sign with the successor, and so how much later it may use the key before."""


class KeyManager(KeyReader):
    """Changes to keys, each decided by the database and in force on this worker when the call returns."""

    def __init__(
        self,
        *,
        keyring: Keyring,
        loader: KeyringLoader,
        repository: KeyRepository,
        signers: SignerOpener,
        clock: Clock,
        delegator: Delegator,
        publish_before_use: timedelta,
        honor_after_use: Mapping[KeyPurpose, timedelta],
        trail: AuditTrail = NO_TRAIL,
    ) -> None:
        """*publish_before_use*: how long verifiers may keep the key set; a key signs no earlier than that.

        *honor_after_use*: for every purpose the longest lifetime of what such a key signs; it stays published
        for so long.
        """
        super().__init__(keyring, repository)
        self.certificates = OwnCertificates(self, loader, repository, clock, trail)
        self._loader = loader
        self._signers = signers
        self._clock = clock
        self._delegator = delegator
        self._publish_before_use = publish_before_use
        self._honor_after_use = honor_after_use
        self._trail = trail

    async def create(
        self,
        purpose: KeyPurpose,
        algorithm: Algorithm,
        uri: str,
        *,
        existing: bool,
        key: IdempotencyKey | None,
        signs_for: timedelta | None = None,
    ) -> KeyRecord:
        """Generate a key at *uri* (or take the *existing* one) and publish it, PREPARED.

        The first key of its purpose and algorithm is ACTIVE at once, since nobody can have cached an older
        set. With *signs_for* the key of purpose ``delegation`` certifies it, to sign for so long. Raises
        `StateError` (KEY_ALREADY_EXISTS, KEY_NOT_FOUND, KEY_UNUSABLE, KEY_STATE_CONFLICT, REQUEST_ID_REUSED),
        `RequestError` INVALID_FIELD for the URI, `AvailabilityError`; `SignerError` of the delegating key.
        """
        if key is not None and (first := await self._repository.find_replay(key)) is not None:
            return first
        try:
            opening = self._signers.open if existing else self._signers.create
            signer = await opening(uri, algorithm)
        except SignerError as error:
            raise explained(error) from error
        taken = active_key(await self._repository.all(), purpose, algorithm)
        state = KeyState.ACTIVE if taken is None else KeyState.PREPARED
        made = new_record(signer, purpose, uri, state, self._clock())
        if signs_for is not None:
            delegation = await self._delegator.certify(
                signer, purpose, signs_for=signs_for, honored_for=self._honor_after_use[purpose]
            )
            made = replace(
                made,
                chain_pem=delegation.chain_pem,
                issuer_key_id=delegation.issuer_key_id,
                sign_until=delegation.sign_until,
            )
        async with self._trail.around(created_event(made)) as effect:
            record, stored = await self._repository.insert(made, key)
            if not stored:
                effect.absent("REPEATED")
        audit.info(
            "key registered",
            extra={"key_id": record.key_id, "purpose": purpose.value, "state": record.state.value},
        )
        await self._loader.refresh(signer)
        return record

    async def rotate(
        self,
        purpose: KeyPurpose,
        algorithm: Algorithm,
        *,
        key_id: str | None,
        expected_revision: int | None,
        key: IdempotencyKey | None,
    ) -> Rotation:
        """Let the PREPARED key sign and the ACTIVE one retire. *key_id* may be None where one is prepared.

        Raises `StateError`: KEY_NOT_FOUND, ETAG_MISMATCH, REQUEST_ID_REUSED, KEY_STATE_CONFLICT (several
        prepared keys and none named; not prepared; published too recently, with `retry_after`; or to certify
        others without a certificate of its own).
        """
        if key is not None and (first := await self._repository.find_replay(key)) is not None:
            return rotation_of(await self._repository.all(), first)
        record = key_to_promote(await self._repository.all(), purpose, algorithm, key_id)
        require_certificate(record)
        now = self._clock()
        before = active_key(await self._repository.all(), purpose, algorithm)
        if before is not None:
            require_published(record, now, self._publish_before_use)
        signer = await self._signing(record)
        replaces = None if before is None else before.key_id
        event = KeyActivated(record.key_id, purpose.value, algorithm.value, replaces)
        async with self._trail.around(event):
            rotated = await self._repository.activate(
                purpose,
                algorithm,
                record.key_id,
                expected_revision=expected_revision,
                now=now,
                retire_time=now + (FOLLOWED_WITHIN + self._honor_after_use[purpose]).total_seconds(),
                key=key,
            )
        audit.info("key rotated", extra={"key_id": rotated.key_id, "purpose": purpose.value})
        await self._loader.refresh(signer)
        return rotation_of(await self._repository.all(), rotated)

    async def disable(self, key_id: str, *, reason: str) -> KeyRecord:
        """Withdraw a key at once, and what it certified: here when this returns, everywhere within a second.

        It signs no more, leaves the key set, and what it signed is no longer honored. Idempotent.
        Raises `StateError`: KEY_NOT_FOUND.
        """
        async with self._trail.around(KeyDisabled(key_id, reason)):
            record = await self._repository.disable(key_id, reason=reason, now=self._clock())
        audit.warning("key disabled", extra={"key_id": key_id, "reason": reason})
        await self._loader.refresh()
        return record

    async def _signing(self, record: KeyRecord) -> Signer | None:
        """The signer of *record*, which has just signed: nothing retires before its successor has shown that.

        None where the key is not prepared, which the database will refuse.
        """
        if record.state is not KeyState.PREPARED:
            return None
        try:
            signer = await self._signers.open(
                record.uri,
                record.algorithm,
                public_key_sha256=hashlib.sha256(record.public_key_der).hexdigest(),
            )
            await signer.check()
        except SignerError as error:
            raise explained(error) from error
        return signer
