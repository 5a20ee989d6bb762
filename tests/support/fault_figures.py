"""Figures of the fault suites, for docs/kms.md: what callers saw, and when they were served again.

With COUNTERSIGN_FAULT_FIGURES set to a file, each test of a fault adds a line of JSON to it.
"""

import json
import os
import time
from pathlib import Path

from tests.support.signing_load import Load


class Outage:
    """The time between what mended a fault and the next signature."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._mended = 0.0

    def mended(self) -> None:
        """The fault is over: from now on signatures could be made."""
        self._mended = time.monotonic()

    async def recovered(self) -> float:
        """Wait for a signature; the seconds since `mended`."""
        await self._load.more("signed")
        return time.monotonic() - self._mended


def record(fault: str, load: Load, *recoveries: float) -> None:
    """Add the figures of *fault*, after `Load.finish`: then no reply is lost, and no signature was wrong."""
    path = os.environ.get("COUNTERSIGN_FAULT_FIGURES")
    if path is None:
        return
    line = {
        "fault": fault,
        "calls": load.started,
        "outcomes": dict(load.outcomes),
        "recovery": [round(seconds, 3) for seconds in recoveries],
    }
    with Path(path).open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
