"""The time limits of all signatures under way, by one timer: all are equally long, so they end in turn."""

import asyncio
from collections import deque
from collections.abc import Callable

from signers.remote.waiting import Item

_FEW = 64
"""Items that are kept without a look at whether their signatures have come."""


class Deadlines:
    """Bound to the event loop that made it; closed by its owner.

    A timer for each signature, set and cancelled, would cost as much as a tenth of verifying it.
    """

    def __init__(self, expired: Callable[[Item], None]) -> None:
        """*expired* is called with each item whose future has no result when its deadline comes."""
        self._loop = asyncio.get_running_loop()
        self._expired = expired
        self._items: deque[Item] = deque()
        self._crowded = _FEW
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, item: Item) -> None:
        """Mind the deadline of *item*, which is no earlier than that of any item before."""
        items = self._items
        while items and items[0].future.done():
            items.popleft()
        if len(items) >= self._crowded:
            self._items = items = deque(each for each in items if not each.future.done())
            self._crowded = max(_FEW, 2 * len(items))
        items.append(item)
        if self._timer is None:
            self._timer = self._loop.call_at(item.deadline, self._expire)

    def close(self) -> None:
        """Mind none any more. Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
        self._items.clear()

    def _expire(self) -> None:
        self._timer = None
        now = self._loop.time()
        items = self._items
        while items and (items[0].future.done() or items[0].deadline <= now):
            item = items.popleft()
            if not item.future.done():
                self._expired(item)
        if items:
            self._timer = self._loop.call_at(items[0].deadline, self._expire)
