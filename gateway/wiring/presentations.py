"""Presentations from the configuration: the gateway's DID, the resolver of others' DIDs, and the verifiers.

Imported only where verifiers are configured: what it needs comes with the extra ``presentations``.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from types import MappingProxyType
from urllib.parse import quote, urlsplit

from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock
from gateway.config import ConfigurationError, Settings
from gateway.dids import (
    DidError,
    DidResolver,
    IonPolicy,
    IonState,
    MethodResolver,
    SidetreeNode,
    default_methods,
    parse_did,
)
from gateway.dids.did_web import DID_WEB_POLICY
from gateway.fetching import (
    DangerousLoopbackDoor,
    FetchError,
    GuardedClient,
    Resolver,
    parse_inner_network,
)
from gateway.keys.keyring import Keyring
from gateway.presentations.core import Presentations
from gateway.presentations.issuer_checks import IssuerChecks
from gateway.presentations.linked_domains import (
    LINKAGE_POLICY,
    LinkagePolicy,
    LinkedDomains,
    declared_origins,
)
from gateway.presentations.origins import Origin, parse_origin
from gateway.presentations.own_did import OwnDid
from gateway.presentations.own_linkage import OwnDidConfiguration
from gateway.presentations.request import ResponseMode
from gateway.presentations.requests import PresentationRequests, RequestSettings
from gateway.presentations.status import OnUnknown, StatusPolicy
from gateway.presentations.status_lists import LIST_POLICY, ListLimits, StatusLists
from gateway.presentations.submissions import PresentationSubmissions
from gateway.presentations.verification import PresentationVerifier
from gateway.presentations.verifier import Display, LinkageRule, Policy, Verifier, Verifiers
from gateway.presentations.watches import RequestWatches
from gateway.settings.presentations import ANY_ISSUER, VerifierSettings
from gateway.store import Store

REQUESTS_PATH = "/presentations/requests"
RESPONSE_PATH = "/presentations/response"


@asynccontextmanager
async def open_presentations(
    settings: Settings,
    store: Store,
    keyring: Keyring,
    resolver: Resolver,
    *,
    clock: Clock,
    trail: AuditTrail = NO_TRAIL,
) -> AsyncIterator[Presentations]:
    """The use cases; leaving the context ends what is under way. Raises `ConfigurationError`."""
    async with AsyncExitStack() as stack:
        client = _client(settings, resolver)
        stack.callback(client.close)
        dids = DidResolver(_methods(settings, client, resolver), clock=clock)
        stack.push_async_callback(dids.aclose)
        ports = frozenset(settings.presentations.ports)
        lists = StatusLists(
            client, dids, limits=ListLimits(fetch=replace(LIST_POLICY, ports=ports)), clock=clock
        )
        stack.push_async_callback(lists.aclose)
        linkage = LinkagePolicy(fetch=replace(LINKAGE_POLICY, ports=ports))
        domains = LinkedDomains(client, policy=linkage, clock=clock)
        stack.push_async_callback(domains.aclose)
        own_did = await _own_did(settings, keyring, dids)
        verifiers = _verifiers(settings, own_did.did.text)
        verifier = PresentationVerifier(
            dids,
            IssuerChecks(lists, domains),
            deadline=settings.presentations.deadline,
            clock=clock,
            trail=trail,
        )
        submissions = PresentationSubmissions(verifiers, store.presentation_requests, verifier, clock=clock)
        stack.push_async_callback(submissions.aclose)
        watches = await stack.enter_async_context(RequestWatches(store.presentation_requests, clock=clock))
        yield Presentations(
            verifiers=verifiers,
            requests=PresentationRequests(
                verifiers,
                own_did,
                store.presentation_requests,
                watches,
                _request_settings(settings),
                clock=clock,
            ),
            submissions=submissions,
            verifier=verifier,
            own_did=own_did,
            own_linkage=_own_linkage(settings, own_did, clock),
        )


def _request_settings(settings: Settings) -> RequestSettings:
    return RequestSettings(
        request_base=settings.public_url + REQUESTS_PATH,
        response_uri=settings.public_url + RESPONSE_PATH,
        lifetime=settings.presentations.request_lifetime,
        retention=settings.presentations.retention,
    )


async def _own_did(settings: Settings, keyring: Keyring, resolver: DidResolver) -> OwnDid:
    """The DID that the gateway acts as. One that is no did:web brings its document."""
    configured = settings.presentations
    did = parse_did(configured.did or _did_web(settings.public_url))
    try:
        document = None if did.method == "web" else (await resolver.resolve(did.text)).document
    except DidError as error:
        raise ConfigurationError(f"presentations.did: it does not resolve: {error}.") from error
    return OwnDid(
        did, keyring, algorithm=configured.algorithm, origins=own_origins(settings), document=document
    )


def _own_linkage(settings: Settings, own_did: OwnDid, clock: Clock) -> OwnDidConfiguration | None:
    """The proof of the origins that the document declares; None where it declares none of ours."""
    declared = set(declared_origins(own_did.document()))
    origins = [each for each in own_origins(settings) if str(each) in declared]
    return OwnDidConfiguration(own_did, origins, clock=clock) if origins else None


def own_origins(settings: Settings) -> tuple[Origin, ...]:
    """The origins that the gateway's DID is linked to."""
    return tuple(parse_origin(each) for each in settings.presentations.origins or (settings.public_url,))


def _did_web(public_url: str) -> str:
    return f"did:web:{quote(urlsplit(public_url).netloc, safe='')}"


def _client(settings: Settings, resolver: Resolver) -> GuardedClient:
    return GuardedClient(resolver, door=_door(settings))


def _door(settings: Settings) -> DangerousLoopbackDoor | None:
    configured = settings.presentations
    if configured.loopback_ca is None:
        return None
    path = settings.path(configured.loopback_ca)
    try:
        ca_pem = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"presentations.loopback_ca: {path} cannot be read: {error}; name a PEM file of roots."
        ) from error
    return DangerousLoopbackDoor(names=frozenset(configured.loopback_names), ca_pem=ca_pem)


def _methods(settings: Settings, client: GuardedClient, resolver: Resolver) -> Mapping[str, MethodResolver]:
    configured = settings.presentations
    policy = IonPolicy(
        state=IonState(configured.ion_state),
        unsafe_non_canonical_ion=configured.unsafe_non_canonical_ion,
        test_network=configured.ion_test_network,
    )
    web_policy = replace(DID_WEB_POLICY, ports=frozenset(configured.ports))
    node = _node(settings, client, resolver)
    return default_methods(client, web_policy=web_policy, ion_policy=policy, ion_node=node)


def _node(settings: Settings, client: GuardedClient, resolver: Resolver) -> SidetreeNode | None:
    configured = settings.presentations
    if configured.ion_node is None:
        return None
    try:
        networks = [parse_inner_network(each) for each in configured.ion_networks]
        host = urlsplit(configured.ion_node).hostname or ""
        # A node inside the company has a client of its own: its networks are open to nobody else.
        own = GuardedClient(resolver, inner_hosts={host: networks}) if networks else client
        return SidetreeNode(own, configured.ion_node)
    except (ValueError, FetchError) as error:
        raise ConfigurationError(f"presentations.ion_node: {error}.") from error


def _verifiers(settings: Settings, client_id: str) -> Verifiers:
    by_name = {each.name: _verifier(each, client_id) for each in settings.verifiers}
    if len(by_name) != len(settings.verifiers):
        raise ConfigurationError("verifiers: two have one name; give each a name of its own.")
    return Verifiers(MappingProxyType(by_name))


def _verifier(configured: VerifierSettings, client_id: str) -> Verifier:
    return Verifier(
        name=configured.name,
        client_id=client_id,
        policy=_policy(configured),
        display=Display(
            configured.client_name, configured.client_purpose, configured.logo_uri, configured.tos_uri
        ),
        callers=frozenset(configured.callers),
        response_mode=ResponseMode(configured.response_mode),
        response_origins=frozenset(configured.response_origins),
    )


def _policy(configured: VerifierSettings) -> Policy:
    trusted = configured.trusted_issuers
    return Policy(
        trusted_issuers=None if ANY_ISSUER in trusted else frozenset(trusted),
        did_methods=frozenset(configured.did_methods),
        algorithms=frozenset(configured.algorithms),
        require_assertion_method=configured.require_assertion_method,
        equivalent_holder=configured.equivalent_holder,
        issuer_linkage=LinkageRule(configured.issuer_linkage),
        status=StatusPolicy(
            on_unknown=OnUnknown(configured.status_unavailable),
            required=configured.status_required,
            list_issuers={
                issuer: frozenset(others) for issuer, others in configured.status_list_issuers.items()
            },
            leeway=configured.clock_skew,
            max_age=configured.status_max_age,
        ),
        max_age=configured.max_age,
        max_lifetime=configured.max_lifetime,
        clock_skew=configured.clock_skew,
    )
