"""Time, as an argument: every rule that asks for the time is given a clock, so that a test can set it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

Clock: TypeAlias = Callable[[], float]
"""Seconds since the Unix epoch, UTC. `time.time` in production."""

system_clock: Clock = time.time


def to_datetime(seconds: float) -> datetime:
    """The aware UTC datetime of *seconds* since the epoch."""
    return datetime.fromtimestamp(seconds, tz=UTC)
