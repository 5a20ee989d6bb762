"""Who signs checkpoints: of all workers of all replicas one at a time, decided by the database."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from gateway.audit.chain import Head
from gateway.audit.checkpoint import Checkpoint, logged
from gateway.audit.ports import AuditRepository, StoredCheckpoint
from gateway.clock import Clock
from gateway.errors import GatewayError
from signers import SignerError

logger = logging.getLogger("audit")

CLAIM: Final = 10.0
"""Seconds that others leave a checkpoint to whoever began it."""
_LOOK: Final = 1.0

Sign = Callable[[bytes], Awaitable[str]]
"""Makes a compact JWS of the type `gateway.audit.checkpoint.TYP` over a payload, by the key that signs now.
Raises `SignerError`, `AvailabilityError`."""


@dataclass(frozen=True, slots=True)
class Signed:
    """How far the log was signed at the last look; *latest* is None where it never was."""

    head: Head
    latest: StoredCheckpoint | None


class Checkpointer:
    """Owns the task that signs; an async context manager. `signed` is None before the first look."""

    def __init__(
        self,
        repository: AuditRepository,
        *,
        sign: Sign,
        issuer: str,
        interval: float,
        segments: int,
        clock: Clock,
    ) -> None:
        """A checkpoint is due *interval* seconds after the last or *segments* behind it, if anything came."""
        self._repository = repository
        self._sign = sign
        self._issuer = issuer
        self._interval = interval
        self._segments = segments
        self._clock = clock
        self._task: asyncio.Task[None] | None = None
        self.signed: Signed | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="audit-checkpoints")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def sign_due(self) -> Checkpoint | None:
        """Sign and store a checkpoint where one is due and nobody else is at it.

        Raises `AvailabilityError`, `SignerError`.
        """
        latest, head = await self._look()
        return await self._sign_behind(latest) if self._is_due(latest, head) else None

    async def sign_now(self) -> Checkpoint | None:
        """As `sign_due`, whether it is due or not; None where there is nothing new, or somebody else is."""
        latest, head = await self._look()
        return await self._sign_behind(latest) if head.sequence_number > _number(latest) else None

    async def _look(self) -> tuple[StoredCheckpoint | None, Head]:
        latest, head = await self._repository.latest_checkpoint(), await self._repository.head()
        self.signed = Signed(head, latest)
        return latest, head

    def _is_due(self, latest: StoredCheckpoint | None, head: Head) -> bool:
        behind = head.sequence_number - _number(latest)
        if behind <= 0:
            return False
        age = self._clock() - (0.0 if latest is None else latest.sign_time)
        return behind >= self._segments or age >= self._interval

    async def _sign_behind(self, latest: StoredCheckpoint | None) -> Checkpoint | None:
        now = self._clock()
        head = await self._repository.claim_checkpoint(now=now, until=now + CLAIM)
        if head is None:
            return None
        checkpoint = Checkpoint(self._issuer, int(now), head, _number(latest))
        jws = await self._sign(checkpoint.payload())
        stored = StoredCheckpoint(head, now, jws)
        if not await self._repository.add_checkpoint(stored, previous=checkpoint.previous):
            return None
        # The log goes elsewhere, as a rule: then a copy is where the database's owner cannot change it.
        logger.info("audit checkpoint", extra=logged(head, jws))
        self.signed = Signed(head, stored)
        return checkpoint

    async def _run(self) -> None:
        while True:
            try:
                await self.sign_due()
            except (GatewayError, SignerError) as error:
                cause = f"{type(error).__name__}: {error} {getattr(error, 'cause', None) or ''}"
                logger.warning("no audit checkpoint could be signed", extra={"cause": cause})
                await asyncio.sleep(CLAIM)
            except Exception:
                # A fault of ours must not end the task for good; the log shows it each time.
                logger.exception("no audit checkpoint could be signed")
            await asyncio.sleep(min(_LOOK, self._interval))


def _number(checkpoint: StoredCheckpoint | None) -> int:
    return 0 if checkpoint is None else checkpoint.head.sequence_number
