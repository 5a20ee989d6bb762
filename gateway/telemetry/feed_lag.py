"""How late revocations reach the watchers of this worker."""

from collections.abc import Callable, Sequence

from gateway.clock import Clock
from gateway.introspection.feed import RevocationFeedRepository, RevokedItem
from signers.durations import Histogram


class TimedFeedRepository:
    """A `RevocationFeedRepository` in front of *inner*, which measures what is new.

    What was revoked before the first look is history, and a second watcher that reads the same item says
    nothing new. `lag` has one duration for each batch: that of its last item.
    """

    def __init__(self, inner: RevocationFeedRepository, clock: Clock, lag: Histogram) -> None:
        self._inner = inner
        self._clock = clock
        self._lag = lag
        self._seen: int | None = None

    def listen(self, listener: Callable[[], None]) -> None:
        """See `RevocationFeedRepository.listen`."""
        self._inner.listen(listener)

    async def last_number(self) -> int:
        """See `RevocationFeedRepository.last_number`."""
        number = await self._inner.last_number()
        if self._seen is None:
            self._seen = number
        return number

    async def after(self, number: int, *, limit: int) -> Sequence[RevokedItem]:
        """See `RevocationFeedRepository.after`."""
        items = await self._inner.after(number, limit=limit)
        if items and self._seen is not None and items[-1].number > self._seen:
            self._seen = items[-1].number
            self._lag.add(max(0.0, self._clock() - items[-1].revoke_time))
        return items
