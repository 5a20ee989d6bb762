"""The guard: looks at gRPC's connections a few times a second, and acts on addresses that take too much.

Three things it looks for, each of one address (or /64 network of IPv6, `gateway.limits.peers`):

- **too many connections**: the newest are closed;
- **too many new ones a second**: those that last for a moment only are met by chance, so that what is counted
  is the least that there were. Nobody is thought to be faster than they are;
- **octets without messages**: a connection on which much comes, and no message of a call. That is how header
  bombs and floods of resets and of control frames look; it is closed.

In each case the kernel then drops what the address begins anew for some seconds, `gateway.guard.blocks`;
connections that it has already stay. An error in here is logged, and changes nothing for anybody.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

from gateway.guard import syn_filter
from gateway.guard.blocks import Blocks
from gateway.guard.sockets import Connection, OwnSockets
from gateway.limits.buckets import TokenBuckets
from gateway.limits.peers import AddressSet

logger = logging.getLogger(__name__)

LOOK: Final = 0.25
"""Seconds between two looks."""
QUICK_LOOK: Final = 0.02
"""The same while connections come fast: those of a flood last for milliseconds."""
AFTER_ERROR: Final = 5.0
"""Seconds without looking after a look that failed."""
BURST: Final = 4
"""Seconds' worth of new connections that may come at once, as after a restart."""
SITES: Final = 10_000
"""Addresses whose new connections are counted."""
AT_ONCE: Final = 500
"""Connections whose octets are looked at in one look; each takes some 2 µs."""
DRAIN: Final = 8 * 1024
"""Octets a second that need no message: acknowledgements, windows, pings."""
ASK: Final = 128 * 1024
"""Octets after which the core is asked whether there was a message."""
SILENT: Final = 512 * 1024
"""Octets without a message, beyond the largest one, that close a connection: and alone where so many streams
have ended meanwhile that no message can be on its way."""
ENDED: Final = 64
HEAVY: Final = 8 * 1024
"""Octets for each stream that was begun, beyond which as many streams tell the same before they end: fields
of honest calls take less, and of messages that nobody reads yet HTTP/2's windows let little through."""


class Measure(StrEnum):
    """Why a connection was closed, or an address was blocked."""

    CONNECTIONS = "too_many_connections"
    NEW_CONNECTIONS = "too_many_new_connections"
    SILENT = "octets_without_messages"


@dataclass(frozen=True, slots=True)
class GuardLimits:
    """Of one address in this process.

    - *connections*: open at the same time; *new_connections*: a second.
    - *message*: octets of the largest message.
    - *exempt*: addresses for which nothing of this holds.
    """

    connections: int
    new_connections: int
    message: int
    exempt: AddressSet


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one connection since it was made: messages that came, and streams that were *begun* and that have
    ended, in whatever way.
    """

    messages: int
    begun: int
    ended: int


class Streams(Protocol):
    """`gateway.rpc.core_connections.StreamCounts`."""

    def of(self, connection: Connection) -> Counts | None:
        """The counts of *connection*; None where it is not known."""
        ...

    def forget(self, inode: int) -> None:
        """The connection with *inode* is gone."""
        ...


@dataclass(slots=True)
class _Watched:
    """*level*: octets since the last message, less what may come without; *begun*, *ended*: streams, as of
    then.
    """

    at: float
    received: int = 0
    level: float = 0.0
    messages: int = 0
    begun: int = 0
    ended: int = 0


@dataclass(slots=True)
class GuardCounts:
    """What was done so far; every measure has a count, so that a first time is seen as a change."""

    closed: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(Measure, 0)))
    blocks: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(Measure, 0)))
    blocked: int = 0


class Guard:
    """Looks at *sockets*. *begun* counts the handshakes that the core began. Belongs to one event loop."""

    def __init__(
        self,
        limits: GuardLimits,
        sockets: OwnSockets,
        streams: Streams,
        *,
        begun: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.counts = GuardCounts()
        self._limits = limits
        self._sockets = sockets
        self._streams = streams
        self._begun = begun
        self._clock = clock
        self._pace = TokenBuckets(
            float(limits.new_connections), BURST * limits.new_connections, callers=SITES, clock=clock
        )
        self._blocks = Blocks()
        self._dropped: frozenset[str] = frozenset()
        self._watched: dict[int, _Watched] = {}
        self._closed: set[int] = set()
        self._seen = 0
        self._scanned = self._looked = clock()
        self._next = 0
        self._exempts = limits.exempt.includes

    async def run(self) -> None:
        """Look for ever; at the end nobody is blocked any more."""
        try:
            while True:
                try:
                    pause = self.look()
                except Exception:
                    logger.exception("The guard of connections could not look; nobody is affected")
                    pause = AFTER_ERROR
                await asyncio.sleep(pause)
        finally:
            self._drop(frozenset())

    def look(self) -> float:
        """Look once; seconds until the next look. Raises `OSError`."""
        now, begun = self._clock(), self._begun()
        elapsed, fresh = max(now - self._looked, 1e-3), begun - self._seen
        self._looked, self._seen = now, begun
        due = now - self._scanned >= LOOK
        flooded = fresh > self._limits.new_connections / 2 * elapsed
        if fresh:
            self._meet(self._sockets.scan(now, quick=not due), now)
        if due:
            self._scanned = now
            self._listen(now)
        blocked = self._blocks.blocked(now)
        if blocked != self._dropped:
            self._drop(blocked)
        return QUICK_LOOK if flooded else LOOK

    def _meet(self, fresh: Sequence[Connection], now: float) -> None:
        """Count connections that were not there before."""
        for connection in fresh:
            if not self._exempts(connection.host) and self._pace.take(connection.site) > 0:
                self._block(connection.site, Measure.NEW_CONNECTIONS, now)
        if not fresh:
            return
        connections = self._sockets.connections
        inodes = {connection.inode for connection in connections}
        self._closed &= inodes
        for gone in self._watched.keys() - inodes:
            del self._watched[gone]
            self._streams.forget(gone)
        counted: Counter[str] = Counter()
        for connection in connections:
            if connection.inode in self._closed or self._exempts(connection.host):
                continue
            counted[connection.site] += 1
            if counted[connection.site] > self._limits.connections:
                self._close(connection, Measure.CONNECTIONS, now)

    def _listen(self, now: float) -> None:
        """Look at what came on some connections, others each time."""
        connections = self._sockets.connections
        if self._next >= len(connections):
            self._next = 0
        chosen = connections[self._next : self._next + AT_ONCE]
        self._next += AT_ONCE
        for connection in chosen:
            received = self._sockets.received(connection)
            if received is None or connection.inode in self._closed or self._exempts(connection.host):
                continue
            watched = self._watched.setdefault(connection.inode, _Watched(connection.since))
            watched.level = max(0.0, watched.level - DRAIN * (now - watched.at))
            watched.level += max(0, received - watched.received)
            watched.at, watched.received = now, received
            if watched.level > ASK and self._is_silent(connection, watched):
                self._close(connection, Measure.SILENT, now)

    def _is_silent(self, connection: Connection, watched: _Watched) -> bool:
        counts = self._streams.of(connection)
        if counts is None:
            return False  # It shakes hands, or has gone.
        if counts.messages != watched.messages:
            watched.level, watched.messages = 0.0, counts.messages
            watched.begun, watched.ended = counts.begun, counts.ended
            return False
        begun, ended = counts.begun - watched.begun, counts.ended - watched.ended
        empty = ended >= ENDED or (begun >= ENDED and watched.level >= HEAVY * begun)
        return watched.level > (SILENT if empty else SILENT + self._limits.message)

    def _close(self, connection: Connection, measure: Measure, now: float) -> None:
        self._closed.add(connection.inode)
        if self._sockets.close(connection):
            self.counts.closed[measure] += 1
            logger.info("A connection of %s was closed: %s", connection.host, measure)
        self._block(connection.site, measure, now)

    def _block(self, site: str, measure: Measure, now: float) -> None:
        seconds = self._blocks.block(site, now)
        if seconds is not None:
            self.counts.blocks[measure] += 1
            logger.warning("New connections of %s are dropped for %g s: %s", site, seconds, measure)

    def _drop(self, blocked: frozenset[str]) -> None:
        """Have the kernel drop new connections of *blocked*, and of nobody else."""
        self._dropped = blocked
        self.counts.blocked = len(blocked)
        program = syn_filter.program(sorted(blocked))
        for listening in self._sockets.listeners():
            with listening:
                try:
                    if blocked:
                        syn_filter.attach(listening, program)
                    else:
                        syn_filter.detach(listening)
                except OSError as error:
                    logger.warning("The kernel takes no filter for new connections: %s", error)
