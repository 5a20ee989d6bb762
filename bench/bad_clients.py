"""What bad clients do to the others: latency of well-behaved calls before and during each attack, in one run.

    python -m bench.bad_clients [--seconds N] [--rounds N] [--rate N] [--only ATTACK,...]

One gateway of one worker. Two well-behaved callers call at a fixed rate for all of the run: one mints over
gRPC and mutual TLS, one gets tokens over HTTPS. For each attack: a window without it, a window during it, and
so on in turn. Each attack comes from an address of its own, because what the gateway does to one lasts; the
others call from 127.0.0.1. Exits with 1 where a well-behaved call failed or a 99th percentile more than
doubled.
"""

import argparse
import asyncio
import contextlib
import json
import math
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
from bench.attacker import ATTACKS
from bench.certificates import ADMIN, CLIENT, RESOURCE, SERVER, Authority, Identity
from bench.connections import Kind
from bench.generators import GeneratorError, Generators, Load, Window
from bench.http_messages import token_requests
from bench.report import MIB
from bench.servers import Server
from signers import Algorithm
from tests.support.bad_clients import Attack, DoorKind

ALLOWED: Final = 2.0
"""By how much the 99th percentile of the others may grow."""
_SETTLE: Final = 0.5
"""Seconds that an attack gets to unfold before its window, and to fade after it."""
_RECOVERIES: Final = 10
"""Windows in which calls may still fail because of the attack before."""
_FIRST_SOURCE: Final = 2
"""Of the attackers' addresses in 127.0.0.0/24."""
_MINT: Final = "mint"
_TOKEN: Final = "https_token"


@dataclass(frozen=True, slots=True)
class Row:
    """One attack on one door. Milliseconds of the 99th percentile of both kinds of calls, medians.

    - `ratio`: the larger of the medians of both; `blows`: how often it struck in each window.
    - `failed`: why calls of the others failed during the attack, empty where none did.
    - `cpus`: processors that the gateway kept busy before and during; `rss_mib`: after each window.
    """

    attack: str
    door: str
    title: str
    grpc_before: float
    grpc_during: float
    grpc_ratio: float
    https_before: float
    https_during: float
    https_ratio: float
    ratio: float
    blows: float
    cpus_before: float
    cpus_during: float
    rss_mib: float
    failed: str


class Victim:
    """A gateway and the two callers whose latency is measured."""

    def __init__(
        self, server: Server, identities: dict[str, Identity], grpc_calls: Generators, https_calls: Generators
    ) -> None:
        self.server = server
        self._identities = identities
        self._generators = (grpc_calls, https_calls)

    async def window(self, seconds: float) -> tuple[float, float, float]:
        """The 99th percentiles over gRPC and HTTPS in ms, and the processors that were kept busy.

        Raises `GeneratorError` where a call failed.
        """
        cpu = self.server.cpu_seconds()
        windows = [
            asyncio.ensure_future(generators.run(case, lambda: None, lambda: None))
            for generators, case in zip(self._generators, (_MINT, _TOKEN), strict=True)
        ]
        await asyncio.wait(windows)  # Both, also where one fails: their reports come in turn.
        errors = [error for window in windows if (error := window.exception()) is not None]
        if errors:
            raise errors[0]
        mint, token = [window.result() for window in windows]
        return _p99(mint), _p99(token), (self.server.cpu_seconds() - cpu) / seconds

    @asynccontextmanager
    async def under(self, attack: Attack, kind: DoorKind, source: str) -> AsyncIterator[list[int]]:
        """*attack* goes on from *source* until the end of the block; the list then has how often."""
        port = self.server.https_address if kind is DoorKind.HTTPS else self.server.address
        identity = self._identities[RESOURCE]
        # The gRPC listener without client certificates is not used here: what follows is the same on both.
        files = [] if kind is DoorKind.HTTPS else [str(identity.certificate), str(identity.private_key)]
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bench.attacker", attack.name, kind.value, port.rpartition(":")[2]),
            *(source, str(identity.authority), *files),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,  # uvloop tells of each connection that the gateway cut.
        )
        blows: list[int] = []
        try:
            await asyncio.sleep(_SETTLE)
            yield blows
            output, _ = await asyncio.wait_for(process.communicate(b""), 30)
            blows.append(int(output))
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
            await asyncio.sleep(_SETTLE)


async def _quiet(victim: Victim, seconds: float) -> tuple[float, float, float]:
    """A window without an attack, as soon as the last one is got over. Raises `GeneratorError` if never."""
    for _ in range(_RECOVERIES):
        try:
            return await victim.window(seconds)
        except GeneratorError:
            await asyncio.sleep(_SETTLE)
    return await victim.window(seconds)


async def measure(
    victim: Victim, attack: Attack, kind: DoorKind, source: str, *, seconds: float, rounds: int
) -> Row:
    """One row, of *rounds* windows without and with the attack in turn."""
    before, during, blows = [], [], []
    failed = ""
    for _ in range(rounds):
        quiet = await _quiet(victim, seconds)
        async with victim.under(attack, kind, source) as count:
            try:
                during.append(await victim.window(seconds))
                before.append(quiet)
            except GeneratorError as error:
                failed = str(error)
        blows += count
    if not before:
        before, during = [quiet], [(math.inf, math.inf, math.nan)]
    pairs = list(zip(before, during, strict=True))
    ratios = [median(late[index] / early[index] for early, late in pairs) for index in (0, 1)]

    def middle(windows: Sequence[tuple[float, float, float]], index: int) -> float:
        return round(median(each[index] for each in windows), 2)

    return Row(
        attack=attack.name,
        door=kind.value,
        title=attack.title,
        grpc_before=middle(before, 0),
        grpc_during=middle(during, 0),
        grpc_ratio=round(ratios[0], 2),
        https_before=middle(before, 1),
        https_during=middle(during, 1),
        https_ratio=round(ratios[1], 2),
        ratio=round(max(ratios), 2),
        blows=median(blows),
        cpus_before=middle(before, 2),
        cpus_during=middle(during, 2),
        rss_mib=round(max(victim.server.rest_bytes()) / MIB, 1),
        failed=failed,
    )


@asynccontextmanager
async def opened(load: Load) -> AsyncIterator[Victim]:
    """The gateway and both callers, until the end of the block."""
    async with AsyncExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="countersign-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        authority = Authority(folder)
        identities = {name: authority.issue(name) for name in (SERVER, ADMIN, CLIENT, RESOURCE)}
        site = gateways.Site(folder, identities, workers=1, access_log=True)
        home = folder / "gateway"
        home.mkdir()
        server = gateways.hosted(
            *("bad clients", home, site, Algorithm.ES256, gateways.file_key(home, Algorithm.ES256), {}),
            https=True,
        )
        stack.push_async_callback(server.stop)
        await server.start(gateways.READY, identities[CLIENT])
        facts = await gateways.fill(server, identities, tokens=0)
        grpc_calls = await stack.enter_async_context(Generators(load))
        https_calls = await stack.enter_async_context(Generators(load))
        mint = next(case for case in cases.CASES if case.name == "mint_file_es256")
        await grpc_calls.prepare(
            _MINT,
            address=server.address,
            identity=identities[CLIENT],
            method=mint.method,
            requests=mint.requests(facts),
        )
        await https_calls.prepare(
            _TOKEN,
            address=server.https_address,
            identity=identities[CLIENT],
            method="/oauth2/token",
            requests=token_requests(facts, "/oauth2/token"),
            kind=Kind.HTTPS,
        )
        yield Victim(server, identities, grpc_calls, https_calls)


def _p99(window: Window) -> float:
    latencies = window.latencies_us
    return latencies[min(len(latencies) - 1, len(latencies) * 99 // 100)] / 1000


async def _run(options: argparse.Namespace) -> list[Row]:
    load = Load(1, 1, options.calls, min(0.25, options.seconds / 2), options.seconds, options.rate)
    chosen = [
        (attack, kind)
        for attack in ATTACKS
        if options.only is None or attack.name in options.only
        for kind in attack.kinds
    ]
    rows = []
    async with opened(load) as victim:
        await victim.window(options.seconds)
        for number, (attack, kind) in enumerate(chosen):
            source = f"127.0.0.{_FIRST_SOURCE + number}"
            row = await measure(victim, attack, kind, source, seconds=options.seconds, rounds=options.rounds)
            rows.append(row)
            print(_line(row), flush=True)
    return rows


def _line(row: Row) -> str:
    return (
        f"{row.title:42}{row.door:10}{row.grpc_before:8.2f}{row.grpc_during:8.2f}{row.grpc_ratio:7.2f}"
        f"{row.https_before:8.2f}{row.https_during:8.2f}{row.https_ratio:7.2f}{row.blows:>12,.0f}"
        f"{row.cpus_before:6.2f}{row.cpus_during:6.2f}{row.rss_mib:7.0f}  {row.failed}"
    )


def _heading() -> str:
    return (
        f"{'p99 of others, ms':42}{'door':10}{'gRPC':>8}{'during':>8}{'ratio':>7}{'HTTPS':>8}{'during':>8}"
        f"{'ratio':>7}{'blows':>12}{'CPUs':>6}{'dur.':>6}{'MiB':>7}"
    )


def main() -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.bad_clients", description="Measure what bad clients do to the others."
    )
    parser.add_argument("--seconds", type=float, default=1.25, help="length of one window (1.25)")
    parser.add_argument("--rounds", type=int, default=3, help="windows with and without each attack (3)")
    parser.add_argument("--rate", type=float, default=160.0, help="calls per second of each caller (160)")
    parser.add_argument("--calls", type=int, default=8, help="calls that a caller has under way at most (8)")
    parser.add_argument("--only", type=lambda text: text.split(","), default=None, metavar="ATTACKS")
    parser.add_argument("--json", type=Path, default=None, help="write the rows there too")
    options = parser.parse_args()
    print(_heading())
    try:
        rows = asyncio.run(_run(options))
    except GeneratorError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    if options.json is not None:
        rendered: list[dict[str, Any]] = [asdict(row) for row in rows]
        options.json.write_text(json.dumps(rendered, indent=2) + "\n")
    over = [row for row in rows if row.ratio > ALLOWED or row.failed]
    for row in over:
        print(f"more than {ALLOWED:g} times: {row.title} ({row.door}): {row.ratio:.2f}", file=sys.stderr)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
