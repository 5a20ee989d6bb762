"""Signatures that wait for a request: a queue for each key, taken in turn."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from signers.durations import StageTimes
from signers.errors import SignerError
from signers.remote.service import RemoteKey

MAX_BATCH_BYTES = 4 * 1024 * 1024
"""Of the messages in one request; a longer message goes alone."""


@dataclass(slots=True)
class Item:
    """One message, the future of its signature, and where its time goes; times are of the loop's clock.

    *key*: its redacted name. *stages*: those of the key, and of the call where somebody traces it.
    """

    key: str
    message: bytes
    future: "asyncio.Future[bytes]"
    submitted: float
    deadline: float
    stages: Sequence[StageTimes]

    def fail(self, error: SignerError) -> None:
        """Give *error* to the waiter, if there still is one."""
        if not self.future.done():
            self.future.set_exception(error)


class WaitingRoom:
    """Items by key. A key that has been served goes behind the others."""

    def __init__(self) -> None:
        self._queues: OrderedDict[RemoteKey, deque[Item]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        """Items that wait, those whose callers have left included until their turn comes."""
        return self._count

    @property
    def requests(self) -> int:
        """Requests that those who wait need."""
        return sum(-(-len(queue) // key.max_batch) for key, queue in self._queues.items())

    def requests_with(self, key: RemoteKey, count: int) -> int:
        """`requests` if *count* more items of *key* waited."""
        queue = self._queues.get(key, ())
        return self.requests - -(-len(queue) // key.max_batch) + -(-(len(queue) + count) // key.max_batch)

    def add(self, key: RemoteKey, item: Item) -> None:
        """Let *item* wait for a request for *key*."""
        self._queues.setdefault(key, deque()).append(item)
        self._count += 1

    def take(self) -> tuple[RemoteKey, list[Item]] | None:
        """The next batch: items of one key that somebody still waits for. None where nobody waits."""
        while self._queues:
            key, queue = self._queues.popitem(last=False)
            batch: list[Item] = []
            size = 0
            while queue and len(batch) < key.max_batch:
                if batch and size + len(queue[0].message) > MAX_BATCH_BYTES:
                    break
                item = queue.popleft()
                self._count -= 1
                if not item.future.done():
                    batch.append(item)
                    size += len(item.message)
            if queue:
                self._queues[key] = queue
            if batch:
                return key, batch
        return None

    def drain(self) -> list[Item]:
        """Take everything that waits."""
        items = [item for queue in self._queues.values() for item in queue]
        self._queues.clear()
        self._count = 0
        return items
