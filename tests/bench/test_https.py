"""The HTTPS side of the load generator, against a server that answers as it is told."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from bench.certificates import CLIENT, SERVER, Authority
from bench.connections import Address, CallError
from bench.https import HttpsConnection

REQUEST = b"POST /token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\ncontent-length: 5\r\n\r\nhello"


@asynccontextmanager
async def connected(folder, *parts: bytes) -> AsyncIterator[HttpsConnection]:
    """A connection to a server that answers each request with *parts*, one write for each; none ends it."""
    authority = Authority(folder)
    identity, client = authority.issue(SERVER), authority.issue(CLIENT)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(identity.certificate, identity.private_key)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                for part in parts:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                if not parts:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        files = (client.authority, client.private_key, client.certificate)
        connection = HttpsConnection(Address(f"localhost:{port}", "/token", *files))
        await connection.open(2, 1.0)
        try:
            yield connection
        finally:
            await connection.close()


@pytest.mark.parametrize("parts", [(OK,), (OK[:30], OK[30:-2], OK[-2:])])
async def test_a_body_is_framed_by_its_length(tmp_path, parts):
    """However the octets arrive, the body of each response is the reply of its request."""
    async with connected(tmp_path, *parts) as connection:
        assert [await connection.call(REQUEST) for _ in range(3)] == [b"hello"] * 3


async def test_two_calls_are_under_way_at_once(tmp_path):
    """Each call has a connection of its own."""
    async with connected(tmp_path, OK) as connection:
        assert await asyncio.gather(*(connection.call(REQUEST) for _ in range(2))) == [b"hello"] * 2


FAULTS = {
    "another status": (OK.replace(b"200 OK", b"400 No"), "400 No.*hello"),
    "no length": (OK.replace(b"content-length: 5", b"x: y"), "how long"),
    "the end": (None, "closed"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_call_that_fails(tmp_path, fault):
    """What is no good response is a failure that says what came."""
    part, message = FAULTS[fault]
    async with connected(tmp_path, *([] if part is None else [part])) as connection:
        with pytest.raises(CallError, match=message):
            await connection.call(REQUEST)
