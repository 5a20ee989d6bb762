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

    One that nears its end is fetched anew while requests use what is there. A key id that
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
        self._keys: Mapping[str, VerificationKey] = {}
        self._refresh_at = self._stale_at = self._tried_at = float("-inf")
        self._failed = False
        self._fetching: asyncio.Task[None] | None = None

    async def key(self, kid: str) -> VerificationKey:
        """The key named *kid*.

        Raises `InvalidTokenError` with `KEY_UNKNOWN`; `VerificationUnavailableError` where the key set
        cannot be fetched and it matters.
        """
        if self._clock() >= self._refresh_at:
            fetching = self._fetch()
            if fetching is not None and self._clock() >= self._stale_at:
                await asyncio.shield(fetching)
        if self._clock() >= self._stale_at:
            raise VerificationUnavailableError(Fault.KEYS_UNAVAILABLE, "The gateway gave no key set.")
        if kid not in self._keys and (fetching := self._fetch()) is not None:
            await asyncio.shield(fetching)
        key = self._keys.get(kid)
        if key is None and self._failed:
            raise VerificationUnavailableError(Fault.KEYS_UNAVAILABLE, "The key set cannot be refreshed.")
        if key is None:
            raise InvalidTokenError(Fault.KEY_UNKNOWN, "The token is signed with an unknown key.")
        return key

    def _fetch(self) -> asyncio.Task[None] | None:
        """The fetch under way, or a new one; None where the last one was too short a time ago.

        A task of its own, so that a request which goes away does not take the others' fetch with it. The
        deadline of the call ends it.
        """
        if self._fetching is None and self._clock() >= self._tried_at + self._interval:
            self._tried_at = self._clock()
            self._fetching = asyncio.create_task(self._load(), name="countersign-key-set")
        return self._fetching

    async def _load(self) -> None:
        """Fetch the key set; a failure leaves what is there."""
        self._failed = True  # Until it succeeds.
        try:
            fetched = await self._source.get_jwks()
        except CountersignError as error:
            logger.warning("The key set cannot be fetched: %s", error)
            return
        finally:
            self._fetching = None
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
