"""Creating, rotating, disabling and checking keys: what KeyService and ``countersign keys`` do."""

import hashlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from gateway.audit.events import KeyActivated, KeyCertified, KeyDisabled
from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock, to_datetime
from gateway.errors import AvailabilityError, Reason, RequestError, StateError
from gateway.idempotency import IdempotencyKey
from gateway.keys.certificates import certification_request, chain_der, checked_chain, self_signed
from gateway.keys.declared import created_event, new_record
from gateway.keys.delegation import Delegator
from gateway.keys.keyring import Keyring
from gateway.keys.loading import KeyringLoader
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.keys.opening import SignerOpener
from gateway.keys.ports import KeyRepository
from gateway.pki.issuance_errors import IssuingError
from signers import (
    Algorithm,
    KeyAmbiguousError,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
    Signer,
    SignerError,
)

audit = logging.getLogger("audit")

FOLLOWED_WITHIN: Final = timedelta(seconds=2)
"""How long a replica may take to sign with the successor, and so how much later it may use the key before."""

_FAULTS: Final[Mapping[type[SignerError], tuple[Reason, str]]] = {
    KeyUriError: (Reason.INVALID_FIELD, "The key URI cannot be used: {error}"),
    KeyNotFoundError: (Reason.KEY_NOT_FOUND, "No key answers to this URI."),
    KeyAmbiguousError: (Reason.KEY_ALREADY_EXISTS, "More than one key answers to this URI, or it is taken."),
    KeyMismatchError: (Reason.KEY_UNUSABLE, "The key found is not the one that was expected."),
    KeyUnusableError: (Reason.KEY_UNUSABLE, "The key cannot be used with this algorithm: {error}"),
}


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


@dataclass(frozen=True, slots=True)
class Rotation:
    """The key that signs now, and the one that did before, where there was one."""

    active: KeyRecord
    retiring: KeyRecord | None


class KeyManager:
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
        self._keyring = keyring
        self._loader = loader
        self._repository = repository
        self._signers = signers
        self._clock = clock
        self._delegator = delegator
        self._publish_before_use = publish_before_use
        self._honor_after_use = honor_after_use
        self._trail = trail

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
            raise _explained(error) from error
        taken = await self._active(purpose, algorithm)
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
            return await self._rotation(first)
        record = await self._prepared(purpose, algorithm, key_id)
        _require_certificate(record)
        now = self._clock()
        before = await self._active(purpose, algorithm)
        if before is not None:
            self._check_published(record, now)
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
        return await self._rotation(rotated)

    async def _rotation(self, active: KeyRecord) -> Rotation:
        retiring = [
            record
            for record in await self._repository.all()
            if record.state is KeyState.RETIRING
            and record.purpose is active.purpose
            and record.algorithm is active.algorithm
        ]
        return Rotation(active, max(retiring, key=lambda record: record.retire_time or 0, default=None))

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

    async def import_chain(self, key_id: str, chain_pem: bytes) -> KeyRecord:
        """Give a key its certificate, with those above it; *chain_pem* starts with the key's own.

        It is published with the key (``x5c``), and a key of purpose ``delegation`` certifies under it. Raises
        `StateError`: KEY_NOT_FOUND, KEY_STATE_CONFLICT (a delegated key); `RequestError` INVALID_FIELD.
        """
        record = (await self.get(key_id)).record
        try:
            normal = checked_chain(chain_pem, record, to_datetime(self._clock()))
        except IssuingError as error:
            raise RequestError(
                Reason.INVALID_FIELD, f"The certificate cannot be used: {error}.", field="certificates"
            ) from error
        digest = hashlib.sha256(chain_der(normal)[0]).hexdigest()
        async with self._trail.around(KeyCertified(key_id, digest)):
            stored = await self._repository.set_chain(key_id, normal)
        audit.info("certificate imported", extra={"key_id": key_id, "purpose": stored.purpose.value})
        await self._loader.refresh()
        return stored

    async def certification_request(self, key_id: str, subject: str) -> bytes:
        """A PKCS#10 request for a key, PEM. *subject* is written as in RFC 4514.

        Raises `StateError`: KEY_NOT_FOUND, KEY_STATE_CONFLICT; `RequestError` INVALID_FIELD; `SignerError`.
        """
        signer = await self._certifiable(key_id)
        try:
            return await certification_request(signer, subject)
        except (ValueError, IssuingError) as error:
            raise _bad_subject(error) from error

    async def self_signed(self, key_id: str, subject: str, *, days: float) -> bytes:
        """A CA certificate that a key signs for itself, valid from now for *days*, PEM.

        Raises as `certification_request`.
        """
        signer = await self._certifiable(key_id)
        try:
            return await self_signed(signer, subject, now=self._clock(), lifetime=timedelta(days=days))
        except (ValueError, IssuingError) as error:
            raise _bad_subject(error) from error

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

    async def _certifiable(self, key_id: str) -> Signer:
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

    async def _active(self, purpose: KeyPurpose, algorithm: Algorithm) -> KeyRecord | None:
        """The key that signs now, whether or not it is open here."""
        for record in await self._repository.all():
            if (record.purpose, record.algorithm, record.state) == (purpose, algorithm, KeyState.ACTIVE):
                return record
        return None

    async def _prepared(self, purpose: KeyPurpose, algorithm: Algorithm, key_id: str | None) -> KeyRecord:
        records = await self._repository.all()
        if key_id is not None:
            named = [r for r in records if r.key_id == key_id]
            if not named:
                raise StateError(Reason.KEY_NOT_FOUND, "There is no such key.", field="key")
            return named[0]
        candidates = [
            r
            for r in records
            if r.purpose is purpose and r.algorithm is algorithm and r.state is KeyState.PREPARED
        ]
        if len(candidates) != 1:
            raise StateError(
                Reason.KEY_STATE_CONFLICT,
                "Create a key for this purpose and algorithm first."
                if not candidates
                else "Several keys are prepared; name the one to promote.",
                metadata={"prepared": str(len(candidates))},
            )
        return candidates[0]

    def _check_published(self, record: KeyRecord, now: float) -> None:
        wait = record.create_time + self._publish_before_use.total_seconds() - now
        if record.state is KeyState.PREPARED and wait > 0:
            raise StateError(
                Reason.KEY_STATE_CONFLICT,
                "The key was published too recently: verifiers may still hold a key set without it.",
                retry_after=timedelta(seconds=wait),
                cause="published_too_recently",
            )

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
            raise _explained(error) from error
        return signer


def _require_certificate(record: KeyRecord) -> None:
    if record.purpose is KeyPurpose.DELEGATION and record.state is KeyState.PREPARED and not record.chain_pem:
        raise StateError(
            Reason.KEY_STATE_CONFLICT,
            "The key cannot certify others without a certificate of its own; import one first.",
            cause="no_certificate",
        )


def _bad_subject(error: Exception) -> RequestError:
    return RequestError(Reason.INVALID_FIELD, f"No certificate can be made: {error}.", field="subject")


def _explained(error: SignerError) -> RequestError | StateError | AvailabilityError:
    for kind, (reason, text) in _FAULTS.items():
        if isinstance(error, kind):
            made = RequestError if reason is Reason.INVALID_FIELD else StateError
            return made(reason, text.format(error=error), field="uri")
    return AvailabilityError(
        Reason.SIGNER_UNAVAILABLE,
        "The signer does not answer now.",
        retry_after=timedelta(seconds=1),
        cause=type(error).__name__,
    )
