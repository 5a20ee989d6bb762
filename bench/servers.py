"""Starts the servers that are measured, and reads what they use."""

import asyncio
import contextlib
import os
import socket
import ssl
import time
import urllib.request
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import grpc
import psutil

from bench.certificates import Identity

READY_TIMEOUT = 90.0
"""Seconds that a server gets to answer its first call."""

STOP_TIMEOUT = 30.0
"""Seconds that a server gets to end after SIGTERM."""

_LOG_TAIL = 2_000


class ServerError(Exception):
    """A server did not start, or ended early; the message ends with the last lines of its log."""


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Readiness(Protocol):
    """What a server must answer before it counts as ready."""

    async def is_answered(self, address: str, identity: Identity) -> bool:
        """Ask once, within about a second."""
        ...


@dataclass(frozen=True, slots=True)
class GrpcReadiness:
    """A call, and its reply."""

    method: str
    reply: bytes

    async def is_answered(self, address: str, identity: Identity) -> bool:
        """Ask once."""
        async with channel(address, identity) as connection:
            with contextlib.suppress(grpc.aio.AioRpcError):
                reply: bytes = await connection.unary_unary(self.method)(b"", timeout=1)
                return reply == self.reply
        return False


@dataclass(frozen=True, slots=True)
class HttpsReadiness:
    """A path that is answered with 200."""

    path: str

    async def is_answered(self, address: str, identity: Identity) -> bool:
        """Ask once."""
        with contextlib.suppress(OSError):
            await asyncio.to_thread(fetch, f"https://{address}{self.path}", identity.authority)
            return True
        return False


def fetch(url: str, authority: Path) -> bytes:
    """What *url* answers with 200. Blocks. Raises `OSError` for everything else."""
    tls = ssl.create_default_context(cafile=str(authority))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=tls)
    )
    with opener.open(url, timeout=1) as response:
        body: bytes = response.read()
        return body


@dataclass(slots=True)
class Server:
    """One server: the processes of `commands` and all that they start. `address` is where gRPC calls go, and
    `https_address` where HTTPS ones do, empty where there are none.

    `ready_seconds` is the time from the start of the first process to its first good reply.
    """

    name: str
    address: str
    commands: Sequence[Sequence[str]]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    https_address: str = ""
    ready_seconds: float = 0.0
    _processes: list[asyncio.subprocess.Process] = field(default_factory=list)

    async def start(self, readiness: Readiness, identity: Identity) -> None:
        """Start, and return when the server answers. Raises `ServerError`."""
        started = time.perf_counter()
        with self.log.open("ab") as log:
            for command in self.commands:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **self.environment},
                )
                self._processes.append(process)
        try:
            async with asyncio.timeout(READY_TIMEOUT):
                await self._answer(readiness, identity)
        except TimeoutError as error:
            raise self._error(f"was not ready in {READY_TIMEOUT:.0f} s") from error
        self.ready_seconds = time.perf_counter() - started

    async def stop(self) -> None:
        """End it with SIGTERM, and with SIGKILL what does not obey in time."""
        for process in self._processes:
            if process.returncode is None:
                process.terminate()
        for process in self._processes:
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
            except TimeoutError:
                process.kill()
                await process.wait()

    def cpu_seconds(self) -> float:
        """User and system time of all processes so far. Raises `ServerError` if one has ended."""
        times = [process.cpu_times() for process in self.processes()]
        return float(sum(each.user + each.system for each in times))

    def rest_bytes(self) -> list[int]:
        """Resident memory of each process now, largest first."""
        return sorted((process.memory_info().rss for process in self.processes()), reverse=True)

    def peak_bytes(self) -> list[int]:
        """The most resident memory that each process ever had, largest first (Linux; elsewhere as of now)."""
        return sorted((_peak_bytes(process) for process in self.processes()), reverse=True)

    def processes(self) -> list[psutil.Process]:
        """All of them, children included. Raises `ServerError` if one that was started has ended."""
        tree = []
        for process in self._processes:
            if process.returncode is not None:
                raise self._error(f"ended with {process.returncode}")
            try:
                root = psutil.Process(process.pid)
                tree += [root, *root.children(recursive=True)]
            except psutil.NoSuchProcess as error:
                raise self._error("ended") from error
        return tree

    async def _answer(self, readiness: Readiness, identity: Identity) -> None:
        while True:
            for process in self._processes:
                if process.returncode is not None:
                    raise self._error(f"ended with {process.returncode}")
            if await readiness.is_answered(self.address or self.https_address, identity):
                return
            await asyncio.sleep(0.02)

    def _error(self, what: str) -> ServerError:
        tail = self.log.read_text(errors="replace")[-_LOG_TAIL:] if self.log.exists() else ""
        return ServerError(f"{self.name} {what}. Its log ends with:\n{tail}")


def channel(address: str, identity: Identity) -> grpc.aio.Channel:
    """A connection of its own to *address*, with the certificate of *identity*."""
    credentials = grpc.ssl_channel_credentials(
        root_certificates=identity.authority.read_bytes(),
        private_key=identity.private_key.read_bytes(),
        certificate_chain=identity.certificate.read_bytes(),
    )
    return grpc.aio.secure_channel(address, credentials, (("grpc.use_local_subchannel_pool", 1),))


def _peak_bytes(process: psutil.Process) -> int:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    rss: int = process.memory_info().rss
    return rss
