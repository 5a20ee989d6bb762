"""One connection, octet by octet: where a reply ends, and what is none."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from signers.remote.connection import MAX_HEAD, Connection, ReplyError, connect
from tests.support.softhsm import eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@asynccontextmanager
async def connected(*answers, close=False):
    """A connection to a server that answers each request with the next of *answers*, part by part."""
    left = list(answers)

    async def serve(reader, writer):
        while left and await reader.read(65536):
            answer = left.pop(0)
            for part in [answer] if isinstance(answer, bytes) else answer:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0)
        if close:
            writer.close()
        else:
            await reader.read()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    connection = await connect("127.0.0.1", server.sockets[0].getsockname()[1], None)
    try:
        yield connection
    finally:
        connection.close()
        server.close()


async def exchange(connection: Connection):
    async with asyncio.timeout(5):
        return await connection.exchange(b"GET / HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    "answer",
    [
        OK,
        [OK[at : at + 1] for at in range(len(OK))],
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\no\r\n1\r\nk\r\n0\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK,
        [b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n", OK],
    ],
    ids=["whole", "octet by octet", "chunked", "continue", "hints"],
)
async def test_replies(answer):
    """A reply is read to its own end, however it arrives, and the connection may be used again."""
    async with connected(answer, OK) as connection:
        for _ in range(2):
            reply = await exchange(connection)
            assert (reply.status, reply.body, "link" in reply.headers) == (200, b"ok", False)
        assert connection.is_usable


async def test_fields_that_come_again():
    """Fields of one name are joined in their order, whatever the case of the name."""
    async with connected(b"HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nContent-Length: 0\r\n\r\n") as connection:
        assert (await exchange(connection)).headers["a"] == "1, 2"


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"x",
        OK + OK,
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nokk",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: a\r\nConnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"a" * (MAX_HEAD + 1),
        b"SSH-2.0-OpenSSH_9.2\r\n",
    ],
    ids=["more", "two replies", "two lengths", "two framings", "upgrade", "long head", "no HTTP"],
)
async def test_what_is_no_reply(answer):
    """What cannot be one whole reply is refused, and the connection is not used again."""
    async with connected(answer, OK) as connection:
        with pytest.raises(ReplyError):
            await exchange(connection)
        assert not connection.is_usable


@pytest.mark.parametrize("answer", [b"", OK[:-1], b"HTTP/1.1 200 OK\r\n\r\nuntil the end"], ids=range(3))
async def test_connections_that_end_early(answer):
    """A reply that the end of the connection cuts off, or would have to end, is none."""
    async with connected(answer, close=True) as connection:
        with pytest.raises(ReplyError):
            await exchange(connection)
        assert not connection.is_usable


async def test_unasked_data_is_no_reply_to_the_next_request():
    """What a service sends of its own accord, as a 408 before it closes, closes the connection."""
    late = asyncio.Event()

    async def serve(reader, writer):
        await reader.read(65536)
        writer.write(OK)
        await late.wait()
        writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    connection = await connect("127.0.0.1", server.sockets[0].getsockname()[1], None)
    assert (await exchange(connection)).status == 200
    late.set()
    await eventually(lambda: not connection.is_usable)
    with pytest.raises(ReplyError):
        await exchange(connection)
    server.close()


async def test_connection_close_is_heeded():
    """A service that says it closes is not asked again on that connection."""
    answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    async with connected(answer, OK) as connection:
        assert (await exchange(connection)).body == b"ok"
        assert not connection.is_usable


async def test_exchange_given_up():
    """After an exchange that its caller gave up, the late reply is nobody's."""
    async with connected([b"HTTP/1.1 200 OK\r\n"]) as connection:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connection.exchange(b"GET / HTTP/1.1\r\n\r\n")
        assert not connection.is_usable
