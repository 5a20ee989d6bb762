"""What the HTTPS connections of one worker share: their limits, and which of them are open."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.edge.body_budget import BodyBudget
from gateway.limits.peers import site_of

if TYPE_CHECKING:
    from gateway.edge.protocol import EdgeProtocol


class ConnectionLimits:
    """What the connections of one worker share; times in seconds.

    - *head_bytes*: a request line with its headers.
    - *request_timeout*: within which the head of a request must arrive, and again its body.
    - *keep_alive*: for which a connection may be idle.
    - *max_age*: after which a connection ends with its next response.
    - *max_connections*: at the same time; *max_per_site*: of one address or IPv6 network, terminators apart.
    - *bodies*: the room for request bodies.
    - *is_terminator*: whether what a peer presented, DER, is a trusted terminator's. Must not raise.

    `connections` are those open, `tasks` those that serve requests, and `idle` is set whenever the last
    connection has gone.
    """

    def __init__(
        self,
        *,
        head_bytes: int,
        request_timeout: float,
        keep_alive: float,
        max_age: float,
        max_connections: int,
        max_per_site: int,
        bodies: BodyBudget,
        is_terminator: Callable[[Sequence[bytes]], bool],
    ) -> None:
        self.head_bytes = head_bytes
        self.request_timeout = request_timeout
        self.keep_alive = keep_alive
        self.max_age = max_age
        self.max_connections = max_connections
        self.max_per_site = max_per_site
        self.bodies = bodies
        self.is_terminator = is_terminator
        self.connections: set[EdgeProtocol] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.idle = asyncio.Event()
        self._sites: Counter[str] = Counter()

    def enter(self, connection: "EdgeProtocol", host: str, *, terminator: bool) -> bool:
        """Count *connection* from *host* in; pair it with `leave`. False where it is one too many, and counts
        until it has gone.
        """
        self.connections.add(connection)
        if len(self.connections) > self.max_connections:
            return False
        if terminator:
            return True
        site = connection.site = site_of(host)
        self._sites[site] += 1
        return self._sites[site] <= self.max_per_site

    def leave(self, connection: "EdgeProtocol") -> None:
        """Count *connection* out."""
        self.connections.discard(connection)
        site, connection.site = connection.site, None
        if site is not None:
            self._sites[site] -= 1
            if not self._sites[site]:
                del self._sites[site]
        if not self.connections:
            self.idle.set()
