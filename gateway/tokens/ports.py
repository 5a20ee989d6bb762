"""What the token rules need remembered. `gateway.store` implements it; every method is one atomic decision.

All raise `AvailabilityError` (``STORE_UNAVAILABLE``) when the database cannot answer or cannot write, and in
that case nothing was changed. Times are seconds since the epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.idempotency import IdempotencyKey
from gateway.tokens.client import Client


@dataclass(frozen=True, slots=True)
class Page:
    """A page of clients, ordered by client id; `next_after` is the last id where more follow, else None."""

    clients: tuple[Client, ...]
    next_after: str | None


class ClientRepository(Protocol):
    """Registered clients."""

    async def get(self, client_id: str) -> Client | None:
        """The client as it is now (never a stale copy), or None."""
        ...

    def at_hand(self, client_id: str) -> Client | None:
        """As `recent`, where the database need not be asked; else None, which says nothing of the client."""
        ...

    async def recent(self, client_id: str) -> Client | None:
        """The client as it was a moment ago at most, 50 ms; as it is now, where this process changed it.

        For what may be refused on the strength of `get` only: a right just given may not be seen yet.
        """
        ...

    async def list(self, *, after: str | None, limit: int) -> Page:
        """Up to *limit* clients whose id sorts after *after*."""
        ...

    async def create(self, client: Client, key: IdempotencyKey | None) -> tuple[Client, bool]:
        """Insert *client* (revision 1) and remember *key*, in one transaction.

        Returns the stored client and True, or the client of the first attempt and False on a replay.
        Raises `StateError`: CLIENT_ALREADY_EXISTS, REQUEST_ID_REUSED, or CLIENT_NOT_FOUND where the client
        of the first attempt has been deleted since. An id that a client ever had counts as existing.
        """
        ...

    async def replace(self, client: Client, *, expected_revision: int) -> Client:
        """Store *client* with `revision` expected_revision + 1, only if it still has *expected_revision*.

        Raises `StateError`: CLIENT_NOT_FOUND, ETAG_MISMATCH.
        """
        ...

    async def delete(self, client_id: str, *, expected_revision: int | None) -> None:
        """Delete; the id is never given again. Raises `StateError`: CLIENT_NOT_FOUND, ETAG_MISMATCH."""
        ...

    async def self_signed_certificates(self) -> tuple[bytes, ...]:
        """DER of every certificate registered for self-signed TLS authentication by an enabled client.

        The mutual-TLS listener must let these through its handshake; that alone authenticates nobody.
        """
        ...

    async def change_number(self) -> int:
        """A number that grows with every change to any client."""
        ...


@dataclass(frozen=True, slots=True)
class Revocation:
    """A revoked access token. `client_id` is None where an administrator revoked a bare id."""

    token_id: str
    client_id: str | None
    revoke_time: float
    expire_time: float


class RevocationRepository(Protocol):
    """Revoked token ids (``jti``), kept until the tokens would have expired."""

    async def revoke(self, revocation: Revocation) -> bool:
        """Record it, durably before returning. False where it was recorded already (idempotent).

        Each new row takes the next number of a sequence whose order is the order of commits.
        """
        ...

    async def is_revoked(self, token_id: str) -> bool:
        """Whether *token_id* is revoked, as of any revocation that has been acknowledged to anybody."""
        ...

    async def revoked_among(self, token_ids: Sequence[str]) -> frozenset[str]:
        """Those of up to 1,000 *token_ids* that are revoked, in one statement."""
        ...


class ReplayRepository(Protocol):
    """Things that may be used once: client assertions now; DPoP proofs and nonces in the same table."""

    async def use_once(self, kind: str, value: str, *, expire_time: float) -> bool:
        """True for exactly one caller over all replicas; False for every other until *expire_time*.

        *kind* names the space (``client_assertion``), *value* is unambiguous within it; only a hash is kept.
        """
        ...
