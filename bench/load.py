"""The load generator: a process that calls with fixed concurrency, bytes in, bytes out.

    python -m bench.load

Closed loop: each of a channel's workers has one call under way at any time, and starts the next as soon as
the reply is there. Requests are made beforehand and replies are not parsed, so that every case costs the
generator the same.

Orders come as JSON lines on standard input, and reports leave as JSON lines on standard output:

    {"order": "prepare", "case": NAME, "address": HOST:PORT, "private_key": PATH, "certificate": PATH,
     "authority": PATH, "method": "/package.Service/Method", "requests": [BASE64, ...], "channels": N}
    {"order": "run", "case": NAME, "warm_up": SECONDS, "seconds": SECONDS, "calls_per_channel": N}

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

import grpc
import uvloop

CALL_TIMEOUT = 20.0
"""Seconds that one call may take; one that takes longer is a failure."""

SAMPLES = 4
"""Replies handed back from each window, to be parsed and verified outside of it."""

MAX_MESSAGE_BYTES = 4 * 1024 * 1024


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
    """One prepared case: a call on each channel, and its requests in an endless round."""

    channels: tuple[grpc.aio.Channel, ...]
    calls: tuple[Any, ...]  # grpc.aio.UnaryUnaryMultiCallable, which is generic in stubs only.
    requests: Iterator[bytes]


class Generator:
    """Keeps the channels of every case and runs one window at a time."""

    def __init__(self) -> None:
        self._cases: dict[str, _Case] = {}

    async def obey(self, order: dict[str, Any]) -> None:
        """Carry out one order and report."""
        if order["order"] == "prepare":
            self._cases[order["case"]] = _prepare(order)
            _report({"report": "prepared"})
        else:
            await _run(self._cases[order["case"]], order)

    async def close(self) -> None:
        for case in self._cases.values():
            for channel in case.channels:
                await channel.close()


def _prepare(order: dict[str, Any]) -> _Case:
    credentials = grpc.ssl_channel_credentials(
        root_certificates=Path(order["authority"]).read_bytes(),
        private_key=Path(order["private_key"]).read_bytes(),
        certificate_chain=Path(order["certificate"]).read_bytes(),
    )
    options = (
        # Without it all channels to one address share one connection.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    )
    channels = tuple(
        grpc.aio.secure_channel(order["address"], credentials, options) for _ in range(order["channels"])
    )
    calls = tuple(channel.unary_unary(order["method"]) for channel in channels)
    requests = tuple(base64.b64decode(request) for request in order["requests"])
    return _Case(channels, calls, itertools.cycle(requests))


async def _run(case: _Case, order: dict[str, Any]) -> None:
    window = _Window()
    async with asyncio.TaskGroup() as group:
        for call in case.calls:
            for _ in range(order["calls_per_channel"]):
                group.create_task(_call_until_closed(call, case.requests, window))
        await asyncio.sleep(order["warm_up"])
        window.latencies.clear()
        _report({"report": "started"})
        started, cpu_started = time.perf_counter(), time.process_time()
        await asyncio.sleep(order["seconds"])
        calls = len(window.latencies)
        seconds, cpu_seconds = time.perf_counter() - started, time.process_time() - cpu_started
        _report({"report": "stopped"})
        window.closed = True
    _report(window.result(calls=calls, seconds=seconds, cpu_seconds=cpu_seconds))


async def _call_until_closed(call: Any, requests: Iterator[bytes], window: _Window) -> None:
    now = time.perf_counter_ns
    while not window.closed:
        started = now()
        try:
            reply = await call(next(requests), timeout=CALL_TIMEOUT)
        except grpc.aio.AioRpcError as error:
            window.failures[f"{error.code().name}: {error.details()}"] += 1
            return  # A case with failures is not measured at all; do not hammer a server that refuses.
        window.latencies.append(now() - started)
        window.replies.append(reply)


def _report(report: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(report) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Obey orders until standard input ends."""
    generator = Generator()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        for line in sys.stdin:
            runner.run(generator.obey(json.loads(line)))
        runner.run(generator.close())


if __name__ == "__main__":
    main()
