"""A worker under four times the mints that it can do: what is refused, and what introspection takes then.

    python -m bench.overload [--seconds N] [--times N] [--queue-target SECONDS] [--patient]

A first window finds what the worker mints per second with 32 calls under way. The flood then keeps as many
calls under way as the worker mints in *times* its queue target, from connections of 200 calls each. Refused
callers come again at once, against what they are told, unless they are patient. Introspection of a known
token is measured by a process of its own, one call at a time, before the flood and during it. A last window
has a rule that refuses every mint with RATE_LIMITED. Figures are printed as JSON.
"""

import argparse
import asyncio
import base64
import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import grpc
import uvloop
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from bench import cases, gateways
from bench.certificates import ADMIN, CLIENT, RESOURCE, SERVER, Authority, Identity
from bench.facts import Facts
from bench.servers import Server, channel
from signers import Algorithm

MINT: Final = "/countersign.v1.TokenService/MintToken"
INTROSPECT: Final = "/countersign.v1.IntrospectionService/IntrospectToken"
USUAL: Final = 32
"""Calls under way that find what the worker can do."""
PER_CONNECTION: Final = 200
WARM_UP: Final = 1.0
"""Seconds, in which overload is noticed too."""
REFUSED: Final = """
[[rate_limits]]
methods = ["mint"]
anonymous = true
rate = 0.0003
burst = 1

[[rate_limits]]
callers = ["spiffe://bench.example/client"]
methods = ["mint"]
rate = 0.0003
burst = 1
"""


async def call(order: Mapping[str, Any]) -> dict[str, Any]:
    """Keep the *order*'s calls under way for its seconds. How they ended, and how long the good ones took."""
    identity = Identity(*(Path(order[name]) for name in ("private_key", "certificate", "authority")))
    request, patient = base64.b64decode(order["request"]), order["patient"]
    channels = [
        channel(order["address"], identity) for _ in range(math.ceil(order["calls"] / PER_CONNECTION))
    ]
    begin = time.perf_counter() + WARM_UP
    end = begin + order["seconds"]
    latencies: list[float] = []
    ended: Counter[str] = Counter()
    calls = 0

    async def caller(method: grpc.aio.UnaryUnaryMultiCallable) -> None:
        nonlocal calls
        while (started := time.perf_counter()) < end:
            pause, outcome = 0.0, "OK"
            try:
                await method(request, timeout=30)
            except grpc.aio.AioRpcError as error:
                outcome, pause = _told(error)
            calls += 1
            if begin <= started and time.perf_counter() < end:
                ended[outcome] += 1
                if outcome == "OK":
                    latencies.append(time.perf_counter() - started)
            await asyncio.sleep(order["pause"] or (pause if patient else 0.0))

    methods = itertools.cycle([each.unary_unary(order["method"]) for each in channels])
    async with asyncio.TaskGroup() as group:
        for _ in range(order["calls"]):
            group.create_task(caller(next(methods)))
    for each in channels:
        await each.close()
    latencies.sort()
    return {
        "calls": calls,
        "per_second": {name: round(count / order["seconds"], 1) for name, count in sorted(ended.items())},
        **{
            f"p{percent}_ms": round(latencies[len(latencies) * percent // 100] * 1e3, 2)
            for percent in (50, 99)
            if latencies
        },
    }


def _told(error: grpc.aio.AioRpcError) -> tuple[str, float]:
    """The reason, or the code where there is none, and the seconds of RetryInfo."""
    status = rpc_status.from_call(error)
    reason, pause = error.code().name, 0.0
    for detail in () if status is None else status.details:
        info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
        if detail.Unpack(info):
            reason = info.reason
        elif detail.Unpack(retry):
            pause = retry.retry_delay.ToTimedelta().total_seconds()
    return reason, pause


async def apart(order: Mapping[str, Any]) -> dict[str, Any]:
    """`call`, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.overload", "--order", stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    output, _ = await process.communicate(json.dumps(order).encode())
    if process.returncode:
        raise RuntimeError(f"a caller ended with {process.returncode}")
    found: dict[str, Any] = json.loads(output)
    return found


async def metered(server: Server, order: Mapping[str, Any]) -> dict[str, Any]:
    """`apart`, with the processor time that *server* took for each call."""
    before = server.cpu_seconds()
    found = await apart(order)
    return found | {
        "server_cpu_us_per_call": round((server.cpu_seconds() - before) / found["calls"] * 1e6, 1)
    }


@asynccontextmanager
async def opened(
    queue_target: float, further: str = ""
) -> AsyncIterator[tuple[Server, Mapping[str, Identity], Facts]]:
    """A gateway of one worker with a P-256 key in a file, and *further* in its configuration."""
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="countersign-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        authority = Authority(folder)
        identities = {name: authority.issue(name) for name in (SERVER, ADMIN, CLIENT, RESOURCE)}
        site = gateways.Site(folder, identities, workers=1, access_log=True)
        home = folder / "gateway"
        home.mkdir()
        uri = gateways.file_key(home, Algorithm.ES256)
        server = gateways.hosted(
            "overload",
            home,
            site,
            Algorithm.ES256,
            uri,
            {},
            sections=f"\n[limits]\nqueue_target = {queue_target}\n{further}",
        )
        stack.push_async_callback(server.stop)
        await server.start(gateways.READY, identities[CLIENT])
        yield server, identities, await gateways.fill(server, identities, tokens=0 if further else 1)


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All windows in turn."""
    async with opened(options.queue_target) as (server, identities, facts):
        flood, usual, ask = (
            _order(server, identities[CLIENT], MINT, cases.mint_requests(facts)[0], options, calls)
            for calls in (0, USUAL, 1)
        )
        ask = _order(
            server,
            identities[RESOURCE],
            INTROSPECT,
            cases.introspect_requests(facts, slice(0, 1))[0],
            options,
            1,
        ) | {"pause": 0.005}
        capacity = await metered(server, usual)
        alone = await metered(server, ask)
        per_second = capacity["per_second"]["OK"]
        flood["calls"] = int(options.times * per_second * options.queue_target)
        under_flood, during = await asyncio.gather(metered(server, flood), apart(ask))
    async with opened(options.queue_target, REFUSED) as (server, identities, facts):
        request = cases.mint_requests(facts)[0]
        limited = await metered(server, _order(server, identities[CLIENT], MINT, request, options, USUAL))
    return {
        "cpus": os.cpu_count(),
        "mint_alone": capacity,
        "introspect_alone": alone,
        "flood_calls_under_way": flood["calls"],
        "mint_under_flood": under_flood,
        "introspect_under_flood": during,
        "mint_rate_limited": limited,
    }


def _order(
    server: Server, identity: Identity, method: str, request: bytes, options: argparse.Namespace, calls: int
) -> dict[str, Any]:
    return {
        "address": server.address,
        "private_key": str(identity.private_key),
        "certificate": str(identity.certificate),
        "authority": str(identity.authority),
        "method": method,
        "request": base64.b64encode(request).decode(),
        "seconds": options.seconds,
        "calls": calls,
        "patient": options.patient,
        "pause": 0.0,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.overload", description="Measure under overload.")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one window (5)")
    parser.add_argument("--times", type=float, default=4.0, help="flood, as a multiple of what it can do (4)")
    parser.add_argument("--queue-target", type=float, default=0.5, help="limits.queue_target (0.5)")
    parser.add_argument("--patient", action="store_true", help="callers wait as long as they are told")
    parser.add_argument("--order", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.order:
        print(json.dumps(uvloop.run(call(json.loads(sys.stdin.read())))))
    else:
        print(json.dumps(uvloop.run(measure(options)), indent=2))


if __name__ == "__main__":
    main()
