"""Clients that mean harm, or behave as if: what each does, over and over, until it is stopped.

An attack is made of blows: one connection each, most of which last until the gateway ends them. Who runs an
attack keeps *parallel* blows under way. Nothing here needs more of the gateway than a port.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, TypeAlias

ATTACKER: Final = "127.0.0.2"
"""The address that attacks come from if nothing else is said: limits are for each address, and others have
another one.
"""


class DoorKind(StrEnum):
    """Which listener an attack is for."""

    GRPC = "grpc"
    HTTPS = "https"
    GRPC_MTLS = "grpc_mtls"


@dataclass(frozen=True, slots=True)
class Door:
    """One listener on 127.0.0.1, and the attacker's TLS: with a certificate only where that is demanded.

    *source*: the attacker's address.
    """

    port: int
    tls: ssl.SSLContext
    source: str = ATTACKER

    @classmethod
    def of(
        cls,
        kind: DoorKind,
        port: int,
        authority: Path,
        identity: tuple[Path, Path] | None = None,
        *,
        source: str = ATTACKER,
    ) -> "Door":
        """*identity*: the certificate and the key, PEM files."""
        context = ssl.create_default_context(cafile=str(authority))
        context.set_alpn_protocols(["http/1.1" if kind is DoorKind.HTTPS else "h2"])
        if identity is not None:
            context.load_cert_chain(*identity)
        return cls(port, context, source)

    async def plain(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TCP connection."""
        return await asyncio.open_connection("127.0.0.1", self.port, local_addr=(self.source, 0))

    async def secure(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A TLS connection."""
        return await asyncio.open_connection(
            "127.0.0.1",
            self.port,
            ssl=self.tls,
            server_hostname="localhost",
            local_addr=(self.source, 0),
            limit=2**20,
        )


Blow: TypeAlias = Callable[[Door, "Struck"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Attack:
    """*parallel* blows at a time against the doors of *kinds*."""

    name: str
    title: str
    kinds: Sequence[DoorKind]
    blow: Blow
    parallel: int


class Struck:
    """Counts what an attack has done so far: connections, frames, requests, as it sees fit.

    *pause*: seconds between two bursts of an attack that would else go on as fast as it can.
    """

    def __init__(self, pause: float = 0.0) -> None:
        self.count = 0
        self.pause = pause
        self._goal = 0
        self._reached = asyncio.Event()

    def __call__(self, times: int = 1) -> None:
        self.count += times
        if self.count >= self._goal:
            self._reached.set()

    async def reached(self, goal: int) -> None:
        """Wait until *goal* is done."""
        self._goal = goal
        if self.count < goal:
            self._reached.clear()
            await self._reached.wait()


@asynccontextmanager
async def attacking(attack: Attack, door: Door, *, pause: float = 0.0) -> AsyncIterator[Struck]:
    """*attack* goes on until the end of the block. *pause* as in `Struck`."""
    struck = Struck(pause)
    tasks = [asyncio.create_task(_again(attack.blow, door, struck)) for _ in range(attack.parallel)]
    try:
        yield struck
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        for error in ended:
            if isinstance(error, Exception):
                raise error


async def _again(blow: Blow, door: Door, struck: Struck) -> None:
    while True:
        with suppress(OSError, asyncio.IncompleteReadError):  # The gateway defends itself.
            await blow(door, struck)
        await asyncio.sleep(struck.pause)


@asynccontextmanager
async def ended(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    """The connection of *writer* is cut at the end of the block, without a word."""
    try:
        yield
    finally:
        writer.transport.abort()


async def hold(reader: asyncio.StreamReader) -> None:
    """Read until the other side ends."""
    while await reader.read(2**16):
        pass
