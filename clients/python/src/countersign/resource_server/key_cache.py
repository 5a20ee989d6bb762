"""The gateway's key set, kept as long as the gateway allows."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Final, Protocol

from countersign.errors import CountersignError
from countersign.resource_server._public_keys import KeyUnusableError, VerificationKey
from countersign.resource_server.errors import Fault, InvalidTokenError, VerificationUnavailableError
from countersign.tokens import JsonWebKeySet

logger = logging.getLogger(__name__)

MAX_KEYS: Final = 100
_REFRESH_AT: Final = 0.75  # of max_age; the rest is for refreshes that fail.


class KeySource(Protocol):
    """Where key sets come from: `GatewayClient`."""

    async def get_jwks(self) -> JsonWebKeySet:
        """The keys that verify tokens. Raises `CountersignError`, after a time that is bounded."""
        ...


class KeySetCache:
    """Keys by their ids. A key set serves until its `max_age` has passed, and no longer.

    One that nears its end is fetched anew by one request while the others use what is there. A key id that
    is unknown makes a fetch too, unless there was one within *refresh_interval*: who invents ids costs the
    gateway no more than one call per interval. The gateway publishes a key before it signs with it, so such
    a refusal meets no honest token unless a key was made active in a hurry.
    """

    def __init__(
        self,
        source: KeySource,
        *,
        refresh_interval: timedelta = timedelta(seconds=10),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """*clock* counts seconds from anywhere and never runs backward."""
        self._source = source
        self._interval = refresh_interval.total_seconds()
        self._clock = clock
        self._lock = asyncio.Lock()
        self._keys: Mapping[str, VerificationKey] = {}
        self._refresh_at = self._stale_at = self._tried_at = float("-inf")
        self._failed = False

    async def key(self, kid: str) -> VerificationKey:
        """The key named *kid*.

        Raises `InvalidTokenError` with `KEY_UNKNOWN`; `VerificationUnavailableError` where the key set
        cannot be fetched and it matters.
        """
        now = self._clock()
        if now >= self._stale_at or (now >= self._refresh_at and not self._lock.locked()):
            await self._refresh(lambda: self._clock() < self._refresh_at)
        if self._clock() >= self._stale_at:
            raise VerificationUnavailableError(Fault.KEYS_UNAVAILABLE, "The gateway gave no key set.")
        if kid not in self._keys:
            await self._refresh(lambda: kid in self._keys)
        key = self._keys.get(kid)
        if key is None and self._failed:
            raise VerificationUnavailableError(Fault.KEYS_UNAVAILABLE, "The key set cannot be refreshed.")
        if key is None:
            raise InvalidTokenError(Fault.KEY_UNKNOWN, "The token is signed with an unknown key.")
        return key

    async def _refresh(self, satisfied: Callable[[], bool]) -> None:
        """Fetch the key set, unless another request just did; a failure leaves what is there."""
        async with self._lock:
            if satisfied() or self._clock() < self._tried_at + self._interval:
                return
            self._tried_at = self._clock()
            self._failed = True  # Until it succeeds: a request that is cancelled meanwhile proves nothing.
            try:
                fetched = await self._source.get_jwks()
            except CountersignError as error:
                logger.warning("The key set cannot be fetched: %s", error)
                return
            # Counted from before the call: the gateway's clock for max_age started no earlier.
            age = fetched.max_age.total_seconds()
            self._keys = _usable(fetched)
            self._refresh_at = self._tried_at + age * _REFRESH_AT
            self._stale_at = self._tried_at + age
            self._failed = False


def _usable(fetched: JsonWebKeySet) -> Mapping[str, VerificationKey]:
    """The keys that verify signatures; others are left out (RFC 7517 §5), and so is an id that names two."""
    keys: dict[str, VerificationKey] = {}
    repeated = set()
    for each in fetched.keys[:MAX_KEYS]:
        if not each.kid or each.use not in {"", "sig"} or each.public_key is None:
            continue
        try:
            key = VerificationKey.of(each.public_key, each.alg)
        except KeyUnusableError as error:
            logger.warning("Key %.64r of the key set is left out: %s", each.kid, error)
            continue
        if each.kid in keys:
            repeated.add(each.kid)
        keys[each.kid] = key
    return {kid: key for kid, key in keys.items() if kid not in repeated}
