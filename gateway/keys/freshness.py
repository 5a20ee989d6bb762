"""How long what a worker knows about its keys may be acted upon.

A key that was disabled must sign nothing a second later, on any replica, whatever becomes of the database or
of the event loop meanwhile. So knowledge has an age: it was true when the look at the database *began*, and
after `MAX_AGE` a signature is made, or handed out, only after another look.

The age is counted by the machine's monotonic clock. That stands still with a machine that is suspended as a
whole: what such a one does in its first `MAX_AGE` after it went on is not covered.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Final

from gateway.errors import GatewayError
from signers import SignerUnavailableError

MAX_AGE: Final = 0.9
"""Seconds. The rest of the second that is promised is for handing the signature out."""

CONFIRM_TIMEOUT: Final = 1.0
"""Seconds that a signature waits for the look at the database."""


class Freshness:
    """Until when the keyring's view may be used without another look. Bound to one event loop."""

    def __init__(self, look: Callable[[], Awaitable[None]], *, max_age: float = MAX_AGE) -> None:
        """*look* brings the view up to date and calls `confirmed`; raises `GatewayError`."""
        self.until = float("-inf")
        """`time.perf_counter` seconds."""
        self._look = look
        self._max_age = max_age
        self._looking: asyncio.Task[None] | None = None

    def confirmed(self, began: float) -> None:
        """The view is as the database was at *began* (`time.perf_counter`), or later."""
        self.until = max(self.until, began + self._max_age)

    async def confirm(self) -> None:
        """Look again; those who ask meanwhile share the look. Raises `SignerUnavailableError`."""
        if self._looking is None:
            self._looking = asyncio.create_task(self._confirm(), name="keyring-confirm")
        looking = self._looking
        await asyncio.shield(looking)
        if perf_counter() > self.until:
            raise SignerUnavailableError("It cannot be confirmed that the key may still sign.")

    async def aclose(self) -> None:
        """End a look that is under way."""
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def _confirm(self) -> None:
        """One look. Whether it succeeded, `until` tells: a failure belongs to all who wait."""
        try:
            async with asyncio.timeout(CONFIRM_TIMEOUT):
                await self._look()
        except (TimeoutError, GatewayError):
            return
        finally:
            self._looking = None
