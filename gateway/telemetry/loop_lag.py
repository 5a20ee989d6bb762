"""How late the event loop is: what every call of the worker waits for at least."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from signers.durations import Histogram

INTERVAL: Final = 0.5
"""Seconds between two looks."""


@asynccontextmanager
async def measuring_lag(lag: Histogram) -> AsyncIterator[None]:
    """Add to *lag*, until the end of the block, how much later than asked for a timer runs."""
    task = asyncio.create_task(_measure(lag), name="loop-lag")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _measure(lag: Histogram) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + INTERVAL
        await asyncio.sleep(INTERVAL)
        lag.add(max(0.0, loop.time() - due))
