"""One HTTP/1.1 request of a connection, from its head to its response."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

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
    - `size`: octets of the body so far; `complete`: there are no more; `left`: what is missing never comes.
    """

    __slots__ = (
        "_connection",
        "_parts",
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
        "version",
    )

    def __init__(
        self,
        connection: Connection,
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
        self._waiter: asyncio.Future[None] | None = None
        self.method = method
        self.version = version
        self.raw_path, self.path, self.query = target
        self.headers = headers
        self.chain = chain
        self.peer = peer
        self.keep_alive = keep_alive
        self.expects_continue = expects_continue
        self._parts: list[bytes] = []
        self.size = 0
        self.complete = False
        self.left = False

    @property
    def body(self) -> bytes:
        """What has arrived of the body."""
        return self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)

    async def wait(self, limit: int) -> None:
        """Until the body is complete, is larger than *limit* octets, or has no more to come.

        The peer is told to send it where it asked.
        """
        if self.expects_continue and not self.left:
            self.expects_continue = False
            self._connection.write(_CONTINUE)
        while not (self.complete or self.left or self.size > limit):
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
        self._parts.append(octets)
        self.size += len(octets)
        self._wake()

    def end(self) -> None:
        """The body is complete."""
        self.complete = True
        self._wake()

    def abandon(self) -> None:
        """Nothing more comes: the peer has left, or what it sends is no HTTP."""
        if not self.complete:
            self.left = True
            self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
