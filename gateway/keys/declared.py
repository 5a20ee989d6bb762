"""Keys that the configuration names: found, checked against their pins, and registered at the first start."""

import logging
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.audit.events import KeyCreated
from gateway.audit.ports import AuditTrail
from gateway.clock import Clock
from gateway.errors import Reason, StateError
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from gateway.keys.ports import KeyRepository
from signers import Algorithm, KeyUnusableError, PublicKey, Signer, VersionedSigner

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DeclaredKey:
    """A key that the configuration names; see `gateway.config.KeySettings`."""

    purpose: KeyPurpose
    algorithm: Algorithm
    uri: str
    public_key_sha256: str | None = None
    certificate: x509.Certificate | None = None


async def register_declared(
    declared: DeclaredKey, signer: Signer, repository: KeyRepository, clock: Clock, trail: AuditTrail
) -> None:
    """Make *declared*, found as *signer*, known to all replicas: ACTIVE where none is yet, else PREPARED.

    Raises `KeyUnusableError` where the same key is known for another purpose or algorithm: one key, one use.
    """
    if not await _is_known(declared, signer, repository):
        record = new_record(signer, declared.purpose, declared.uri, KeyState.ACTIVE, clock())
        try:
            async with trail.around(created_event(record)):
                stored, _ = await repository.insert(record, None)
        except StateError as error:
            # Another replica, started at the same moment, was first.
            if error.reason is not Reason.KEY_ALREADY_EXISTS:
                raise
            await _is_known(declared, signer, repository)
            return
        logger.info(
            "key imported",
            extra={"key_id": stored.key_id, "purpose": stored.purpose.value, "state": stored.state.value},
        )


async def _is_known(declared: DeclaredKey, signer: Signer, repository: KeyRepository) -> bool:
    for record in await repository.all():
        if record.key_id == signer.key_id:
            if (record.purpose, record.algorithm) != (declared.purpose, declared.algorithm):
                raise KeyUnusableError(
                    f"It is registered for {record.purpose} with {record.algorithm}; one key has one use.",
                    key=record.key_id,
                )
            return True
    return False


def new_record(signer: Signer, purpose: KeyPurpose, uri: str, state: KeyState, now: float) -> KeyRecord:
    """The record of a key seen for the first time; its version, where it has one, is in the URI on record."""
    return KeyRecord(
        key_id=signer.key_id,
        purpose=purpose,
        algorithm=signer.algorithm,
        uri=signer.pinned_uri if isinstance(signer, VersionedSigner) else uri,
        public_key_der=_spki(signer.public_key),
        state=state,
        create_time=now,
        activate_time=now if state is KeyState.ACTIVE else None,
        retire_time=None,
        disable_time=None,
        disable_reason="",
        revision=1,
    )


def created_event(record: KeyRecord) -> KeyCreated:
    """What the audit log keeps of a key that is about to be registered."""
    return KeyCreated(
        key_id=record.key_id,
        purpose=record.purpose.value,
        algorithm=record.algorithm.value,
        state=record.state.value,
        uri=record.redacted_uri,
        issuer_key_id=record.issuer_key_id,
    )


def _spki(key: PublicKey) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
