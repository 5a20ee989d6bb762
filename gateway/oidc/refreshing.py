"""A value that somebody else publishes: fetched when asked for, kept while fresh, survived while they are
down.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from gateway.clock import Clock
from gateway.oidc.errors import OidcFault, ProviderError

logger = logging.getLogger(__name__)

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Refreshed(Generic[Value]):
    """A value as it was fetched; *lifetime* is how long its publisher calls it fresh, in seconds, or None."""

    value: Value
    lifetime: int | None


@dataclass(frozen=True, slots=True)
class RefreshPolicy:
    """Times in seconds.

    - `min_age`, `max_age`: the publisher's lifetime is raised or lowered into this range; `default_age` is
      for one who names none.
    - `outage_limit`: how long after it was fetched the last good value may be used while fetching fails;
      after that the value is gone and callers are told so.
    - `retry_interval`: how long after a failure nobody tries again.
    - `renewal_interval`: how long after an attempt a caller who misses something in the value is not given
      another one.
    """

    min_age: int = 60
    max_age: int = 86_400
    default_age: int = 3_600
    outage_limit: int = 86_400
    retry_interval: float = 10.0
    renewal_interval: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.min_age <= self.max_age or self.outage_limit < 0:
            raise ValueError("min_age is at most max_age, and no time is negative")
        if self.retry_interval <= 0 or self.renewal_interval <= 0:
            raise ValueError("retry_interval and renewal_interval are above 0")

    def age(self, lifetime: int | None) -> int:
        """How long a value with *lifetime* counts as fresh."""
        return min(max(self.default_age if lifetime is None else lifetime, self.min_age), self.max_age)


class Refreshing(Generic[Value]):
    """Fetches by *fetch*, one at a time, in the call of whoever needs it; there is no task in the background.

    Callers who find no fresh value wait for the one who fetches. In an outage (the last attempt failed) only
    the one whose turn it is to try waits, and the others get the last good value at once. If the one who
    fetches is canceled, the next one fetches. Belongs to one event loop.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Refreshed[Value]]],
        *,
        what: str,
        policy: RefreshPolicy,
        clock: Clock,
    ) -> None:
        self._fetch = fetch
        self._what = what
        self._policy = policy
        self._clock = clock
        self._lock = asyncio.Lock()
        self._current: Value | None = None
        self._fetched = self._fresh_until = self._attempted = float("-inf")
        self._failure: ProviderError | None = None
        self._generation = 0

    async def get(self) -> tuple[Value, int]:
        """The value and its generation, which counts up with each one fetched. Raises `ProviderError`."""
        if self._is_fresh():
            return self._held()
        if self._failure is not None and self._is_usable() and self._must_wait():
            return self._held()
        async with self._lock:
            if not self._is_fresh() and not self._in_retry_pause():
                await self._attempt()
            if self._is_fresh() or self._is_usable():
                return self._held()
            raise self._unavailable()

    async def renewed(self, generation: int, *, since: float) -> tuple[Value, int]:
        """A value fetched at *since* (seconds since the epoch) or later, for a caller who missed something.

        *generation* is the one that lacked it. A value is fetched anew at most once in `renewal_interval`; a
        caller who gets none raises `ProviderError`: what is missing may have been published meanwhile, so the
        last good value is no ground for a verdict.
        """
        async with self._lock:
            if self._generation == generation and self._fetched < since and self._may_renew():
                await self._attempt()
            if self._fetched >= since:
                return self._held()
            raise self._not_renewed()

    async def _attempt(self) -> None:
        self._attempted = self._clock()
        try:
            refreshed = await self._fetch()
        except ProviderError as error:
            self._failure = error
            logger.warning("%s could not be refreshed: %s", self._what, error)
            return
        now = self._clock()
        if self._failure is not None:
            logger.info("%s is available again.", self._what)
        self._current, self._failure = refreshed.value, None
        self._fetched, self._fresh_until = now, now + self._policy.age(refreshed.lifetime)
        self._generation += 1

    def _held(self) -> tuple[Value, int]:
        if self._current is None:
            raise self._unavailable()
        return self._current, self._generation

    def _is_fresh(self) -> bool:
        # A clock that was set back must not make a value fresh for longer than its lifetime.
        return self._fetched <= self._clock() < self._fresh_until

    def _is_usable(self) -> bool:
        return self._clock() < self._fetched + self._policy.outage_limit

    def _must_wait(self) -> bool:
        return self._lock.locked() or self._in_retry_pause()

    def _in_retry_pause(self) -> bool:
        return self._failure is not None and self._since_attempt() < self._policy.retry_interval

    def _may_renew(self) -> bool:
        return not self._in_retry_pause() and self._since_attempt() >= self._policy.renewal_interval

    def _since_attempt(self) -> float:
        # A clock that was set back must not forbid attempts until it has caught up.
        elapsed = self._clock() - self._attempted
        return elapsed if elapsed >= 0 else float("inf")

    def _not_renewed(self) -> ProviderError:
        if self._failure is not None:
            return self._unavailable()
        wait = max(0.0, self._policy.renewal_interval - self._since_attempt())
        return ProviderError(OidcFault.NOT_RENEWED, f"{self._what} were just fetched", retry_after=wait)

    def _unavailable(self) -> ProviderError:
        failure = self._failure
        wait = max(0.0, self._policy.retry_interval - self._since_attempt())
        if failure is None:
            return ProviderError(OidcFault.PROVIDER_UNREACHABLE, f"{self._what} is gone", retry_after=wait)
        # A new error each time: one that is raised twice would collect the tracebacks of both.
        again = ProviderError(
            failure.fault,
            f"{self._what} is not available",
            member=failure.member,
            retry_after=wait if failure.transient else None,
        )
        again.__cause__ = failure
        return again
