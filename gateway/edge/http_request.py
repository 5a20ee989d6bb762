"""One HTTP/1.1 request of a connection, from its head to its response."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from gateway.edge.body_budget import BodyBudget
from gateway.edge.exchange import Headers

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(Protocol):
    """What a request needs of the connection that it came on: `gateway.edge.protocol.EdgeProtocol`."""

    def write(self, octets: bytes) -> None:
        """Send *octets*; nothing where the connection has ended."""
        ...

    def may_go_on(self) -> bool:
        """Whether the connection may take another request."""
        ...

    def answered(self, *, close: bool) -> None:
        """The response of the request under way was written; go on with the next, or end."""
        ...


class HttpRequest:
    """A request whose head has arrived; its body may still be on the way.

    - `method`; `version`: ``1.1`` or ``1.0``.
    - `raw_path`: of the target, as it was sent; `path`: the same, percent-decoded; `query`: as sent.
    - `headers`: those of the head; a trailer is none.
    - `chain`: the certificates that the peer presented, DER, the leaf first; `peer`: its address and port.
    - `size`: octets of the body so far; `complete`: there are no more; `left`: what is missing never comes;
      `turned_away`: there was no room for it, and it is not kept.

    A body of more than *free* octets counts, as it arrives, until `release`.
    """

    __slots__ = (
        "_budget",
        "_connection",
        "_free",
        "_held",
        "_octets",
        "_waiter",
        "chain",
        "complete",
        "expects_continue",
        "headers",
        "keep_alive",
        "left",
        "method",
        "path",
        "peer",
        "query",
        "raw_path",
        "size",
        "turned_away",
        "version",
    )

    def __init__(
        self,
        connection: Connection,
        budget: BodyBudget,
        free: int,
        *,
        method: str,
        version: str,
        target: tuple[str, str, bytes],
        headers: Headers,
        chain: Sequence[bytes],
        peer: str,
        keep_alive: bool,
        expects_continue: bool,
    ) -> None:
        self._connection = connection
        self._budget = budget
        self._free = free
        self._held = 0  # Octets, as far as they count.
        self._waiter: asyncio.Future[None] | None = None
        self.method = method
        self.version = version
        self.raw_path, self.path, self.query = target
        self.headers = headers
        self.chain = chain
        self.peer = peer
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self._octets: bytes | bytearray = b""
        self.size = 0
        self.complete = False
        self.left = False
        self.turned_away = False

    @property
    def body(self) -> bytes:
        """What has arrived of the body."""
        if isinstance(self._octets, bytearray):
            self._octets = bytes(self._octets)  # In its place: both would be twice what is counted.
        return self._octets

    async def wait(self, limit: int) -> None:
        """Until the body is complete, is larger than *limit* octets, or has no more to come or no room.

        The peer is told to send it where it asked.
        """
        if self.expects_continue and not (self.left or self.turned_away):
            self.expects_continue = False
            self._connection.write(_CONTINUE)
        while not (self.complete or self.left or self.turned_away or self.size > limit):
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter

    def respond(self, octets: bytes, *, close: bool) -> None:
        """Send the whole response; *close*: it announced the end of the connection."""
        self._connection.write(octets)
        self._connection.answered(close=close)

    def is_last(self) -> bool:
        """Whether the connection ends with this request."""
        return not (self.keep_alive and self._connection.may_go_on())

    def arrived(self, octets: bytes) -> None:
        """More of the body is there."""
        self.size += len(octets)
        if self.size > self._free and not self._has_room():
            return
        if not self._octets:
            self._octets = octets  # Most bodies come in one piece.
        else:
            # One buffer: a body sent octet by octet must not cost an object for each.
            if isinstance(self._octets, bytes):
                self._octets = bytearray(self._octets)
            self._octets += octets
        self._wake()

    def end(self) -> None:
        """The body is complete."""
        if not self.turned_away:
            self.complete = True
            self._wake()

    def release(self) -> None:
        """The request is over: its body counts no more."""
        if self._held:
            self._budget.give_back(self._held)
            self._held = 0

    def abandon(self) -> None:
        """Nothing more comes: the peer has left, or what it sends is no HTTP."""
        if not self.complete:
            self.left = True
            self._wake()

    def _has_room(self) -> bool:
        """Count what has arrived; where there is no room for it, let go of all of it."""
        if not self.turned_away and self._budget.take(self.size - self._held):
            self._held = self.size
            return True
        self.turned_away = True
        self._octets = b""
        self.release()
        self._wake()
        return False

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
