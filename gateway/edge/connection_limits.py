"""What the HTTPS connections of one worker share: their limits, and which of them are open."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway.edge.body_budget import BodyBudget

if TYPE_CHECKING:
    from gateway.edge.protocol import EdgeProtocol


class ConnectionLimits:
    """What the connections of one worker share; times in seconds.

    - *head_bytes*: a request line with its headers.
    - *request_timeout*: within which the head of a request must arrive, and again its body.
    - *keep_alive*: for which a connection may be idle.
    - *max_age*: after which a connection ends with its next response.
    - *max_connections*: at the same time.
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
        bodies: BodyBudget,
        is_terminator: Callable[[Sequence[bytes]], bool],
    ) -> None:
        self.head_bytes = head_bytes
        self.request_timeout = request_timeout
        self.keep_alive = keep_alive
        self.max_age = max_age
        self.max_connections = max_connections
        self.bodies = bodies
        self.is_terminator = is_terminator
        self.connections: set[EdgeProtocol] = set()
        self.tasks: set[asyncio.Task[None]] = set()
        self.idle = asyncio.Event()
