"""Which key follows which: the rules that a rotation goes by, over the keys of a purpose and algorithm."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from gateway.errors import Reason, StateError
from gateway.keys.model import KeyPurpose, KeyRecord, KeyState
from signers import Algorithm


@dataclass(frozen=True, slots=True)
class Rotation:
    """The key that signs now, and the one that did before, where there was one."""

    active: KeyRecord
    retiring: KeyRecord | None


def rotation_of(records: Sequence[KeyRecord], active: KeyRecord) -> Rotation:
    """*active*, with the one of *records* that retired last before it."""
    retiring = [
        record
        for record in records
        if record.state is KeyState.RETIRING
        and record.purpose is active.purpose
        and record.algorithm is active.algorithm
    ]
    return Rotation(active, max(retiring, key=lambda record: record.retire_time or 0, default=None))


def active_key(records: Sequence[KeyRecord], purpose: KeyPurpose, algorithm: Algorithm) -> KeyRecord | None:
    """The key that signs now, whether or not it is open here."""
    for record in records:
        if (record.purpose, record.algorithm, record.state) == (purpose, algorithm, KeyState.ACTIVE):
            return record
    return None


def key_to_promote(
    records: Sequence[KeyRecord], purpose: KeyPurpose, algorithm: Algorithm, key_id: str | None
) -> KeyRecord:
    """The key that was named, or the one that is prepared.

    Raises `StateError`: KEY_NOT_FOUND, KEY_STATE_CONFLICT where none is named and not exactly one prepared.
    """
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


def require_certificate(record: KeyRecord) -> None:
    """A key that certifies others has a certificate of its own. Raises `StateError` KEY_STATE_CONFLICT."""
    certifies = record.purpose in {KeyPurpose.DELEGATION, KeyPurpose.CERTIFICATES}
    if certifies and record.state is KeyState.PREPARED and not record.chain_pem:
        raise StateError(
            Reason.KEY_STATE_CONFLICT,
            "The key cannot certify others without a certificate of its own; import one first.",
            cause="no_certificate",
        )


def require_published(record: KeyRecord, now: float, publish_before_use: timedelta) -> None:
    """Nobody holds a key set without the prepared *record*. Raises `StateError` KEY_STATE_CONFLICT."""
    wait = record.create_time + publish_before_use.total_seconds() - now
    if record.state is KeyState.PREPARED and wait > 0:
        raise StateError(
            Reason.KEY_STATE_CONFLICT,
            "The key was published too recently: verifiers may still hold a key set without it.",
            retry_after=timedelta(seconds=wait),
            cause="published_too_recently",
        )
