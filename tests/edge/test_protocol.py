"""One connection by itself: which requests are served, and when it reads."""

import asyncio
from typing import Any

import pytest

from gateway.edge.body_budget import SMALL_BODY, BodyBudget
from gateway.edge.connection_limits import ConnectionLimits
from gateway.edge.http_request import HttpRequest
from gateway.edge.protocol import EdgeProtocol

BUDGET = 3 * SMALL_BODY
LARGE = 2 * SMALL_BODY
POST = b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"
GET = b"GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Transport:
    """Keeps what is written, and what it is told."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.reading = True
        self.closed = False

    def get_extra_info(self, name: str) -> Any:
        return ("127.0.0.1", 1) if name == "peername" else None

    def write(self, octets: bytes) -> None:
        self.written.append(octets)

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close


class Connected:
    """A connection whose application answers when it is told to."""

    def __init__(self) -> None:
        self.served: list[HttpRequest] = []
        self.answer = asyncio.Event()
        self.transport = Transport()
        self.limits = ConnectionLimits(
            head_bytes=16_384,
            request_timeout=10,
            keep_alive=10,
            max_age=60,
            max_connections=10,
            max_per_site=10,
            bodies=BodyBudget(BUDGET),
            is_terminator=lambda _: False,
        )
        self.protocol = EdgeProtocol(self._serve, self.limits)
        self.protocol.connection_made(self.transport)

    async def _serve(self, request: HttpRequest) -> None:
        self.served.append(request)
        await self.answer.wait()
        request.respond(b"response", close=request.is_last())

    async def turns(self) -> None:
        """Let what is due run."""
        for _ in range(10):
            await asyncio.sleep(0)


@pytest.fixture
async def connected() -> Connected:
    return Connected()


async def test_one_after_the_other(connected: Connected):
    """The second request of a connection is served when the first was answered; reading waits with it."""
    connected.protocol.data_received(GET * 2)
    await connected.turns()
    assert (len(connected.served), connected.transport.reading) == (1, False)
    connected.answer.set()
    await connected.turns()
    assert (len(connected.served), connected.transport.reading) == (2, True)
    assert connected.transport.written == [b"response"] * 2


async def test_who_takes_no_responses_is_not_served(connected: Connected):
    """While what was written waits for its reader, requests wait too, and no more are read."""
    connected.answer.set()
    connected.protocol.pause_writing()
    connected.protocol.data_received(GET)
    await connected.turns()
    assert (connected.served, connected.transport.reading) == ([], False)
    connected.protocol.resume_writing()
    await connected.turns()
    assert (len(connected.served), connected.transport.reading) == (1, True)


async def test_a_body_in_pieces(connected: Connected):
    """A body is waited for, piece by piece, up to its end or the limit."""
    connected.protocol.data_received(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
    await connected.turns()
    (request,) = connected.served
    waiting = asyncio.create_task(request.wait(100))
    await connected.turns()
    assert not waiting.done()
    connected.protocol.data_received(b"cd")
    await waiting
    assert (request.body, request.complete) == (b"abcd", True)


async def test_a_connection_that_is_lost(connected: Connected):
    """What waits for a body learns that it never comes; nothing is written any more, and no timer is left."""
    connected.protocol.data_received(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
    await connected.turns()
    (request,) = connected.served
    waiting = asyncio.create_task(request.wait(100))
    await connected.turns()
    connected.transport.closed = True
    connected.protocol.connection_lost(None)
    await waiting
    assert request.left
    connected.answer.set()
    await connected.turns()
    assert connected.transport.written == []
    assert not connected.limits.connections
    assert not connected.limits.tasks


async def test_an_application_that_fails(connected: Connected, caplog):
    """A request that nobody answered ends its connection, and the log says why."""

    async def fail(_: HttpRequest) -> None:
        raise RuntimeError("a defect")

    connected.protocol._application = fail
    connected.protocol.data_received(GET)
    await connected.turns()
    assert connected.transport.closed
    assert "a defect" in caplog.text


async def test_shutdown(connected: Connected):
    """A connection without a request ends at once; one with a request, after its response."""
    connected.protocol.data_received(GET)
    await connected.turns()
    connected.protocol.shutdown()
    assert not connected.transport.closed
    connected.answer.set()
    await connected.turns()
    assert connected.transport.closed
    idle = Connected()
    idle.protocol.shutdown()
    assert idle.transport.closed


async def test_shutdown_lets_a_body_arrive(connected: Connected):
    """A request that was begun before the end is read and answered; what comes behind it is not."""
    connected.protocol.data_received(b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab")
    await connected.turns()
    connected.protocol.shutdown()
    connected.protocol.data_received(b"cd" + GET)
    (request,) = connected.served
    assert (request.body, request.complete, request.is_last()) == (b"abcd", True, True)
    connected.answer.set()
    await connected.turns()
    assert connected.transport.written == [b"response"]
    assert connected.transport.closed


async def test_a_body_without_room_is_not_kept(connected: Connected):
    """Whoever waits for it is told at once, and what comes of it afterwards is dropped."""
    connected.limits.bodies.take(BUDGET - SMALL_BODY)
    connected.protocol.data_received(POST % LARGE + b"a" * SMALL_BODY)
    await connected.turns()
    (request,) = connected.served
    waiting = asyncio.create_task(request.wait(LARGE))
    await connected.turns()
    assert (waiting.done(), len(request.body)) == (False, SMALL_BODY)
    connected.protocol.data_received(b"a")
    await waiting
    assert (request.turned_away, request.complete, request.body) == (True, False, b"")
    connected.protocol.data_received(b"a" * (SMALL_BODY - 1))
    assert (request.complete, request.body) == (False, b"")
    assert connected.limits.bodies.held == BUDGET - SMALL_BODY


async def test_a_body_counts_until_its_request_is_answered(connected: Connected):
    """As it arrives, and not as it was announced."""
    connected.protocol.data_received(POST % LARGE + b"a" * (LARGE - 1))
    await connected.turns()
    assert connected.limits.bodies.held == LARGE - 1
    connected.protocol.data_received(b"a")
    assert connected.limits.bodies.held == LARGE
    connected.answer.set()
    await connected.turns()
    assert connected.limits.bodies.held == 0


async def test_one_small_body_of_a_connection_is_free(connected: Connected):
    """Those that wait behind another request count, however small they are."""
    small = POST % SMALL_BODY + b"a" * SMALL_BODY
    connected.protocol.data_received(small * 3)
    await connected.turns()
    assert connected.limits.bodies.held == 2 * SMALL_BODY
    connected.answer.set()
    await connected.turns()
    assert (len(connected.served), connected.limits.bodies.held) == (3, 0)
    connected.protocol.data_received(small)
    assert connected.limits.bodies.held == 0


async def test_a_body_that_nobody_came_to_counts_no_more(connected: Connected):
    """The requests of a connection that is lost give back their room, those that waited too."""
    connected.protocol.data_received(GET + POST % LARGE + b"a" * (LARGE - 1))
    await connected.turns()
    assert (len(connected.served), connected.limits.bodies.held) == (1, LARGE - 1)
    connected.protocol.connection_lost(None)
    assert connected.limits.bodies.held == 0


async def test_a_body_in_single_octets(connected: Connected):
    """It is put together in one buffer."""
    octets = bytes(range(256)) * 2
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"".join(b"1\r\n" + octets[at : at + 1] + b"\r\n" for at in range(len(octets)))
    connected.protocol.data_received(head + chunks + b"0\r\n\r\n")
    await connected.turns()
    (request,) = connected.served
    assert (request.complete, request.body, type(request.body)) == (True, octets, bytes)
