"""What the audit log needs remembered, and what a use case needs of it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.audit.chain import Draft, Head, Segment
from gateway.audit.events import Event


@dataclass(frozen=True, slots=True)
class StoredCheckpoint:
    """A checkpoint: the chain's end at some moment, and a JWS over it; see `gateway.audit.checkpoint`.

    `sign_time`: seconds since the epoch.
    """

    head: Head
    sign_time: float
    jws: str


class AuditRepository(Protocol):
    """The one chain of all replicas. `gateway.store` implements it; every method is one atomic decision.

    All raise `AvailabilityError` (``STORE_UNAVAILABLE``).
    """

    async def append(self, draft: Draft) -> Head:
        """Make *draft* the next segment, durably; returns the chain's new end.

        Where this raises, the segment may be in the chain or not; it is never asked for again.
        """
        ...

    async def head(self) -> Head:
        """The chain's end."""
        ...

    async def pruned(self) -> Head:
        """The last segment that was pruned; `gateway.audit.chain.EMPTY` where none was."""
        ...

    async def segments(self, *, after: int, limit: int) -> Sequence[Segment]:
        """Up to *limit* segments behind number *after*, in order."""
        ...

    async def first_since(self, write_time: float) -> int:
        """The number of the first segment written at *write_time* (seconds) or later; one more than the
        last where there is none.
        """
        ...

    async def checkpoints(self, *, first: int, last: int) -> Sequence[StoredCheckpoint]:
        """The checkpoints of segments *first* to *last*, in order."""
        ...

    async def latest_checkpoint(self) -> StoredCheckpoint | None:
        """The one that covers most."""
        ...

    async def claim_checkpoint(self, *, now: float, until: float) -> Head | None:
        """The chain's end, for the caller to sign; None while another replica's claim lasts."""
        ...

    async def add_checkpoint(self, checkpoint: StoredCheckpoint, *, previous: int) -> bool:
        """Store it and end the claim; False where the latest is not that of segment *previous* any more
        (0: where there is any).
        """
        ...

    async def prune(self, upto: Head) -> int:
        """Delete every segment up to *upto*, which a stored checkpoint must name, and the checkpoints
        before it; returns how many segments. Raises `ValueError` without such a checkpoint.
        """
        ...


class Effect(Protocol):
    """What is about to happen, while it does."""

    def absent(self, reason: str) -> None:
        """Nothing was changed after all, for *reason*, a stable word: a second record says so."""
        ...


class AuditTrail(Protocol):
    """What use cases write to. An event is durable before its effect can be seen by anybody.

    Who caused it is taken from the call under way, see `gateway.audit.actor`.
    """

    async def record(self, *events: Event) -> None:
        """Return once all *events* are durable, in one segment.

        Raises `AvailabilityError` AUDIT_UNAVAILABLE: then the operation must not go on.
        """
        ...

    def around(self, event: Event) -> AbstractAsyncContextManager[Effect]:
        """Have *event* durable before the body runs; where the body raises, a second record says so.

        Entering raises as `record`. The second record is written without delaying the error.
        """
        ...


class _NoEffect:
    def absent(self, reason: str) -> None:
        del reason


class _NoTrail:
    """The audit log where it is off."""

    async def record(self, *events: Event) -> None:
        """Nothing."""

    def around(self, event: Event) -> AbstractAsyncContextManager[Effect]:
        """Nothing."""
        del event
        return _NOTHING


_NOTHING: Final[AbstractAsyncContextManager[Effect]] = nullcontext(_NoEffect())
NO_TRAIL: Final[AuditTrail] = _NoTrail()
"""The audit log where it is off."""
