"""How many TLS handshakes are begun, and how many are under way.

They run on the event loop, and each costs as much as a few requests. So they are begun at a pace, one in
each turn of the loop; who comes faster waits in the kernel's queue, and those who are connected are served
between. One address gets half of the pace in the long run: what it begins beyond that is closed, so that it
keeps nobody else waiting in the kernel's queue. A handshake that does not go on costs memory and a file only;
where there are too many of them the oldest gives way, as one that is meant takes a fraction of a second.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final

from gateway.limits.buckets import TokenBuckets
from gateway.limits.peers import AddressSet

MOST: Final = 512
"""Under way in one worker."""
BURST: Final = 50
"""Begun without a pause."""
SITE_BURST: Final = 4
"""Seconds' worth of the whole pace that one address may begin at once, as a proxy does that was restarted."""
SITES: Final = 4_096
"""Addresses whose handshakes are counted."""
_ALL: Final = "all"


class Handshakes:
    """Those of one worker. *per_second* are begun, and *per_site* of one address or network are under way.

    Addresses in *exempt* may take the whole pace. *clock*: seconds, monotonic.
    """

    def __init__(
        self,
        *,
        per_second: int,
        per_site: int,
        exempt: AddressSet,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._pace = TokenBuckets(float(per_second), BURST, callers=1, clock=clock)
        self._shares = TokenBuckets(per_second / 2, SITE_BURST * per_second, callers=SITES, clock=clock)
        self._exempt = exempt
        self._per_site = per_site
        # Dictionaries for their order.
        self._sites: dict[asyncio.Task[None], str] = {}
        self._tasks: dict[str, dict[asyncio.Task[None], None]] = {}

    def __len__(self) -> int:
        """How many are under way."""
        return len(self._sites)

    def wait(self) -> float:
        """0 where another may begin now, and otherwise after how many seconds."""
        return self._pace.wait(_ALL)

    def admit(self, host: str, site: str) -> bool:
        """Count one that *host*, of *site*, wants to begin now: whether it may."""
        if not self._exempt.includes(host) and self._shares.take(site) > 0:
            return False
        self._pace.take(_ALL)
        return True

    def begin(self, task: asyncio.Task[None], site: str) -> None:
        """*task* shakes hands with *site* until it ends. Where it is one too many the oldest is canceled."""
        self._sites[task] = site
        own = self._tasks.setdefault(site, {})
        own[task] = None
        task.add_done_callback(self._end)
        if len(own) > self._per_site:
            self._give_way(next(iter(own)))
        elif len(self._sites) > MOST:
            self._give_way(next(iter(self._sites)))

    def cancel(self) -> None:
        """Cancel all of them."""
        for task in tuple(self._sites):
            self._give_way(task)

    def _give_way(self, task: asyncio.Task[None]) -> None:
        self._end(task)
        task.cancel()

    def _end(self, task: asyncio.Task[None]) -> None:
        site = self._sites.pop(task, None)
        if site is None:
            return
        own = self._tasks[site]
        del own[task]
        if not own:
            del self._tasks[site]
