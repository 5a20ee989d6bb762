"""Credentials that expire: obtained once for all callers, renewed before they end, and anew when refused."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from signers.errors import SignerError, SignerUnavailableError

logger = logging.getLogger(__name__)

T = TypeVar("T")

RENEW_AT = 2 / 3
"""The part of a lifetime after which it is renewed."""

RENEWAL_PAUSE = 1.0
MAX_RENEWAL_PAUSE = 30.0
"""Seconds between tries of a renewal that fails; they double from the first to the last."""

OBTAIN_TIMEOUT = 10.0
FAILURE_PAUSE = 0.5
"""Seconds after a failure in which nobody tries again: the callers share its error."""

MIN_AGE = 1.0
"""Seconds between two renewals or two replacements, however short-lived or refused the first is."""


@dataclass(frozen=True, slots=True)
class Lease(Generic[T]):
    """A credential. `lifetime` is in seconds from its issue; None where it does not end, or nobody says when.

    `renewable`: whether the service prolongs it; its successor is else obtained from the start.
    """

    value: T = field(repr=False)
    lifetime: float | None = None
    renewable: bool = False


Obtain = Callable[[Lease[T] | None], Awaitable[Lease[T]]]
"""Obtains a lease: prolongs the one given, or starts anew for None. Raises `SignerError`."""


class Credentials(Generic[T]):
    """The credential in force. Bound to the event loop; closed by its owner."""

    def __init__(self, name: str, obtain: Obtain[T]) -> None:
        """*name* is the redacted name for logs and errors."""
        self._name = name
        self._obtain = obtain
        self._lease: Lease[T] | None = None
        self._expires = 0.0
        self._replaced_at = -MIN_AGE
        self._failure: SignerError | None = None
        self._failed_at = 0.0
        self._lock = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None
        self._closed = False

    async def current(self) -> T:
        """The credential in force, obtained first where there is none. Raises `SignerError`."""
        return (await self._current()).value

    async def refused(self, value: T) -> T:
        """The service refuses *value*: obtain another, unless that has happened already.

        Where one was replaced a moment ago it is returned as it is: then the credential is not at fault, and
        a refusal of every request must not become a login for every request. Raises `SignerError`.
        """
        async with self._lock:
            lease = self._valid()
            now = asyncio.get_running_loop().time()
            if lease is not None and (lease.value != value or now < self._replaced_at + MIN_AGE):
                return lease.value
            self._replaced_at = now
            return (await self._start_anew()).value

    async def aclose(self) -> None:
        """End the renewal. Idempotent."""
        self._closed = True
        if self._renewal is not None:
            self._renewal.cancel()
            await asyncio.gather(self._renewal, return_exceptions=True)

    async def _current(self) -> Lease[T]:
        if (lease := self._valid()) is not None:
            return lease
        async with self._lock:
            # Another caller may have obtained it while this one waited.
            return self._valid() or await self._start_anew()

    def _valid(self) -> Lease[T] | None:
        return self._lease if asyncio.get_running_loop().time() < self._expires else None

    async def _start_anew(self) -> Lease[T]:
        if self._closed:
            raise SignerUnavailableError("The signer is closed.", key=self._name)
        loop = asyncio.get_running_loop()
        if self._failure is not None and loop.time() < self._failed_at + FAILURE_PAUSE:
            # Those who queued behind a login that failed do not each try their own.
            raise type(self._failure)(str(self._failure), key=self._name)
        try:
            lease = await self._obtained(None)
        except SignerError as error:
            self._failure, self._failed_at = error, loop.time()
            raise
        self._failure = None
        return self._keep(lease)

    async def _obtained(self, previous: Lease[T] | None) -> Lease[T]:
        try:
            async with asyncio.timeout(OBTAIN_TIMEOUT):
                return await self._obtain(previous)
        except TimeoutError:
            raise SignerUnavailableError("No credentials came in time.", key=self._name) from None

    def _keep(self, lease: Lease[T]) -> Lease[T]:
        now = asyncio.get_running_loop().time()
        self._lease = lease
        self._expires = float("inf") if lease.lifetime is None else now + lease.lifetime
        if self._renewal is not None and self._renewal is not asyncio.current_task():
            self._renewal.cancel()
            self._renewal = None
        if lease.lifetime is not None and self._renewal is None and not self._closed:
            self._renewal = asyncio.create_task(self._renew(), name=f"renew-{self._name}")
        return lease

    async def _renew(self) -> None:
        """Renew before the end, for as long as there is a lease that ends."""
        pause = RENEWAL_PAUSE
        while (lease := self._lease) is not None and lease.lifetime is not None:
            left = self._expires - asyncio.get_running_loop().time()
            await asyncio.sleep(max(left - lease.lifetime * (1 - RENEW_AT), MIN_AGE))
            try:
                async with self._lock:
                    if self._lease is lease:
                        self._keep(await self._renewed(lease))
                pause = RENEWAL_PAUSE
            except SignerError as error:
                logger.warning("%s: credentials cannot be renewed yet: %s", self._name, error)
                await asyncio.sleep(pause)
                pause = min(2 * pause, MAX_RENEWAL_PAUSE)

    async def _renewed(self, lease: Lease[T]) -> Lease[T]:
        if not lease.renewable:
            return await self._obtained(None)
        try:
            renewed = await self._obtained(lease)
        except SignerError as error:
            logger.info(
                "%s: credentials cannot be prolonged, so new ones are obtained: %s", self._name, error
            )
            return await self._obtained(None)
        # A service may prolong by less and less, up to a maximum: then a new one is due.
        shrinking = renewed.lifetime is not None and renewed.lifetime < (lease.lifetime or 0) / 2
        return await self._obtained(None) if shrinking else renewed
