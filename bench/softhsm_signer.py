"""SoftHSM through the signer, as a gateway opens it by default, and the same module in a bare loop.

    python -m bench.softhsm_signer [--seconds N] [--rounds N] [--callers N]

The bare loop has as many sessions as the signer has callers, a thread for each, and does what the signer
must for each signature: the digest, C_SignInit, C_Sign, and the verification without which none is released.
Beside it is told how fast it is with as few sessions as the signer opens, whose threads compete less for the
interpreter's lock, and how fast these are without verification. Then signatures are asked for at random
instants (a Poisson process), 80 % of the rate that the window before reached, and the time of whole calls is
taken: the wait in the queue is a part of it, so it was shorter.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import psutil

from bench.windows import Figures, case_of, window
from signers import Algorithm, Signer
from signers.pkcs11.ctypes_binding import CtypesCryptoki
from signers.pkcs11.mechanisms import select
from signers.pkcs11.objects import find_key
from signers.pkcs11.options import Pkcs11Options
from signers.pkcs11.scope import parse
from signers.registry import SignerRegistry
from signers.verification import verifier
from softhsm.provision import Provisioned, provision

SIGNER: Final = "softhsm_signer"
BARE: Final = "softhsm_bare_loop"
FEW: Final = "softhsm_bare_loop_of_4"
UNVERIFIED: Final = "softhsm_bare_loop_of_4_unverified"
LOADED: Final = "softhsm_signer_at_80_percent"
RATIO: Final = "signer_softhsm_vs_bare_loop"
FEW_RATIO: Final = "signer_softhsm_vs_bare_loop_of_4"
UNVERIFIED_RATIO: Final = "signer_softhsm_vs_unverified_loop_of_4"
WAIT: Final = "signer_20_ms_vs_p99_at_80_percent"
TARGET: Final = 0.7
CALLERS: Final = 32
SHARE: Final = 0.8
LONGEST_WAIT_MS: Final = 20.0

_TITLES: Final = {
    SIGNER: "ES256 by SoftHSM, signer",
    BARE: "ES256 by SoftHSM, bare loop",
    FEW: "ES256 by SoftHSM, bare loop of 4",
    UNVERIFIED: "ES256 by SoftHSM, bare loop of 4, unverified",
    LOADED: "ES256 by SoftHSM, signer at 80 % load",
}
NAMES: Final = tuple(_TITLES)
"""These cases are measured together, if any."""

_MESSAGE: Final = bytes(600)
_OPTIONS: Final = Pkcs11Options(isolation=True)


class BareLoop:
    """The module in this process, with *sessions* sessions, and a thread for each."""

    def __init__(self, token: Provisioned, sessions: int) -> None:
        self._cryptoki = CtypesCryptoki(str(token.module))
        self._cryptoki.initialize()
        (slot,) = (each.slot for each in self._cryptoki.tokens() if each.label == token.token)
        self._sessions = [self._cryptoki.open_session(slot, read_write=False) for _ in range(sessions)]
        self._cryptoki.login(self._sessions[0], token.pin_file.read_bytes().strip())
        uri = parse(token.uris[0], _OPTIONS)
        key = find_key(self._cryptoki, self._sessions[0], uri, Algorithm.ES256, None)
        self._handle = key.handle
        self._size = Algorithm.ES256.spec.signature_size or 0
        self._mechanism = select(Algorithm.ES256, self._cryptoki.mechanisms(slot), key=uri.redacted)
        self._verify = verifier(key.public_key, Algorithm.ES256)

    def run(self, seconds: float, *, sessions: int, verified: bool = True) -> Figures:
        """One window with the first *sessions*."""
        latencies: list[float] = []
        started, cpu = time.perf_counter(), time.process_time()
        threads = [
            threading.Thread(target=self._loop, args=(session, started + seconds, latencies, verified))
            for session in self._sessions[:sessions]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return Figures(time.perf_counter() - started, time.process_time() - cpu, latencies)

    def close(self) -> None:
        """End the sessions, and with them the login."""
        self._cryptoki.finalize()

    def _loop(self, session: int, end: float, latencies: list[float], verified: bool) -> None:  # noqa: FBT001 - a thread's
        mechanism, handle, size = self._mechanism, self._handle, self._size
        sign, verify = self._cryptoki.sign, self._verify
        while (now := time.perf_counter()) < end:
            data = mechanism.input_for(_MESSAGE)
            signature = sign(session, handle, mechanism.call, data, size)
            if verified:
                verify(_MESSAGE, signature)
            latencies.append(time.perf_counter() - now)


async def measure(*, seconds: float, rounds: int, callers: int = CALLERS) -> dict[str, Any]:
    """Figures in the shape of `bench.report.document`: cases, ratios, CPU ratios and targets."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        token = await asyncio.to_thread(provision, Path(folder))
        with _environment(token.environment):
            bare = BareLoop(token, callers)
            try:
                async with SignerRegistry(pkcs11=_OPTIONS) as registry:
                    signer = await registry.open(token.uris[0], Algorithm.ES256)
                    await window(lambda: _sign(signer), seconds / 10, callers)
                    windows = [await _round(signer, bare, seconds, callers) for _ in range(rounds)]
            finally:
                bare.close()
    return _document(windows)


async def _round(signer: Signer, bare: BareLoop, seconds: float, callers: int) -> Mapping[str, Figures]:
    few = min(callers, _OPTIONS.sessions)
    found = {BARE: await asyncio.to_thread(bare.run, seconds, sessions=callers)}
    before = _children_cpu()
    found[SIGNER] = await window(lambda: _sign(signer), seconds, callers)
    _add_cpu(found[SIGNER], _children_cpu() - before)
    before = _children_cpu()
    found[LOADED] = await _at_rate(signer, found[SIGNER].per_second * SHARE, seconds)
    _add_cpu(found[LOADED], _children_cpu() - before)
    found[FEW] = await asyncio.to_thread(bare.run, seconds, sessions=few)
    found[UNVERIFIED] = await asyncio.to_thread(bare.run, seconds, sessions=few, verified=False)
    return found


async def _sign(signer: Signer) -> None:
    await signer.sign(_MESSAGE)


async def _at_rate(signer: Signer, per_second: float, seconds: float) -> Figures:
    """One window of signatures asked for at random, *per_second* on average, however many are under way."""
    latencies: list[float] = []
    arrivals = random.Random(per_second)  # noqa: S311 - instants of a load are no secret
    started, cpu = time.perf_counter(), time.process_time()
    due = started

    async def call(asked: float) -> None:
        await signer.sign(_MESSAGE)
        latencies.append(time.perf_counter() - asked)

    async with asyncio.TaskGroup() as group:
        while due < started + seconds:
            while due <= time.perf_counter():
                # From when it was due: a generator that is late takes nothing off the wait.
                group.create_task(call(due))
                due += arrivals.expovariate(per_second)
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
    return Figures(time.perf_counter() - started, time.process_time() - cpu, latencies)


def _children_cpu() -> float:
    """CPU seconds of the signer process so far."""
    times = [each.cpu_times() for each in psutil.Process().children(recursive=True)]
    return float(sum(each.user + each.system for each in times))


def _add_cpu(figures: Figures, seconds: float) -> None:
    figures.cpu_us += seconds / len(figures.latencies) * 1e6


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """The variables for this process, in which the module is loaded, and for the signer's."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _document(windows: list[Mapping[str, Figures]]) -> dict[str, Any]:
    def per_second(base: str) -> float:
        return round(median(each[SIGNER].per_second / each[base].per_second for each in windows), 3)

    def per_cpu(base: str) -> float:
        return round(median(each[base].cpu_us / each[SIGNER].cpu_us for each in windows), 3)

    # The best window: what else the machine does lengthens a wait, and never shortens one.
    wait = min(each[LOADED].percentile_ms(99) for each in windows)
    room = round(LONGEST_WAIT_MS / wait, 3)
    bases = {RATIO: BARE, FEW_RATIO: FEW, UNVERIFIED_RATIO: UNVERIFIED}
    return {
        "ratios": {ratio: per_second(base) for ratio, base in bases.items()} | {WAIT: room},
        "cpu_ratios": {ratio: per_cpu(base) for ratio, base in bases.items()} | {WAIT: room},
        "targets": {RATIO: TARGET, WAIT: 1.0},
        "cases": {name: case_of(title, [each[name] for each in windows]) for name, title in _TITLES.items()},
    }


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.softhsm_signer", description="Measure SoftHSM.")
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one window (3)")
    parser.add_argument("--rounds", type=int, default=5, help="windows of each case (5)")
    parser.add_argument(
        "--callers", type=int, default=CALLERS, help=f"signatures asked for at once ({CALLERS})"
    )
    options = parser.parse_args()
    figures = asyncio.run(measure(seconds=options.seconds, rounds=options.rounds, callers=options.callers))
    json.dump(figures, sys.stdout)
    print()


if __name__ == "__main__":
    main()
