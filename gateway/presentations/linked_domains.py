"""Linked domains of an issuer or a verifier, checked in both directions.

The DID document declares origins in services of type ``LinkedDomains``, and each origin must hold a Domain
Linkage Credential of that DID. One direction alone proves nothing: anybody can name an origin, and anybody
can host a credential.
"""

import asyncio
import logging
from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock, system_clock
from gateway.dids import DidDocument
from gateway.dids.cache import BoundedCache
from gateway.dids.flights import FlightRefusedError, Flights
from gateway.fetching import (
    Fetched,
    FetchError,
    FetchFault,
    FetchPolicy,
    FetchRequest,
    GuardedClient,
    freshness_lifetime,
)
from gateway.presentations.did_configuration import (
    MAX_CONFIGURATION,
    DidConfiguration,
    parse_did_configuration,
)
from gateway.presentations.domain_linkage_credential import (
    DomainLinkage,
    issuer_of,
    verify_domain_linkage_credential,
)
from gateway.presentations.linkage_errors import LinkageError, LinkageFault
from gateway.presentations.origins import Origin, parse_origin

logger = logging.getLogger(__name__)

SERVICE_TYPE: Final = "LinkedDomains"
WELL_KNOWN_PATH: Final = "/.well-known/did-configuration.json"
MAX_ORIGINS: Final = 8  # of one document that are looked at

_MEDIA_TYPES: Final = ("application/json", "application/ld+json")
_NOT_FOUND: Final = frozenset({404, 410})
_TOO_MANY_REQUESTS: Final = 429


LINKAGE_POLICY: Final = FetchPolicy(deadline=5.0, max_body=MAX_CONFIGURATION, max_redirects=2)


@dataclass(frozen=True, slots=True)
class LinkagePolicy:
    """Bounds of `LinkedDomains`.

    - `fetch`: for the resource; redirects stay within the origin, as the guarded client has it.
    - `default_lifetime`, `max_lifetime`: seconds for which a resource is kept that says nothing of it, and at
      most. `failure_lifetime`: seconds for which a failed fetch is remembered.
    - `entries`, `max_size`, `flights`: resources kept, their octets together, and fetches under way at once.
    - `leeway`: seconds of clock difference forgiven to a credential.
    """

    fetch: FetchPolicy = LINKAGE_POLICY
    default_lifetime: float = 300.0
    max_lifetime: float = 3600.0
    failure_lifetime: float = 5.0
    entries: int = 256
    max_size: int = 8 * 1024 * 1024
    flights: int = 64
    leeway: int = 60


@dataclass(frozen=True, slots=True)
class OriginOutcome:
    """How one declared origin went; exactly one of *linkage* and *error* is there."""

    origin: str
    linkage: DomainLinkage | None = None
    error: LinkageError | None = None


class LinkedDomains:
    """Verifies linked domains. Belongs to one event loop; `aclose` ends fetches under way."""

    def __init__(
        self, client: GuardedClient, *, policy: LinkagePolicy | None = None, clock: Clock = system_clock
    ) -> None:
        self._client = client
        self._policy = policy or LinkagePolicy()
        self._clock = clock
        self._kept = BoundedCache[DidConfiguration | LinkageError](
            max_entries=self._policy.entries, max_size=self._policy.max_size
        )
        self._flights = Flights[DidConfiguration | LinkageError](self._policy.flights)

    async def check_all(self, document: DidDocument) -> tuple[OriginOutcome, ...]:
        """The outcome of every origin that *document* declares, in its order, fetched side by side.

        Origins beyond the first `MAX_ORIGINS` are not asked: `TOO_MANY_ORIGINS`. Raises `LinkageError` with
        `NO_LINKED_DOMAIN` where there is none.
        """
        declared = declared_origins(document)
        if not declared:
            raise LinkageError(LinkageFault.NO_LINKED_DOMAIN, "the document declares no linked domain")
        asked, left = declared[:MAX_ORIGINS], declared[MAX_ORIGINS:]
        outcomes = await asyncio.gather(*(self._outcome(document, text) for text in asked))
        message = f"only {MAX_ORIGINS} origins are looked at"
        refused = (
            OriginOutcome(text, error=LinkageError(LinkageFault.TOO_MANY_ORIGINS, message)) for text in left
        )
        return (*outcomes, *refused)

    async def require(self, document: DidDocument) -> DomainLinkage:
        """The first origin, in the document's order, that links back.

        Raises the `LinkageError` of the first origin where none does, an unanswered one before the others:
        as long as an origin could not be asked, the answer is not no.
        """
        outcomes = await self.check_all(document)
        for outcome in outcomes:
            if outcome.linkage is not None:
                return outcome.linkage
        errors = [outcome.error for outcome in outcomes if outcome.error is not None]
        raise next((error for error in errors if error.transient), errors[0])

    async def check_origin(self, document: DidDocument, origin: str) -> DomainLinkage:
        """Verify the link between *document*'s DID and *origin* in both directions. Raises `LinkageError`."""
        parsed = parse_origin(origin)
        if parsed not in _parsed(declared_origins(document)):
            raise LinkageError(LinkageFault.ORIGIN_NOT_DECLARED, "the document does not declare the origin")
        configuration = await self._configuration(parsed)
        return self._verify(configuration, document, parsed)

    async def aclose(self) -> None:
        """End fetches under way and refuse new ones. Idempotent."""
        await self._flights.aclose()

    async def _outcome(self, document: DidDocument, text: str) -> OriginOutcome:
        try:
            return OriginOutcome(text, linkage=await self.check_origin(document, text))
        except LinkageError as error:
            logger.info("A linked domain was not verified: %s", error)
            return OriginOutcome(text, error=error)

    def _verify(
        self, configuration: DidConfiguration, document: DidDocument, origin: Origin
    ) -> DomainLinkage:
        """Each credential counts for itself; of several that fail, the first one's error is told."""
        failure: LinkageError | None = None
        for token in configuration.credentials:
            try:
                if issuer_of(token) != document.id.text:
                    continue
                return verify_domain_linkage_credential(
                    token, document, origin, now=int(self._clock()), leeway=self._policy.leeway
                )
            except LinkageError as error:
                # A token that nobody can read is somebody else's, if this DID has one that can be.
                malformed = error.fault is LinkageFault.MALFORMED_CREDENTIAL
                if failure is None or (failure.fault is LinkageFault.MALFORMED_CREDENTIAL and not malformed):
                    failure = error
        if failure is not None:
            raise failure
        if configuration.json_ld:
            message = "only credentials with Linked Data Proofs are left, which are not verified"
            raise LinkageError(LinkageFault.JSON_LD_UNSUPPORTED, message)
        raise LinkageError(LinkageFault.NO_CREDENTIAL, "the origin has no credential of this DID")

    async def _configuration(self, origin: Origin) -> DidConfiguration:
        key = str(origin)
        outcome = self._kept.get(key, self._clock())
        if outcome is None:
            try:
                outcome = await self._flights.join(key, lambda: self._fetch(origin))
            except FlightRefusedError as error:
                raise LinkageError(LinkageFault.UNREACHABLE, "no further fetch is begun") from error
        if isinstance(outcome, LinkageError):
            raise outcome.again()
        return outcome

    async def _fetch(self, origin: Origin) -> DidConfiguration | LinkageError:
        request = FetchRequest(f"{origin}{WELL_KNOWN_PATH}", accept=_MEDIA_TYPES)
        try:
            fetched = await self._ask(request)
            configuration = parse_did_configuration(fetched.body)
        except LinkageError as error:
            self._keep(origin, error.again(), self._policy.failure_lifetime, 0)
            return error
        except asyncio.CancelledError:
            # Only `aclose` cancels a flight; those who wait for it are not canceled themselves.
            return LinkageError(LinkageFault.UNREACHABLE, "the check was closed")
        lifetime: float | None = freshness_lifetime(fetched)
        lifetime = self._policy.default_lifetime if lifetime is None else lifetime
        self._keep(origin, configuration, min(lifetime, self._policy.max_lifetime), len(fetched.body))
        return configuration

    async def _ask(self, request: FetchRequest) -> Fetched:
        try:
            fetched = await self._client.fetch(request, self._policy.fetch)
        except FetchError as error:
            raise LinkageError(_fault(error), f"the fetch failed: {error.fault}") from error
        if fetched.status in _NOT_FOUND:
            raise LinkageError(LinkageFault.NOT_FOUND, f"the answer is {fetched.status}")
        if fetched.status == _TOO_MANY_REQUESTS or fetched.status >= 500:  # noqa: PLR2004 - RFC 9110 §15.6.
            raise LinkageError(LinkageFault.UNREACHABLE, f"the answer is {fetched.status}")
        if fetched.status != 200:  # noqa: PLR2004 - RFC 9110 §15.3.1.
            raise LinkageError(LinkageFault.FETCH_REFUSED, f"the answer is {fetched.status}")
        return fetched

    def _keep(
        self, origin: Origin, outcome: DidConfiguration | LinkageError, lifetime: float, size: int
    ) -> None:
        self._kept.put(str(origin), outcome, now=self._clock(), lifetime=lifetime, size=size + 1024)


def declared_origins(document: DidDocument) -> tuple[str, ...]:
    """The origins of *document*'s ``LinkedDomains`` services as spelled, without repetition."""
    found: dict[str, None] = {}
    for service in document.services_of(SERVICE_TYPE):
        for endpoint in service.endpoints:
            texts = (endpoint.uri,) if endpoint.uri is not None else endpoint.texts("origins")
            found.update(dict.fromkeys(texts))
    return tuple(found)


def _parsed(texts: tuple[str, ...]) -> frozenset[Origin]:
    origins = set()
    for text in texts:
        try:
            origins.add(parse_origin(text))
        except LinkageError:
            continue  # It is nobody's origin; `check_all` reports it under its own name.
    return frozenset(origins)


def _fault(error: FetchError) -> LinkageFault:
    if error.fault is FetchFault.BODY_TOO_LARGE:
        return LinkageFault.CONFIGURATION_TOO_LARGE
    return LinkageFault.UNREACHABLE if error.transient else LinkageFault.FETCH_REFUSED
