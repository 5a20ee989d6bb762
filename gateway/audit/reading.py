"""The log for callers who may not reach the database: where it ends, and bounded exports of it."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.audit.chain import Head
from gateway.audit.events import AuditExported
from gateway.audit.export import Range, export
from gateway.audit.ports import AuditRepository, AuditTrail, StoredCheckpoint
from gateway.clock import Clock
from gateway.errors import Reason, RequestError
from gateway.jose.jwk import Jwk

DEFAULT_SEGMENTS: Final = 10_000
MAX_SEGMENTS: Final = 100_000
"""Of one export."""
MAX_CHUNK: Final = 64 * 1024
"""Octets of lines that are handed on together, unless one line has more: about a millisecond's work."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in the log by time: seconds since the epoch, by the clocks of those who wrote."""

    seconds: float


@dataclass(frozen=True, slots=True)
class AskedExport:
    """What to export: from *first* to *last*, both included, and at most *segments* (1 to `MAX_SEGMENTS`).

    Numbers are those of segments, from 1; None is the end of the log on that side.
    """

    first: int | Moment | None = None
    last: int | Moment | None = None
    segments: int = DEFAULT_SEGMENTS


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where the log ends. *enabled*: whether this replica keeps it."""

    head: Head
    pruned: Head
    checkpoint: StoredCheckpoint | None
    enabled: bool


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some lines of an export, without line ends; *following*, of the last alone, is where to go on."""

    lines: tuple[bytes, ...]
    following: int | None = None


class AuditReader:
    """Reads the log for callers. What it gives out is on record before they get any of it."""

    def __init__(
        self,
        repository: AuditRepository,
        *,
        keys: Callable[[], Awaitable[Sequence[Jwk]]],
        issuer: str,
        trail: AuditTrail,
        enabled: bool,
        clock: Clock,
    ) -> None:
        """*keys* gives the public keys of checkpoints, as they are now."""
        self._repository = repository
        self._keys = keys
        self._issuer = issuer
        self._trail = trail
        self._enabled = enabled
        self._clock = clock

    async def end(self) -> LogEnd:
        """Where the log ends. Raises `AvailabilityError`."""
        # The checkpoint first: read behind the head, it could be of a segment that the head does not name.
        checkpoint = await self._repository.latest_checkpoint()
        pruned, head = await self._repository.pruned(), await self._repository.head()
        return LogEnd(head, pruned, checkpoint, self._enabled)

    async def export(self, asked: AskedExport) -> AsyncGenerator[Chunk, None]:
        """The lines of one whole export, in chunks. Whoever does not take them holds up nobody.

        Raises `RequestError` INVALID_FIELD, `AvailabilityError`.
        """
        chosen = await self._chosen(asked)
        if chosen.last >= chosen.first:
            await self._trail.record(AuditExported(chosen.first, chosen.last))
        lines = export(
            self._repository, chosen, issuer=self._issuer, keys=await self._keys(), now=self._clock()
        )
        chunk: list[bytes] = []
        size = 0
        async for line in lines:
            if chunk and size + len(line) > MAX_CHUNK:
                yield Chunk(tuple(chunk))
                chunk, size = [], 0
            chunk.append(line)
            size += len(line)
        yield Chunk(tuple(chunk), chosen.last + 1)

    async def _chosen(self, asked: AskedExport) -> Range:
        """The segments to export: *last* is right before *first* where there is none."""
        end, pruned = (await self._repository.head()).sequence_number, await self._repository.pruned()
        first, last = asked.first, asked.last
        if isinstance(first, Moment):
            first = min(await self._repository.first_since(first.seconds), end + 1)
        elif first is not None and first > end + 1:
            raise RequestError(
                Reason.INVALID_FIELD,
                f"The log ends at segment {end}.",
                field="first_sequence_number",
                metadata={"sequence_number": str(end)},
            )
        if isinstance(last, Moment):
            # Microseconds are the finest that is kept, and the end is included.
            last = await self._repository.first_since(last.seconds + 1e-6) - 1
        begin = max(first or 1, pruned.sequence_number + 1)
        bounds = (end if last is None else last, end, begin + asked.segments - 1)
        return Range(begin, max(min(bounds), begin - 1))
