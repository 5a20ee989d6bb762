"""Attacks before and with the TLS handshake."""

import ssl
from typing import Final

from tests.support.bad_clients import Attack, Door, DoorKind, Struck, ended, hold

_BOTH: Final = (DoorKind.GRPC, DoorKind.HTTPS)


async def silent(door: Door, struck: Struck) -> None:
    """Connect and say nothing."""
    reader, writer = await door.plain()
    async with ended(writer):
        struck()
        await hold(reader)


async def abandoned(door: Door, struck: Struck) -> None:
    """Send a ClientHello and leave."""
    _, writer = await door.plain()
    async with ended(writer):
        writer.write(_client_hello(door))
        await writer.drain()
        struck()


async def stalled(door: Door, struck: Struck) -> None:
    """Send a ClientHello and then nothing more."""
    reader, writer = await door.plain()
    async with ended(writer):
        writer.write(_client_hello(door))
        struck()
        await hold(reader)


async def handshake(door: Door, struck: Struck) -> None:
    """A whole handshake, and no request."""
    _, writer = await door.secure()
    async with ended(writer):
        struck()


def _client_hello(door: Door) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        door.tls.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    except ssl.SSLWantReadError:
        return outgoing.read()
    raise AssertionError("a handshake takes two")


ATTACKS: Final = (
    Attack("silent", "TCP without a ClientHello", _BOTH, silent, 400),
    Attack("abandoned", "handshakes that are abandoned", _BOTH, abandoned, 16),
    Attack("stalled", "handshakes that stall", _BOTH, stalled, 400),
    Attack("handshakes", "a flood of handshakes", _BOTH, handshake, 16),
)
