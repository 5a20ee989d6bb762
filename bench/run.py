"""Measure every case beside the empty handler and beside npm oidc-provider, in one run.

    python -m bench.run [--seconds N] [--rounds N] [--only CASE,...] [--workers N] ...

All servers are up before the first window and stay up until the last one. A round is one window of each case
in turn, so that whatever else the machine does falls on all of them alike. Prints a table and writes
bench/results.json. Exits with 1 where a call failed or a reply did not hold what it must; a ratio below its
aim is reported and no failure, since it says as much about the machine.
"""

import argparse
import asyncio
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from countersign import CountersignError

from bench import cases, enrollment, oidc_provider, presentations, report, slow_hsm, softhsm_signer, transit
from bench.facts import ReplyError
from bench.generators import GeneratorError, Load
from bench.report import Plan
from bench.servers import ServerError
from bench.session import measure
from softhsm.provision import find_module

RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    """The command line. Returns the exit code."""
    options = _parse()
    load = Load(options.generators, options.channels, options.calls, options.warm_up, options.seconds)
    plan = Plan(_choose(options.only), load, options.rounds, options.workers, not options.no_access_log)
    try:
        results = asyncio.run(measure(plan))
        for figures in _apart(options):
            for part, found in figures.items():
                results[part] |= found
    except (GeneratorError, ServerError, CountersignError, ReplyError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    RESULTS.write_text(json.dumps(results, indent=2) + "\n")
    print(report.table(results))
    return 0


def _apart(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The figures of the cases that have the machine to themselves."""
    windows = {"seconds": options.seconds, "rounds": options.rounds}
    loads = windows | {"calls": options.calls * options.channels}
    parts = (
        (enrollment, loads),
        (transit, windows),
        (softhsm_signer, windows),
        (slow_hsm, windows),
        (presentations, loads),
    )
    for part, arguments in parts:
        if options.only is None or set(options.only) & set(part.NAMES):
            missing = _missing(part)
            if missing:
                print(f"Without {', '.join(part.NAMES)}: {missing}", file=sys.stderr)
            else:
                yield asyncio.run(part.measure(**arguments))


def _missing(part: ModuleType) -> str:
    """What *part* needs and this machine has not, or nothing."""
    if part not in (softhsm_signer, slow_hsm):
        return ""
    try:
        find_module()
    except FileNotFoundError as error:
        return str(error)
    return "there is no C compiler (cc)" if part is slow_hsm and shutil.which("cc") is None else ""


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.run", description="Measure against the empty handler."
    )
    parser.add_argument("--seconds", type=float, default=3.0, help="length of one window (3)")
    parser.add_argument(
        "--warm-up", type=float, default=0.5, help="seconds of calls before each window (0.5)"
    )
    parser.add_argument("--rounds", type=int, default=5, help="windows of each case (5)")
    parser.add_argument(
        "--only", type=_names, default=None, help="cases, separated by commas", metavar="CASES"
    )
    parser.add_argument("--workers", type=int, default=1, help="processes of each server (1)")
    parser.add_argument("--generators", type=int, default=1, help="load generator processes (1)")
    parser.add_argument("--channels", type=int, default=2, help="connections of each generator (2)")
    parser.add_argument("--calls", type=int, default=16, help="calls under way on each connection (16)")
    parser.add_argument("--no-access-log", action="store_true", help="turn the gateways' access log off")
    options = parser.parse_args()
    counts = (options.rounds, options.workers, options.generators, options.channels, options.calls)
    if options.seconds <= 0 or options.warm_up < 0 or min(counts) < 1:
        parser.error("every number must be positive")
    return options


def _names(text: str) -> list[str]:
    known = [
        *(case.name for case in cases.CASES),
        *enrollment.NAMES,
        *transit.NAMES,
        *softhsm_signer.NAMES,
        *slow_hsm.NAMES,
        *presentations.NAMES,
    ]
    names = text.split(",")
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(f"there is no case {name!r}; cases are {', '.join(known)}")
    return names


def _choose(only: Sequence[str] | None) -> list[cases.Case]:
    """The cases to run: those named, without those that need a SoftHSM or a node that is not there."""
    chosen = [case for case in cases.CASES if only is None or case.name in only]
    try:
        find_module()
    except FileNotFoundError as error:
        hsm = {name for name, source in cases.GATEWAYS.items() if source.softhsm}
        print(f"Without the cases on SoftHSM: {error}", file=sys.stderr)
        chosen = [case for case in chosen if case.server not in hsm]
    if any(case.server == cases.OIDC_PROVIDER for case in chosen):
        try:
            oidc_provider.install()
        except oidc_provider.InstallError as error:
            print(f"WITHOUT THE COMPARISON with npm oidc-provider: {error}", file=sys.stderr)
            chosen = [case for case in chosen if case.server != cases.OIDC_PROVIDER]
    return chosen


if __name__ == "__main__":
    sys.exit(main())
