"""Single flight: callers who want the same thing at the same time share one task that gets it."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar

logger = logging.getLogger(__name__)

Value = TypeVar("Value")


class FlightRefusedError(Exception):
    """No new flight: *closed* for good, or too many under way."""

    def __init__(self, *, closed: bool) -> None:
        super().__init__("closed" if closed else "too many under way")
        self.closed = closed


class Flights(Generic[Value]):
    """At most *limit* tasks, one for each key. Belongs to one event loop.

    A task goes on if some or all of its callers give up: it has a deadline of its own, and what it gets is
    kept. Only `aclose` cancels one; it then returns a value that says so, as its maker arranged.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tasks: dict[str, asyncio.Task[Value]] = {}
        self._closed = False

    async def join(self, key: str, start: Callable[[], Coroutine[Any, Any, Value]]) -> Value:
        """What the flight of *key* brings, made by *start* where none is under way.

        Raises `FlightRefusedError`, and whatever the coroutine does.
        """
        task = self._tasks.get(key)
        if task is None:
            if self._closed or len(self._tasks) >= self._limit:
                raise FlightRefusedError(closed=self._closed)
            task = asyncio.create_task(start())
            self._tasks[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Cancel what is under way, wait for it, and refuse what comes. Idempotent."""
        self._closed = True
        tasks = tuple(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _landed(self, key: str, task: asyncio.Task[Value]) -> None:
        self._tasks.pop(key, None)
        # Where every caller gave up, nobody else would look at a failure of our own.
        with contextlib.suppress(asyncio.CancelledError):
            error = task.exception()
            if error is not None:
                logger.error("A shared request failed unexpectedly.", exc_info=error)
