"""How much of its time a thread was busy: it ran, or would have, had there been a processor for it."""

import time
from pathlib import Path
from typing import Final

_SCHEDSTAT: Final = Path("/proc/thread-self/schedstat")
"""Nanoseconds that the thread ran, and that it waited to run (Documentation/scheduler/sched-stats)."""


def busy_seconds() -> float:
    """Of the calling thread, since it began. Where there is no ``/proc``, the time that it ran."""
    try:
        ran, waited, _ = _SCHEDSTAT.read_text(encoding="ascii").split()
    except (OSError, ValueError):
        return time.thread_time()
    return (int(ran) + int(waited)) / 1e9
