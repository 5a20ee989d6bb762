"""One end for everything that verifying one answer waits for."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

Value = TypeVar("Value")


class Deadline:
    """A moment of the event loop's clock, *seconds* from now."""

    def __init__(self, seconds: float) -> None:
        self._end = asyncio.get_running_loop().time() + seconds

    async def wait(self, work: Coroutine[Any, Any, Value]) -> Value | None:
        """What *work* brings, or None where it took too long and was canceled. Raises what it raises."""
        try:
            async with asyncio.timeout_at(self._end):
                return await work
        except TimeoutError:
            return None
