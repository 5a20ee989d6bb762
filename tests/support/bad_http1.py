"""Attacks with HTTP/1.1, on the HTTPS listener."""

import asyncio
from collections.abc import Iterator
from typing import Final, cast

from tests.support.bad_clients import Attack, Door, DoorKind, Struck, ended, hold

_HOST: Final = b"Host: localhost\r\n"
_GET: Final = b"GET /oauth2/jwks HTTP/1.1\r\n" + _HOST + b"\r\n"
_POST: Final = (
    b"POST /oauth2/token HTTP/1.1\r\n" + _HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
)
_PAUSE: Final = 0.2
"""Seconds between two octets of who sends slowly."""


async def slow_head(door: Door, struck: Struck) -> None:
    """A head, octet by octet."""
    await _slowly(door, struck, b"", b"GET /oauth2/jwks HTTP/1.1\r\n" + _HOST + b"X-Slow: " + b"a" * 10_000)


async def slow_body(door: Door, struck: Struck) -> None:
    """A body, octet by octet."""
    await _slowly(door, struck, _POST + b"Content-Length: 60000\r\n\r\n", b"a" * 60_000)


async def _slowly(door: Door, struck: Struck, at_once: bytes, slowly: bytes) -> None:
    reader, writer = await door.secure()
    async with ended(writer):
        ending = asyncio.create_task(hold(reader))
        try:
            writer.write(at_once)
            for octet in slowly:
                writer.write(bytes((octet,)))
                await writer.drain()
                struck()
                await asyncio.sleep(_PAUSE)
                if ending.done():
                    return
        finally:
            ending.cancel()


async def slow_reader(door: Door, struck: Struck) -> None:
    """Requests one after the other, whose responses are not read."""
    _, writer = await door.secure()
    async with ended(writer):
        cast("asyncio.Transport", writer.transport).pause_reading()
        while not writer.transport.is_closing():
            writer.write(_GET)
            struck()
            await writer.drain()
            await asyncio.sleep(0.001)


async def pipelined(door: Door, struck: Struck) -> None:
    """A thousand requests at once."""
    reader, writer = await door.secure()
    async with ended(writer):
        writer.write(_GET * 1_000)
        struck(1_000)
        await hold(reader)


async def chunk_extensions(door: Door, struck: Struck) -> None:
    """A body of single octets, each with a kilobyte about it (RFC 9112 §7.1.1)."""
    chunks = (b"1;" + b"a" * 1_000 + b"\r\na\r\n") * 64

    def parts() -> Iterator[bytes]:
        while True:
            yield chunks

    await _flood(door, struck, _POST + b"Transfer-Encoding: chunked\r\n\r\n", parts())


async def endless_trailers(door: Door, struck: Struck) -> None:
    """Trailers without end."""
    trailers = (b"x-trailer: " + b"a" * 1_000 + b"\r\n") * 64

    def parts() -> Iterator[bytes]:
        while True:
            yield trailers

    await _flood(door, struck, _POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", parts())


async def _flood(door: Door, struck: Struck, head: bytes, parts: Iterator[bytes]) -> None:
    reader, writer = await door.secure()
    async with ended(writer):
        ending = asyncio.create_task(hold(reader))
        try:
            writer.write(head)
            for part in parts:
                writer.write(part)
                struck()
                await writer.drain()
                await asyncio.sleep(struck.pause)
                if ending.done():
                    return
        finally:
            ending.cancel()


async def idle(door: Door, struck: Struck) -> None:
    """One request, and then none for as long as the gateway bears it."""
    reader, writer = await door.secure()
    async with ended(writer):
        writer.write(_GET)
        struck()
        await hold(reader)


_HTTPS: Final = (DoorKind.HTTPS,)

ATTACKS: Final = (
    Attack("slow_head", "heads octet by octet", _HTTPS, slow_head, 200),
    Attack("slow_body", "bodies octet by octet", _HTTPS, slow_body, 200),
    Attack("slow_https_reader", "responses that are not read", _HTTPS, slow_reader, 20),
    Attack("pipelined", "requests by the thousand at once", _HTTPS, pipelined, 4),
    Attack("chunk_extensions", "chunk extensions", _HTTPS, chunk_extensions, 4),
    Attack("endless_trailers", "trailers without end", _HTTPS, endless_trailers, 4),
    Attack("idle", "idle connections", _HTTPS, idle, 400),
)
