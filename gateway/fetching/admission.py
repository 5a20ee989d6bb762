"""Bounded concurrency: so many requests at once, so many to one host, and so many that wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.fetching.errors import FetchError, FetchFault
from gateway.fetching.policy import ClientLimits


@dataclass(slots=True)
class _HostSlots:
    semaphore: asyncio.Semaphore
    users: int = field(default=0)


class Admission:
    """Slots for requests. A host is remembered only while a request to it is under way or waits."""

    def __init__(self, limits: ClientLimits) -> None:
        self._limits = limits
        self._total = asyncio.Semaphore(limits.total)
        self._hosts: dict[str, _HostSlots] = {}
        self._waiting = 0

    @asynccontextmanager
    async def slot(self, host: str) -> AsyncIterator[None]:
        """Hold a slot for *host*; the caller bounds the wait. Raises `FetchError` with `BUSY`.

        The host's slot is taken first, so that a crowd in front of one slow host holds none of the others'.
        """
        slots = self._hosts.get(host)
        if slots is None:
            slots = self._hosts[host] = _HostSlots(asyncio.Semaphore(self._limits.per_host))
        slots.users += 1
        try:
            await self._acquire(slots.semaphore, host)
            try:
                await self._acquire(self._total, host)
                try:
                    yield
                finally:
                    self._total.release()
            finally:
                slots.semaphore.release()
        finally:
            slots.users -= 1
            if not slots.users:
                del self._hosts[host]

    async def _acquire(self, semaphore: asyncio.Semaphore, host: str) -> None:
        if semaphore.locked() and self._waiting >= self._limits.waiting:
            raise FetchError(FetchFault.BUSY, "too many requests are waiting", host=host)
        self._waiting += 1
        try:
            await semaphore.acquire()
        finally:
            self._waiting -= 1
