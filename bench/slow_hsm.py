"""BatchMintTokens by one worker whose key is in an HSM behind a network, simulated: 5 ms for each signature.

    python -m bench.slow_hsm [--seconds N] [--rounds N] [--calls N] [--in-process] [--soak N]

The HSM is a PKCS#11 module (tests/support/slow_hsm.c) that makes 32 signatures at once, and takes 5 ms for
each, so that no more than 6,400 a second are possible. The tokens of some replies are verified.
With --soak the same load runs for N seconds, and memory is read after every window.
"""

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

from bench import cases, gateways
from bench.certificates import ADMIN, CLIENT, RESOURCE, SERVER, Authority
from bench.facts import Facts
from bench.generators import Generators, Load
from bench.report import MIB, Measurement, case_figures
from bench.servers import Server
from signers import Algorithm
from tests.support.slow_hsm import SlowHsm, build

NAME: Final = "slow_hsm_batch_mint_100"
RATIO: Final = "slow_hsm_vs_theoretical"
TARGET: Final = 0.8
NAMES: Final = (NAME,)
CALLS: Final = 10
"""Batches under way: enough that every session has work while replies are on their way."""

_CASE: Final = cases.batch_mint(NAME, "HSM of 5 ms")


@dataclass(frozen=True, slots=True)
class Sample:
    """One window of a soak: its end, tokens per second, and resident MiB of each process, largest first."""

    second: float
    tokens_per_second: float
    rss_mib: Sequence[float]


class Bench:
    """A gateway with that key, and a generator that calls it."""

    def __init__(self, hsm: SlowHsm, server: Server, facts: Facts, generators: Generators) -> None:
        self.hsm = hsm
        self.server = server
        self._facts = facts
        self._generators = generators

    async def window(self) -> Measurement:
        """One window. Raises `ReplyError` where a token does not verify, `GeneratorError`."""
        clock: list[float] = []

        def read_clock() -> None:
            clock.append(self.server.cpu_seconds())

        window = await self._generators.run(NAME, read_clock, read_clock)
        for reply in window.replies:
            _CASE.check(reply, self._facts)
        return Measurement(window, clock[1] - clock[0])


async def measure(
    *, seconds: float, rounds: int, calls: int = CALLS, isolation: bool = True
) -> dict[str, Any]:
    """Figures in the shape of `bench.report.document`: cases, ratios, CPU ratios and targets."""
    load = Load(1, 1, calls, min(0.5, seconds / 2), seconds)
    async with opened(load, isolation=isolation) as bench:
        await bench.window()
        windows = [await bench.window() for _ in range(rounds)]
        possible = bench.hsm.per_second
    rates = [cases.BATCH * each.calls_per_second for each in windows]
    per_cpu = [cases.BATCH * each.window.calls / each.server_cpu_seconds for each in windows]
    return {
        "ratios": {RATIO: round(median(rates) / possible, 3)},
        # What a processor could do, were the device no limit.
        "cpu_ratios": {RATIO: round(median(per_cpu) / possible, 3)},
        "targets": {RATIO: TARGET},
        "cases": {NAME: case_figures(_CASE, windows)},
    }


async def soak(
    *, seconds: float, window: float = 10.0, calls: int = CALLS, isolation: bool = True
) -> list[Sample]:
    """The same load for *seconds*, in windows of *window* seconds, after one that warms up."""
    samples: list[Sample] = []
    load = Load(1, 1, calls, 0.0, window)
    async with opened(load, isolation=isolation) as bench:
        loop = asyncio.get_running_loop()
        await bench.window()
        started = loop.time()
        while loop.time() - started < seconds:
            measured = await bench.window()
            rss = [round(size / MIB, 2) for size in bench.server.rest_bytes()]
            rate = round(cases.BATCH * measured.calls_per_second, 1)
            samples.append(Sample(round(loop.time() - started, 1), rate, rss))
    return samples


@asynccontextmanager
async def opened(load: Load, *, isolation: bool = True) -> AsyncIterator[Bench]:
    """The HSM, a gateway of one worker and a generator, until the end of the block."""
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="countersign-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        hsm = await asyncio.to_thread(build, folder)
        authority = Authority(folder)
        identities = {name: authority.issue(name) for name in (SERVER, ADMIN, CLIENT, RESOURCE)}
        site = gateways.Site(folder, identities, workers=1, access_log=True)
        home = folder / "gateway"
        home.mkdir()
        sections = f"\n[pkcs11]\nsessions = {hsm.engines}\nisolation = {str(isolation).lower()}\n"
        server = gateways.hosted(
            NAME, home, site, Algorithm.ES256, hsm.uri, hsm.environment, sections=sections
        )
        stack.push_async_callback(server.stop)
        await server.start(gateways.READY, identities[CLIENT])
        facts = await gateways.fill(server, identities, tokens=0)
        generators = await stack.enter_async_context(Generators(load))
        await generators.prepare(
            NAME,
            address=server.address,
            identity=identities[CLIENT],
            method=_CASE.method,
            requests=_CASE.requests(facts),
        )
        yield Bench(hsm, server, facts, generators)


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.slow_hsm", description="Measure a slow HSM.")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one window (3)")
    parser.add_argument("--rounds", type=int, default=5, help="windows (5)")
    parser.add_argument("--calls", type=int, default=CALLS, help=f"batches under way ({CALLS})")
    parser.add_argument("--in-process", action="store_true", help="load the module into the worker")
    parser.add_argument("--soak", type=float, default=0.0, help="seconds of a soak instead; 600 are usual")
    options = parser.parse_args()
    isolation = not options.in_process
    if options.soak:
        samples = asyncio.run(soak(seconds=options.soak, calls=options.calls, isolation=isolation))
        found: Any = [asdict(each) for each in samples]
    else:
        found = asyncio.run(
            measure(seconds=options.seconds, rounds=options.rounds, calls=options.calls, isolation=isolation)
        )
    json.dump(found, sys.stdout)
    print()


if __name__ == "__main__":
    main()
