"""The keys and certificates of a client: registered, or published by itself at its `jwks_uri` (RFC 7591 §2).

A published set is fetched in the call that needs it, by one call at a time, and kept as long as its publisher
says, within bounds. What it lacks is looked for once more in a set fetched anew, so that a client can rotate;
how often is bounded, so that whoever names keys at random costs the publisher little. While the publisher is
down the last good set is used, for a bounded time; then nobody is let in.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Final, Self, TypeVar
from urllib.parse import urlsplit

from gateway.clock import Clock
from gateway.errors import AuthenticationError, Reason
from gateway.fetching import (
    ClientLimits,
    FetchError,
    FetchFault,
    FetchPolicy,
    FetchRequest,
    GuardedClient,
    freshness_lifetime,
)
from gateway.fetching.urls import DEFAULT_PORTS, parse_url
from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.jwk import Jwk, JwkSet
from gateway.oidc.errors import OidcFault, ProviderError
from gateway.oidc.refreshing import Refreshed, Refreshing, RefreshPolicy
from gateway.tokens.client import Client

CLIENT_KEYS_LIMITS: Final = ClientLimits(total=16, per_host=4, waiting=128)
"""Of a client that only fetches keys: publishers that are slow take no room from anything else."""
MAX_JWKS_URI: Final = 2048  # characters
MAX_PUBLISHED_KEYS: Final = 64
_MAX_SETS: Final = 1_000
_OK: Final = 200
_TYPES: Final = ("application/json", "application/jwk-set+json")
_REQUESTS: Final = FetchPolicy(deadline=4.0, connect_timeout=2.0, max_body=65_536)
_REFRESH: Final = RefreshPolicy(min_age=60, max_age=3_600, default_age=600, outage_limit=14_400)

Found = TypeVar("Found")


@dataclass(slots=True)
class _Published:
    """The set at one URI, and the renewal under way, if there is one."""

    keys: Refreshing[JwkSet]
    renewal: asyncio.Task[tuple[JwkSet, int]] | None = None

    def renewed(self, generation: int, since: float) -> asyncio.Task[tuple[JwkSet, int]]:
        """As `Refreshing.renewed`, to the end even if every caller leaves.

        A caller who names a key at random and hangs up would else use up the renewals of the others.
        """
        if self.renewal is None or self.renewal.done():
            self.renewal = asyncio.create_task(self.keys.renewed(generation, since=since))
            self.renewal.add_done_callback(_settle)
        return self.renewal


class ClientKeys:
    """Finds keys of clients. An async context manager, which ends the renewals that nobody waits for any
    more; belongs to one event loop.

    At most *capacity* published sets are kept; the one that was not used for longest makes room.
    """

    def __init__(
        self,
        fetcher: GuardedClient,
        *,
        clock: Clock,
        refresh: RefreshPolicy = _REFRESH,
        capacity: int = _MAX_SETS,
    ) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._refresh = refresh
        self._capacity = capacity
        # By URI and not by client, so that a changed registration counts at once.
        self._published: OrderedDict[str, _Published] = OrderedDict()
        self._renewals: set[asyncio.Task[tuple[JwkSet, int]]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._fetcher.close()
        renewals = tuple(self._renewals)
        for renewal in renewals:
            renewal.cancel()
        await asyncio.gather(*renewals, return_exceptions=True)

    async def find(self, client: Client, look: Callable[[JwkSet], Found]) -> Found:
        """What *look* finds in the keys of *client*.

        *look* raises `JoseError` KEY_NOT_FOUND where it finds nothing; it is then called once more if there
        is a newer set. Raises that error, and `AuthenticationError` INVALID_CLIENT where there are no keys,
        or none that are recent enough to say no: it tells a caller no more than any other refusal does.
        """
        if client.jwks is not None:
            return look(client.jwks)
        if client.jwks_uri is None:
            raise _refused("jwks_missing")
        published = self._set_at(client.jwks_uri)
        started = self._clock()
        try:
            keys, generation = await published.keys.get()
            try:
                return look(keys)
            except JoseError as error:
                if error.code is not JoseFault.KEY_NOT_FOUND:
                    raise
            renewal = published.renewed(generation, started)
            self._renewals.add(renewal)
            renewal.add_done_callback(self._renewals.discard)
            keys, _ = await asyncio.shield(renewal)
        except ProviderError as error:
            raise _refused(f"jwks_uri_{error.fault.removeprefix('provider_')}") from error
        return look(keys)

    def _set_at(self, uri: str) -> _Published:
        published = self._published.get(uri)
        if published is None:
            while len(self._published) >= self._capacity:
                self._published.popitem(last=False)
            published = self._published[uri] = _Published(
                Refreshing(
                    lambda: self._fetch(uri),
                    what=f"Client keys at {urlsplit(uri).hostname}",
                    policy=self._refresh,
                    clock=self._clock,
                )
            )
        self._published.move_to_end(uri)
        return published

    async def _fetch(self, uri: str) -> Refreshed[JwkSet]:
        """Raises `ProviderError`: what the publisher does wrong is an outage of its own."""
        pause = self._refresh.retry_interval
        try:
            policy = jwks_request_policy(uri, self._fetcher.dialer.named_hosts)
            fetched = await self._fetcher.fetch(FetchRequest(uri, accept=_TYPES), policy)
        except FetchError as error:
            message = f"the request ended as {error.fault}"
            raise ProviderError(OidcFault.PROVIDER_UNREACHABLE, message, retry_after=pause) from error
        if fetched.status != _OK:
            message = f"the publisher answered {fetched.status}"
            raise ProviderError(OidcFault.PROVIDER_STATUS, message, retry_after=pause)
        try:
            keys = JwkSet.parse(fetched.body, max_keys=MAX_PUBLISHED_KEYS, ignore_unsupported=True)
        except JoseError as error:
            message = f"the key set was refused as {error.code}"
            raise ProviderError(OidcFault.KEYS_INVALID, message, member=error.member) from error
        return Refreshed(keys, freshness_lifetime(fetched))


def with_certificate(keys: JwkSet, certificate: bytes) -> Jwk:
    """The key whose own certificate (the first of its ``x5c``) is *certificate*, DER (RFC 8705 §2.2).

    Raises `JoseError` KEY_NOT_FOUND.
    """
    for key in keys.keys:
        if key.x5c and key.x5c[0] == certificate:
            return key
    raise JoseError(JoseFault.KEY_NOT_FOUND, "no key of the set has the certificate", member="x5c")


def jwks_request_policy(uri: str, named_hosts: frozenset[str] = frozenset()) -> FetchPolicy:
    """How *uri* is fetched; an administrator registered it, so that its own port is allowed.

    *named_hosts*: those of the operator's own networks, which may have names that the Internet has not.
    Raises `FetchError` where it never is: it is not ``https``, too long, without a host name, or malformed.
    """
    if len(uri) > MAX_JWKS_URI:
        raise FetchError(FetchFault.URL_MALFORMED, f"at most {MAX_JWKS_URI} characters")
    target = parse_url(uri, named_hosts=named_hosts)
    policy = replace(_REQUESTS, ports=frozenset({DEFAULT_PORTS["https"], target.port}))
    policy.check(target)
    return policy


def _settle(renewal: asyncio.Task[tuple[JwkSet, int]]) -> None:
    """Take the outcome, so that a failure that nobody waited for is not reported as forgotten."""
    if not renewal.cancelled():
        renewal.exception()


def _refused(cause: str) -> AuthenticationError:
    return AuthenticationError(Reason.INVALID_CLIENT, "Client authentication failed.", cause=cause)
