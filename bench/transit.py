"""Signatures by OpenBao's Transit for many callers at once: one in a request, and in batches.

    python -m bench.transit [--seconds N] [--rounds N] [--callers N]

A real server on loopback, with TLS. Both cases have the same server, key, callers and number of requests
under way; only the number of signatures in a request differs. Every signature is verified before it counts.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from bench.windows import Figures, document_of, window
from signers import Algorithm, Signer
from signers.registry import SignerRegistry
from signers.remote.options import RemoteOverrides
from tests.support.openbao import OpenBao, started

SINGLE: Final = "openbao_single"
BATCH: Final = "openbao_batch"
RATIO: Final = "openbao_batch_vs_single"
TARGET: Final = 5.0
CALLERS: Final = 64

_TITLES: Final = {
    SINGLE: "ES256 by OpenBao, one in a request",
    BATCH: "ES256 by OpenBao, in batches",
}
NAMES: Final = tuple(_TITLES)
"""These cases are measured together, if any."""

_KEY: Final = "ecdsa-p256"
_MESSAGE: Final = bytes(600)
_SINGLE: Final = RemoteOverrides(max_batch=1)
_BATCH: Final = RemoteOverrides()


async def measure(*, seconds: float, rounds: int, callers: int = CALLERS) -> dict[str, Any]:
    """Figures in the shape of `bench.report.document`: cases, ratios, CPU ratios and targets."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as folder:
        server = started(Path(folder))
        try:
            async with _signer(server, _SINGLE) as single, _signer(server, _BATCH) as batch:
                signers = {SINGLE: single, BATCH: batch}
                windows = [await _round(signers, seconds, callers) for _ in range(rounds)]
        finally:
            server.kill()
    return document_of(windows, _TITLES, ratio=(RATIO, TARGET), measured=BATCH, base=SINGLE)


async def _round(signers: Mapping[str, Signer], seconds: float, callers: int) -> Mapping[str, Figures]:
    found = {}
    for name, signer in signers.items():

        async def step(signer: Signer = signer) -> None:
            await signer.sign(_MESSAGE)

        await window(step, seconds / 10, callers)
        found[name] = await window(step, seconds, callers)
    return found


@asynccontextmanager
async def _signer(server: OpenBao, options: RemoteOverrides) -> AsyncIterator[Signer]:
    async with SignerRegistry(remote={"vault": options}) as registry:
        yield await registry.open(server.uri(_KEY, **server.app_role()), Algorithm.ES256)


def main() -> None:
    """Measure, and print the figures as JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.transit", description="Measure Transit.")
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
