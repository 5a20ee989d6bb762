"""The load generator: a process that calls with fixed concurrency, bytes in, bytes out.

    python -m bench.load

Closed loop: each of a connection's workers has one call under way at any time, and starts the next as soon as
the reply is there. With a rate, calls begin at fixed times instead, as long as a worker is free; one that has
to wait for a worker counts from when it should have begun. Requests are made beforehand and replies are not
parsed, so that every case costs the generator the same.

Orders come as JSON lines on standard input, and reports leave as JSON lines on standard output:

    {"order": "prepare", "case": NAME, "address": HOST:PORT, "private_key": PATH, "certificate": PATH,
     "authority": PATH, "method": "/package.Service/Method", "requests": [BASE64, ...], "channels": N,
     "kind": KIND, "target": URL, "watcher": {"private_key": PATH, "certificate": PATH}}
    {"order": "run", "case": NAME, "warm_up": SECONDS, "seconds": SECONDS, "calls_per_channel": N, "rate": N}

``prepare`` is answered by {"report": "prepared"}. ``run`` is answered by {"report": "started"} when the
warm-up is over, {"report": "stopped"} when the window closes, and then by the {"report": "result"} of
`_Window.result`. The process ends with its standard input.
"""

import asyncio
import base64
import itertools
import json
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvloop

from bench.connections import (
    Address,
    CallError,
    Connection,
    DpopConnection,
    GrpcConnection,
    Kind,
    RevocationConnection,
)
from bench.https import HttpsConnection

SAMPLES = 4
"""Replies handed back from each window, to be parsed and verified outside of it."""


@dataclass(slots=True)
class _Window:
    """What happens between the start and the end of one measurement. Latencies are nanoseconds."""

    closed: bool = False
    latencies: list[int] = field(default_factory=list)
    replies: deque[bytes] = field(default_factory=lambda: deque(maxlen=SAMPLES))
    failures: Counter[str] = field(default_factory=Counter)

    def result(self, *, calls: int, seconds: float, cpu_seconds: float) -> dict[str, Any]:
        return {
            "report": "result",
            "calls": calls,
            "seconds": seconds,
            "cpu_seconds": cpu_seconds,
            "latencies_us": [nanoseconds // 1000 for nanoseconds in self.latencies[:calls]],
            "failures": dict(self.failures),
            "replies": [base64.b64encode(reply).decode() for reply in self.replies],
        }


@dataclass(frozen=True, slots=True)
class _Case:
    """One prepared case: its connections, and its requests in an endless round."""

    connections: tuple[Connection, ...]
    requests: Iterator[bytes]


class Generator:
    """Keeps the connections of every case and runs one window at a time."""

    def __init__(self) -> None:
        self._cases: dict[str, _Case] = {}

    async def obey(self, order: dict[str, Any]) -> None:
        """Carry out one order and report."""
        if order["order"] == "prepare":
            self._cases[order["case"]] = _prepare(order)
            _report({"report": "prepared"})
        else:
            await _run(self._cases[order["case"]], order)


def _prepare(order: dict[str, Any]) -> _Case:
    connections = tuple(_connection(order) for _ in range(order["channels"]))
    requests = tuple(base64.b64decode(request) for request in order["requests"])
    return _Case(connections, itertools.cycle(requests))


def _connection(order: dict[str, Any]) -> Connection:
    address = _address(order, order)
    match Kind(order["kind"]):
        case Kind.GRPC:
            return GrpcConnection(address)
        case Kind.DPOP:
            return DpopConnection(address, order["target"])
        case Kind.HTTPS:
            return HttpsConnection(address)
        case Kind.REVOCATIONS:
            return RevocationConnection(address, _address(order, order["watcher"]))


def _address(order: dict[str, Any], identity: dict[str, Any]) -> Address:
    files = (order["authority"], identity["private_key"], identity["certificate"])
    return Address(order["address"], order["method"], *map(Path, files))


async def _run(case: _Case, order: dict[str, Any]) -> None:
    window, workers = _Window(), order["calls_per_channel"]
    for connection in case.connections:
        await connection.open(workers, order["warm_up"] + order["seconds"])
    begins = _times(order["rate"]) if order["rate"] else None
    async with asyncio.TaskGroup() as group:
        for connection in case.connections:
            for _ in range(workers):
                group.create_task(_call_until_closed(connection, case.requests, window, begins))
        await asyncio.sleep(order["warm_up"])
        window.latencies.clear()
        _report({"report": "started"})
        started, cpu_started = time.perf_counter(), time.process_time()
        await asyncio.sleep(order["seconds"])
        calls = len(window.latencies)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        _report({"report": "stopped"})
        window.closed = True
    for connection in case.connections:
        await connection.close()
    _report(window.result(calls=calls, seconds=seconds, cpu_seconds=cpu_seconds))


def _times(rate: float) -> Iterator[int]:
    """When calls begin, *rate* a second from now on; nanoseconds of `time.perf_counter_ns`."""
    return itertools.count(time.perf_counter_ns(), int(1e9 / rate))


async def _call_until_closed(
    connection: Connection, requests: Iterator[bytes], window: _Window, begins: Iterator[int] | None
) -> None:
    now = time.perf_counter_ns
    while not window.closed:
        started = now() if begins is None else await _begun(next(begins))
        try:
            reply = await connection.call(next(requests))
        except CallError as error:
            window.failures[str(error)] += 1
            return  # A case with failures is not measured at all; do not hammer a server that refuses.
        window.latencies.append(now() - started)
        window.replies.append(reply)


async def _begun(due: int) -> int:
    """Wait until *due*; when the call begins: now, or where that is past, when it should have begun."""
    ahead = due - time.perf_counter_ns()
    if ahead <= 0:
        return due
    await asyncio.sleep(ahead / 1e9)
    return time.perf_counter_ns()


def _report(report: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Obey orders until standard input ends."""
    generator = Generator()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            runner.run(generator.obey(json.loads(line)))


if __name__ == "__main__":
    main()
