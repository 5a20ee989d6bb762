"""What the keyring needs remembered. `gateway.store` implements it; every method is one atomic decision.

All raise `AvailabilityError` (``STORE_UNAVAILABLE``) when the database cannot answer or cannot write, and in
that case nothing was changed. Times are seconds since the epoch.
"""

from typing import Protocol

from gateway.idempotency import IdempotencyKey
from gateway.keys.model import KeyPurpose, KeyRecord
from signers import Algorithm


class KeyRepository(Protocol):
    """Keys and their states, shared by all replicas."""

    async def all(self) -> tuple[KeyRecord, ...]:
        """Every key, ordered by creation."""
        ...

    async def change_number(self) -> int:
        """A number that grows with every change to any key."""
        ...

    async def insert(self, record: KeyRecord, key: IdempotencyKey | None) -> tuple[KeyRecord, bool]:
        """Insert *record* and remember *key*, in one transaction.

        Returns the stored record and True, or the record of the first attempt and False on a replay. A record
        that asks to be ACTIVE while another of its (purpose, algorithm) is ACTIVE is stored as PREPARED.
        Raises `StateError`: KEY_ALREADY_EXISTS (the same key_id), REQUEST_ID_REUSED, KEY_STATE_CONFLICT (its
        issuer is not ACTIVE).
        """
        ...

    async def find_replay(self, key: IdempotencyKey) -> KeyRecord | None:
        """The record that an earlier attempt under *key* made or changed; None where there was none.

        Raises `StateError`: REQUEST_ID_REUSED.
        """
        ...

    async def activate(
        self,
        purpose: KeyPurpose,
        algorithm: Algorithm,
        key_id: str,
        *,
        expected_revision: int | None,
        now: float,
        retire_time: float,
        key: IdempotencyKey | None,
    ) -> KeyRecord:
        """Make the PREPARED key ACTIVE and the ACTIVE one (if any) RETIRING until *retire_time*, together.

        A CA's key is RETIRING for longer where the last certificate that it issued expires later.

        Raises `StateError`: KEY_NOT_FOUND, KEY_STATE_CONFLICT (not PREPARED, or of another purpose or
        algorithm), ETAG_MISMATCH, REQUEST_ID_REUSED.
        """
        ...

    async def disable(self, key_id: str, *, reason: str, now: float) -> KeyRecord:
        """Withdraw the key at once, and the keys that it certified. Idempotent.

        Raises `StateError`: KEY_NOT_FOUND.
        """
        ...

    async def set_chain(self, key_id: str, chain_pem: bytes) -> KeyRecord:
        """Give the key its certificate and those above it, ASCII PEM; what it had is replaced.

        Raises `StateError`: KEY_NOT_FOUND, KEY_STATE_CONFLICT (a delegated key).
        """
        ...

    async def claim_rotation(
        self, purpose: KeyPurpose, algorithm: Algorithm, *, now: float, until: float
    ) -> bool:
        """Whether the caller may make the next key of this kind until *until*: of several, one may."""
        ...

    async def release_rotation(self, purpose: KeyPurpose, algorithm: Algorithm, *, until: float) -> None:
        """Give back what was claimed until *until*; a claim of somebody else stays."""
        ...

    async def retire_due(self, *, now: float) -> int:
        """Move RETIRING keys whose time has come to RETIRED; returns how many."""
        ...
