"""The one way from a DID to a document: one table of methods, one cache, one flight for each DID."""

import asyncio
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from gateway.clock import Clock, system_clock
from gateway.dids.cache import BoundedCache
from gateway.dids.did_ion import IonPolicy, IonResolver
from gateway.dids.did_jwk import JwkResolver
from gateway.dids.did_key import KeyResolver
from gateway.dids.did_url import Did, parse_did
from gateway.dids.did_web import DID_WEB_POLICY, WebResolver
from gateway.dids.errors import DidError, DidFault
from gateway.dids.flights import FlightRefusedError, Flights
from gateway.dids.ion_node import SidetreeNode
from gateway.dids.resolution import MethodResolver, Resolution
from gateway.fetching import FetchPolicy, GuardedClient

logger = logging.getLogger(__name__)

_OVERHEAD: Final = 1024  # octets counted for an entry beside what it was made of


@dataclass(frozen=True, slots=True)
class ResolverLimits:
    """Bounds of a `DidResolver`.

    - `computed`, `fetched`: entries of DIDs that resolve from themselves, and of those that others were asked
      about. They are apart, so that a stranger's throw-away DIDs do not push out an issuer's document.
    - `max_size`: octets, for each of the two.
    - `failures`, `failure_lifetime`: DIDs whose failure is remembered, and for how many seconds.
    - `flights`: resolutions under way at once; one more is refused as `BUSY`.
    """

    computed: int = 1024
    fetched: int = 512
    max_size: int = 8 * 1024 * 1024
    failures: int = 256
    failure_lifetime: float = 5.0
    flights: int = 256


class DidResolver:
    """Resolves DIDs by *methods*, a table from method name to its resolver. Belongs to one event loop.

    What a DID resolves to is kept for its lifetime; callers who ask for the same DID at the same time share
    one resolution, which goes on if some of them give up. A deactivated document is refused here, whatever
    the method. `aclose` ends resolutions under way.
    """

    def __init__(
        self,
        methods: Mapping[str, MethodResolver],
        *,
        clock: Clock = system_clock,
        limits: ResolverLimits | None = None,
    ) -> None:
        self._methods = MappingProxyType(dict(methods))
        self._clock = clock
        self._limits = limits or ResolverLimits()
        size = self._limits.max_size
        self._computed = BoundedCache[Resolution](max_entries=self._limits.computed, max_size=size)
        self._fetched = BoundedCache[Resolution](max_entries=self._limits.fetched, max_size=size)
        self._failures = BoundedCache[DidError](max_entries=self._limits.failures, max_size=size)
        self._flights = Flights[Resolution | DidError](self._limits.flights)

    @property
    def methods(self) -> tuple[str, ...]:
        """The names of the methods of the table, in its order."""
        return tuple(self._methods)

    def held(self, did: str) -> Resolution | None:
        """What `resolve` would return at once; None where it would begin something. Raises `DidError`."""
        now = self._clock()
        failure = self._failures.get(did, now)
        if failure is not None:
            raise failure.again()
        return self._computed.get(did, now) or self._fetched.get(did, now)

    async def resolve(self, did: str) -> Resolution:
        """The document of *did*, a DID without path, query or fragment. Raises `DidError`."""
        held = self.held(did)
        if held is not None:
            return held
        parsed = parse_did(did)
        method = self._methods.get(parsed.method)
        if method is None:
            raise DidError(DidFault.METHOD_NOT_SUPPORTED, f"did:{parsed.method[:32]} is not supported")
        try:
            outcome = await self._flights.join(did, lambda: self._resolve(parsed, method))
        except FlightRefusedError as error:
            fault = DidFault.CLOSED if error.closed else DidFault.BUSY
            raise DidError(fault, "no further resolution is begun") from error
        if isinstance(outcome, DidError):
            raise outcome.again()
        return outcome

    async def aclose(self) -> None:
        """End what is under way and refuse what comes, both with `CLOSED`. Idempotent."""
        await self._flights.aclose()

    async def _resolve(self, did: Did, method: MethodResolver) -> Resolution | DidError:
        try:
            resolution = _require_active(await method.resolve(did))
        except DidError as error:
            self._keep_failure(did.text, error)
            return error
        except asyncio.CancelledError:
            # Only `aclose` cancels a flight; those who wait for it are not canceled themselves.
            return DidError(DidFault.CLOSED, "the resolver was closed")
        self._keep(did.text, resolution)
        return resolution

    def _keep(self, did: str, resolution: Resolution) -> None:
        cache = self._computed if resolution.lifetime is None else self._fetched
        lifetime = math.inf if resolution.lifetime is None else resolution.lifetime
        size = resolution.size + len(did) + _OVERHEAD
        cache.put(did, resolution, now=self._clock(), lifetime=lifetime, size=size)

    def _keep_failure(self, did: str, error: DidError) -> None:
        logger.info("A DID was not resolved: %s", error)
        kept = error.again()
        kept.__cause__ = None  # The cause's traceback would keep alive what the failed call held.
        size = len(did) + _OVERHEAD
        now, lifetime = self._clock(), self._limits.failure_lifetime
        self._failures.put(did, kept, now=now, lifetime=lifetime, size=size)


def _require_active(resolution: Resolution) -> Resolution:
    if resolution.document.deactivated:
        raise DidError(DidFault.DEACTIVATED, "the document says that the DID is deactivated")
    return resolution


def default_methods(
    client: GuardedClient,
    *,
    web_policy: FetchPolicy = DID_WEB_POLICY,
    ion_policy: IonPolicy | None = None,
    ion_node: SidetreeNode | None = None,
) -> Mapping[str, MethodResolver]:
    """The table of every method that the gateway knows."""
    return MappingProxyType(
        {
            "web": WebResolver(client, policy=web_policy),
            "ion": IonResolver(ion_policy, ion_node),
            "jwk": JwkResolver(),
            "key": KeyResolver(),
        }
    )
