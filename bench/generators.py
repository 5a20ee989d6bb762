"""Starts load generators and gives them orders, all at once."""

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from bench.certificates import Identity
from bench.connections import Kind

REPORT_TIMEOUT = 60.0
"""Seconds that a generator gets beyond the time of its window."""

_MAX_REPORT_BYTES = 64 * 1024 * 1024


class GeneratorError(Exception):
    """A generator died, or calls failed; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Load:
    """How hard to call. Times are seconds; each of `generators` opens `channels` connections per case.

    *rate*: calls per second of each generator; 0 for as many as are answered.
    """

    generators: int
    channels: int
    calls_per_channel: int
    warm_up: float
    seconds: float
    rate: float = 0.0

    @property
    def concurrency(self) -> int:
        """Calls under way at any time."""
        return self.generators * self.channels * self.calls_per_channel


@dataclass(frozen=True, slots=True)
class Window:
    """One measurement, summed over the generators. Latencies are microseconds, sorted."""

    calls: int
    seconds: float
    generator_cpu_seconds: float
    latencies_us: tuple[int, ...]
    replies: tuple[bytes, ...]


class Generators:
    """The generator processes of one run; an async context manager that ends them."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._processes: list[asyncio.subprocess.Process] = []

    async def __aenter__(self) -> Self:
        for _ in range(self._load.generators):
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bench.load",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=_MAX_REPORT_BYTES,
            )
            self._processes.append(process)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for process in self._processes:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def prepare(
        self,
        case: str,
        *,
        address: str,
        identity: Identity,
        method: str,
        requests: Sequence[bytes],
        kind: Kind = Kind.GRPC,
        target: str = "",
        watcher: Identity | None = None,
    ) -> None:
        """Make the connections of *case*; *requests* are sent in turn, over and over.

        *target*: of the DPoP proofs; *watcher*: who watches revocations; both by *kind*.
        """
        await self._order(
            {
                "order": "prepare",
                "case": case,
                "address": address,
                "private_key": str(identity.private_key),
                "certificate": str(identity.certificate),
                "authority": str(identity.authority),
                "method": method,
                "requests": [base64.b64encode(request).decode() for request in requests],
                "channels": self._load.channels,
                "kind": kind,
                "target": target,
                "watcher": {
                    "private_key": str((watcher or identity).private_key),
                    "certificate": str((watcher or identity).certificate),
                },
            }
        )
        await self._await_all("prepared")

    async def run(self, case: str, on_start: Callable[[], None], on_stop: Callable[[], None]) -> Window:
        """Measure one window of *case*. The callbacks mark its start and end, to read CPU clocks at.

        Raises `GeneratorError` where any call failed.
        """
        load = self._load
        await self._order(
            {
                "order": "run",
                "case": case,
                "warm_up": load.warm_up,
                "seconds": load.seconds,
                "calls_per_channel": load.calls_per_channel,
                "rate": load.rate,
            }
        )
        await self._await_all("started")
        on_start()
        await self._await_all("stopped")
        on_stop()
        return _merge(case, await self._await_all("result"))

    async def _order(self, order: dict[str, Any]) -> None:
        line = json.dumps(order).encode() + b"\n"
        for process in self._processes:
            if process.stdin is None:
                raise GeneratorError("A generator has no standard input.")
            process.stdin.write(line)
            await process.stdin.drain()

    async def _await_all(self, report: str) -> list[dict[str, Any]]:
        reading: list[Awaitable[dict[str, Any]]] = [
            self._read(process, report) for process in self._processes
        ]
        return list(await asyncio.gather(*reading))

    async def _read(self, process: asyncio.subprocess.Process, report: str) -> dict[str, Any]:
        if process.stdout is None:
            raise GeneratorError("A generator has no standard output.")
        patience = REPORT_TIMEOUT + self._load.warm_up + self._load.seconds
        try:
            line = await asyncio.wait_for(process.stdout.readline(), patience)
        except TimeoutError as error:
            raise GeneratorError(f"A generator did not report {report!r} in {patience:.0f} s.") from error
        if not line:
            raise GeneratorError(f"A generator ended before it reported {report!r}.")
        message: dict[str, Any] = json.loads(line)
        if message["report"] != report:
            raise GeneratorError(f"A generator reported {message['report']!r} instead of {report!r}.")
        return message


def _merge(case: str, results: Sequence[dict[str, Any]]) -> Window:
    failures = [f"{count} x {failure}" for result in results for failure, count in result["failures"].items()]
    if failures:
        raise GeneratorError(f"{case}: calls failed: {'; '.join(failures)}")
    if not all(result["calls"] for result in results):
        raise GeneratorError(f"{case}: no call ended within the window; make it longer.")
    return Window(
        calls=sum(result["calls"] for result in results),
        seconds=sum(result["seconds"] for result in results) / len(results),
        generator_cpu_seconds=sum(result["cpu_seconds"] for result in results),
        latencies_us=tuple(sorted(latency for result in results for latency in result["latencies_us"])),
        replies=tuple(base64.b64decode(reply) for result in results for reply in result["replies"]),
    )
