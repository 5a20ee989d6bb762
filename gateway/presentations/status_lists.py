"""Status lists: fetched over HTTPS or from an Identity Hub, verified once, and kept for a while."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from gateway.clock import Clock, system_clock
from gateway.dids import (
    Did,
    DidDocument,
    DidError,
    DidResolver,
    Relationship,
    parse_did,
    parse_did_url,
    verify_did_jws,
)
from gateway.dids.cache import BoundedCache
from gateway.dids.did_url import MAX_DID_URL
from gateway.dids.flights import FlightRefusedError, Flights
from gateway.fetching import FetchError, FetchPolicy, FetchRequest, GuardedClient, freshness_lifetime
from gateway.jose import CompactJws, JoseError, JoseFault, parse_compact
from gateway.jose.strict_json import parse_object
from gateway.presentations.identity_hub import MAX_ANSWER, HubError, IdentityHub
from gateway.presentations.status import (
    MAX_TOKEN,
    FetchedList,
    KeptList,
    ListSource,
    StatusError,
    StatusPolicy,
    StatusReport,
    Unreachable,
    VerifiedToken,
    check_status,
    parse_entries,
)

logger = logging.getLogger(__name__)

_ACCEPT: Final = (
    "application/statuslist+jwt",
    "application/vc+jwt",
    "application/jwt",
    "application/vc-ld+jwt",
    "text/plain",
)
_SUCCESS: Final = 200
_MAX_DEPTH: Final = 16
_LARGE: Final = 128 * 1024  # octets; above, reading a list is for a thread
_ISSUERS: Final = frozenset({Relationship.ASSERTION_METHOD})
_ANY_KEY: Final = frozenset({Relationship.ASSERTION_METHOD, Relationship.AUTHENTICATION})


LIST_POLICY: Final = FetchPolicy(deadline=5.0, max_body=MAX_TOKEN, max_redirects=2)


@dataclass(frozen=True, slots=True)
class ListLimits:
    """Bounds of `StatusLists`.

    - `fetch`: for a list over HTTPS, and but for size and redirects for one from a hub.
    - `default_lifetime`, `max_lifetime`: seconds for which a list is kept that says nothing, and at most.
    - `failure_lifetime`: seconds for which a failed fetch is remembered.
    - `entries`, `max_size`, `flights`: lists kept, their octets together, and fetches under way at once.
    """

    fetch: FetchPolicy = LIST_POLICY
    default_lifetime: float = 300.0
    max_lifetime: float = 3600.0
    failure_lifetime: float = 5.0
    entries: int = 256
    max_size: int = 64 * 1024 * 1024
    flights: int = 32


@dataclass(frozen=True, slots=True)
class _Source:
    """A list as had, and the document of who signed it, where it names somebody who could be resolved."""

    source: ListSource
    document: DidDocument | None = None
    lifetime: float | None = None


class StatusLists:
    """Checks statuses. Belongs to one event loop; `aclose` ends fetches under way."""

    def __init__(
        self,
        client: GuardedClient,
        resolver: DidResolver,
        *,
        limits: ListLimits | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._client = client
        self._resolver = resolver
        self._limits = limits or ListLimits()
        hub = replace(self._limits.fetch, max_body=MAX_ANSWER, max_redirects=0)
        self._hub = IdentityHub(client, resolver, policy=hub)
        self._clock = clock
        self._kept = BoundedCache[_Source](max_entries=self._limits.entries, max_size=self._limits.max_size)
        self._flights = Flights[_Source](self._limits.flights)

    async def check(
        self, payload: Mapping[str, Any], issuer: str, policy: StatusPolicy, *, require_assertion_method: bool
    ) -> StatusReport:
        """Check the status of the credential *payload*, verified as of *issuer*, as it is now.

        With *require_assertion_method* a list's key must stand under it. Raises nothing for what a credential
        or a list says.
        """
        relationships = _ISSUERS if require_assertion_method else _ANY_KEY
        try:
            uris = tuple(dict.fromkeys(entry.uri for entry in parse_entries(payload)))
        except StatusError:
            uris = ()  # `check_status` reports it.
        # What was verified under one rule about keys says nothing under the other.
        prefix = "assertion " if require_assertion_method else "any "
        had = await asyncio.gather(*(self._had(prefix, uri) for uri in uris)) if uris else ()
        found = dict(zip(uris, had, strict=True))
        sources = {uri: each.source for uri, each in found.items()}
        documents = {each.document.id.text: each.document for each in had if each.document is not None}

        def verify(token: str) -> VerifiedToken:
            return _verify(token, documents, relationships)

        now = self._clock()
        large = any(isinstance(each, FetchedList) and len(each.body) > _LARGE for each in sources.values())
        if large:
            report = await asyncio.to_thread(
                check_status, payload, issuer, sources, verify, now=now, policy=policy
            )
        else:
            report = check_status(payload, issuer, sources, verify, now=now, policy=policy)
        self._keep_read(prefix, report.lists, found)
        return report

    async def aclose(self) -> None:
        """End fetches under way and refuse new ones. Idempotent."""
        await self._flights.aclose()

    async def _had(self, prefix: str, uri: str) -> _Source:
        now = self._clock()
        kept = self._kept.get(prefix + uri, now) or self._kept.get(uri, now)
        if kept is not None:
            return kept
        try:
            return await self._flights.join(uri, lambda: self._fetch(uri))
        except FlightRefusedError as error:
            return _Source(Unreachable("closed" if error.closed else "busy"))

    async def _fetch(self, uri: str) -> _Source:
        lifetime: float | None = None
        try:
            if uri.startswith("did:"):
                body = await self._hub.fetch(uri)
            else:
                body, lifetime = await self._get(uri)
        except (FetchError, HubError) as error:
            reason = error.fault if isinstance(error, FetchError) else error.reason
            logger.info("A status list could not be had: %s", reason)
            return self._failed(uri, reason)
        except asyncio.CancelledError:
            # Only `aclose` cancels a flight; those who wait for it are not canceled themselves.
            return _Source(Unreachable("closed"))
        source = FetchedList(body, self._clock())
        try:
            signer = await asyncio.to_thread(_signer_of, body) if len(body) > _LARGE else _signer_of(body)
            resolution = await self._resolver.resolve(signer.text)
        except JoseError:
            return _Source(source, lifetime=lifetime)  # Reading it says what is wrong with it.
        except DidError as error:
            if error.transient:
                return self._failed(uri, error.outcome)
            return _Source(source, lifetime=lifetime)
        return _Source(source, resolution.document, lifetime)

    async def _get(self, uri: str) -> tuple[bytes, float | None]:
        fetched = await self._client.fetch(FetchRequest(uri, accept=_ACCEPT), self._limits.fetch)
        if fetched.status != _SUCCESS:
            raise HubError(f"http_{fetched.status}")
        return fetched.body, freshness_lifetime(fetched)

    def _failed(self, uri: str, reason: str) -> _Source:
        source = _Source(Unreachable(reason))
        lifetime = self._limits.failure_lifetime
        self._kept.put(uri, source, now=self._clock(), lifetime=lifetime, size=len(uri) + 1024)
        return source

    def _keep_read(self, prefix: str, lists: Mapping[str, KeptList], found: Mapping[str, _Source]) -> None:
        """Keep what was read and verified now; the key that verified it stands in a document of now, too."""
        for uri, read in lists.items():
            source = found.get(uri)
            if source is None or isinstance(source.source, KeptList):
                continue
            status_list, limits = read.status_list, self._limits
            lifetime = limits.default_lifetime if source.lifetime is None else source.lifetime
            if status_list.ttl is not None:
                lifetime = min(lifetime, status_list.ttl)
            if status_list.expires_at is not None:
                lifetime = min(lifetime, status_list.expires_at - self._clock())
            size = len(status_list.packed) + len(uri) + 1024
            lifetime = min(lifetime, limits.max_lifetime)
            self._kept.put(prefix + uri, _Source(read), now=self._clock(), lifetime=lifetime, size=size)


def _verify(
    token: str, documents: Mapping[str, DidDocument], any_of: frozenset[Relationship]
) -> VerifiedToken:
    """`TokenVerifier` over *documents*, which were resolved before."""
    jws, claims, signer = _read(token)
    document = documents.get(signer.text)
    if document is None:
        raise JoseError(JoseFault.SIGNATURE_INVALID, "the signer of the list is not resolved")
    try:
        verify_did_jws(jws, document, any_of=any_of)
    except DidError as error:
        raise JoseError(JoseFault.SIGNATURE_INVALID, f"the key is refused: {error.fault}") from error
    return VerifiedToken(signer.text, jws.header.typ, MappingProxyType(claims))


def _signer_of(body: bytes) -> Did:
    try:
        return _read(body.decode("ascii").strip(" \t\r\n"))[2]
    except UnicodeDecodeError as error:
        raise JoseError(JoseFault.MALFORMED_COMPACT, "the list is not a compact JWT") from error


def _read(token: str) -> tuple[CompactJws, dict[str, Any], Did]:
    """The parts of a list's token and who it says signed it: ``iss``, or else the DID of its ``kid``."""
    jws = parse_compact(token, max_size=MAX_TOKEN, max_kid=MAX_DID_URL)
    claims = parse_object(jws.payload, max_size=MAX_TOKEN, max_depth=_MAX_DEPTH)
    try:
        if "iss" in claims:
            issuer = claims["iss"]
            return jws, claims, parse_did(issuer if isinstance(issuer, str) else "")
        return jws, claims, parse_did_url(jws.header.kid or "").did
    except DidError as error:
        raise JoseError(JoseFault.CLAIM_INVALID, "the list names no DID as its issuer") from error
