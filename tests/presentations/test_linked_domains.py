"""Linked domains in both directions, against a real HTTPS host."""

import asyncio
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.fetching import FetchPolicy
from gateway.presentations.did_configuration import (
    MAX_CONFIGURATION,
    MAX_CREDENTIALS,
    did_configuration,
    parse_did_configuration,
)
from gateway.presentations.linkage_errors import LinkageError, LinkageFault
from gateway.presentations.linked_domains import (
    MAX_ORIGINS,
    LinkagePolicy,
    LinkedDomains,
    declared_origins,
)
from gateway.presentations.origins import Origin, parse_origin
from signers import Algorithm
from tests.support.dids import SettableClock, TestSigner, web_host
from tests.support.linkage import (
    CONTEXTS,
    NOW,
    changed,
    claims,
    configuration,
    credential,
    linked_document,
    signed,
    unlinked,
)
from tests.support.scripted_server import redirect, reply

PATH = "/.well-known/did-configuration.json"
KEY = TestSigner(Algorithm.ES256)


class Linked:
    """A host that is linked with its did:web, and the parts around it."""

    def __init__(self, host) -> None:
        self.host = host
        self.did, self.origin = host.did, host.origin
        self.clock = SettableClock(NOW)
        self.document = linked_document(KEY, self.did, self.origin)
        self.serve(configuration(self.good()))
        self.domains = LinkedDomains(host.client, clock=self.clock)

    def good(self) -> str:
        return credential(KEY, self.did, self.origin)

    def serve(self, body, **response) -> None:
        self.host.server.routes[PATH] = reply(body=body, **response)

    async def check(self):
        return await self.domains.check_origin(self.document, self.origin)


@pytest.fixture
async def linked():
    async with web_host() as host:
        yield Linked(host)


async def test_a_linked_domain_verifies_in_both_directions(linked):
    """The document names the origin, the origin has the DID's credential, and the link says so."""
    linkage = await linked.check()
    assert (linkage.did, str(linkage.origin)) == (linked.did, linked.origin)
    assert linkage.method_id == f"{linked.did}#k"


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("form", [lambda o: o, lambda o: [o], lambda o: {"origins": [o]}])
async def test_each_form_of_the_service_endpoint(linked, slash, form):
    """An endpoint is a text, a list of them, or an object with origins; a slash after it changes nothing."""
    linked.document = linked_document(KEY, linked.did, form(linked.origin + slash))
    assert await linked.check()


async def test_an_origin_that_the_document_does_not_name_is_refused(linked):
    """A credential at an origin proves nothing if the DID does not name it; nobody is asked."""
    linked.document = linked_document(KEY, linked.did, "https://other.example")
    with unlinked(LinkageFault.ORIGIN_NOT_DECLARED):
        await linked.check()
    assert linked.host.server.requests == []


async def test_a_document_without_linked_domains(linked):
    """A DID that names no origin has none."""
    with unlinked(LinkageFault.NO_LINKED_DOMAIN):
        await linked.domains.check_all(linked_document(KEY, linked.did))


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (configuration(), LinkageFault.NO_CREDENTIAL),
        (configuration({"proof": {}}), LinkageFault.JSON_LD_UNSUPPORTED),
        (configuration("x.y.z"), LinkageFault.MALFORMED_CREDENTIAL),
        (configuration(1), LinkageFault.INVALID_CONFIGURATION),
        (configuration(x=1), LinkageFault.INVALID_CONFIGURATION),
        (configuration(**{"@context": "https://other.example"}), LinkageFault.INVALID_CONFIGURATION),
        (configuration(**{"@context": CONTEXTS}), LinkageFault.INVALID_CONFIGURATION),
        (configuration(linked_dids={}), LinkageFault.INVALID_CONFIGURATION),
        (configuration(*["a"] * (MAX_CREDENTIALS + 1)), LinkageFault.INVALID_CONFIGURATION),
        (b"{}", LinkageFault.INVALID_CONFIGURATION),
        (b"[]", LinkageFault.INVALID_CONFIGURATION),
        (b'{"linked_dids":[],"linked_dids":[],"@context":"x"}', LinkageFault.INVALID_CONFIGURATION),
        (b'{"a":' * 5000, LinkageFault.INVALID_CONFIGURATION),
        (b" " * (MAX_CONFIGURATION + 1), LinkageFault.CONFIGURATION_TOO_LARGE),
        (b" " * 10_000_000, LinkageFault.CONFIGURATION_TOO_LARGE),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_each_rule_of_the_resource(linked, body, fault):
    """Each rule of the resource refuses with its own code, and hostile ones within the bounds."""
    linked.serve(body)
    with unlinked(fault):
        await linked.check()


@pytest.mark.parametrize(
    ("response", "fault"),
    [
        (reply(404), LinkageFault.NOT_FOUND),
        (reply(403), LinkageFault.FETCH_REFUSED),
        (reply(500), LinkageFault.UNREACHABLE),
        (reply(429), LinkageFault.UNREACHABLE),
        (reply(content_type="text/html"), LinkageFault.FETCH_REFUSED),
        (redirect("https://other.example/"), LinkageFault.FETCH_REFUSED),
    ],
)
async def test_each_answer_that_is_no_resource(linked, response, fault):
    """What the origin answers instead has its code; a redirect to another origin is not followed."""
    linked.host.server.routes[PATH] = response
    with unlinked(fault):
        await linked.check()


async def test_each_credential_counts_for_itself(linked):
    """Credentials of other DIDs, broken ones and those of the other form do not spoil a good one."""
    other = credential(KEY, "did:web:b.example", linked.origin)
    expired = changed(claims(linked.did, linked.origin), "exp", 1)
    linked.serve(configuration("broken", {}, other, signed(KEY, linked.did, expired), linked.good()))
    assert await linked.check()


async def test_the_credentials_own_error_is_told(linked):
    """Of what refused, the DID's own credential is told, and not somebody's malformed text."""
    forged = credential(TestSigner(Algorithm.ES256), linked.did, linked.origin)
    linked.serve(configuration("broken", forged, "broken"))
    with unlinked(LinkageFault.SIGNATURE_INVALID):
        await linked.check()


async def test_a_credential_for_another_origin_is_refused(linked):
    """A credential copied from another origin of the same DID links nothing here."""
    linked.serve(configuration(credential(KEY, linked.did, "https://other.example")))
    with unlinked(LinkageFault.ORIGIN_MISMATCH):
        await linked.check()


async def test_every_origin_has_its_outcome(linked):
    """All declared origins are reported in order: linked, refused, not an origin, and beyond the bound."""
    extra = [f"https://o{index}.example.com" for index in range(MAX_ORIGINS)]
    linked.document = linked_document(KEY, linked.did, ["no origin", linked.origin, *extra])
    outcomes = await linked.domains.check_all(linked.document)
    assert [outcome.origin for outcome in outcomes] == ["no origin", linked.origin, *extra]
    faults = [outcome.error.fault if outcome.error else None for outcome in outcomes]
    assert faults[:3] == [LinkageFault.INVALID_ORIGIN, None, LinkageFault.UNREACHABLE]
    assert faults[-2:] == [LinkageFault.TOO_MANY_ORIGINS] * 2
    assert (await linked.domains.require(linked.document)).did == linked.did


async def test_without_any_link_an_unanswered_origin_is_told_first(linked):
    """As long as an origin could not be asked the answer is unknown and not no."""
    linked.serve(configuration())
    linked.document = linked_document(KEY, linked.did, linked.origin, "https://down.example.com")
    with pytest.raises(LinkageError) as refused:
        await linked.domains.require(linked.document)
    assert refused.value.transient
    linked.document = linked_document(KEY, linked.did, linked.origin)
    with unlinked(LinkageFault.NO_CREDENTIAL):
        await linked.domains.require(linked.document)


@pytest.mark.parametrize(
    "origin",
    [
        "https://127.0.0.1",
        "https://10.0.0.1",
        "https://a.example%2F@b.example",
        "http://a.example",
    ],
)
async def test_inner_targets_are_never_asked(linked, origin):
    """An origin that is an address or no HTTPS is refused, whatever the document says."""
    linked.document = linked_document(KEY, linked.did, origin)
    with unlinked(LinkageFault.INVALID_ORIGIN):
        await linked.domains.require(linked.document)


async def test_localhost_is_an_origin_that_nobody_fetches_from(linked):
    """The name links in development; without the door of development the client refuses it."""
    linked.document = linked_document(KEY, linked.did, "https://localhost")
    with unlinked(LinkageFault.FETCH_REFUSED):
        await linked.domains.require(linked.document)


async def test_a_port_that_the_policy_does_not_list_is_refused(linked):
    """Other ports than 443 are for the policy to allow."""
    linked.document = linked_document(KEY, linked.did, "https://a.example.com:22")
    with unlinked(LinkageFault.FETCH_REFUSED):
        await linked.domains.require(linked.document)


async def test_the_resource_is_fetched_once_and_verified_each_time(linked):
    """A resource is kept for its lifetime, while its credentials are judged by the clock of each call."""
    linked.serve(configuration(linked.good()), headers={"Cache-Control": "max-age=3000"})
    await asyncio.gather(*(linked.check() for _ in range(5)))
    linked.clock.now += 2999
    await linked.check()
    assert len(linked.host.server.requests) == 1
    linked.clock.now += 1
    await linked.check()
    assert len(linked.host.server.requests) == 2


async def test_a_failure_is_remembered_for_a_moment(linked):
    """After a failed fetch the origin is left alone for the failure's lifetime."""
    linked.serve(b"{}")
    for _ in range(3):
        with unlinked(LinkageFault.INVALID_CONFIGURATION):
            await linked.check()
    assert len(linked.host.server.requests) == 1
    linked.clock.now += 5
    linked.serve(configuration(linked.good()))
    assert await linked.check()


async def test_a_host_that_hangs_is_left_at_the_deadline(linked):
    """A host that never answers costs the deadline and no more."""

    async def hang(_, writer):
        await writer.drain()
        await writer.wait_closed()

    linked.host.server.routes[PATH] = hang
    policy = LinkagePolicy(fetch=FetchPolicy(deadline=0.2))
    domains = LinkedDomains(linked.host.client, policy=policy, clock=linked.clock)
    with unlinked(LinkageFault.UNREACHABLE):
        await domains.check_origin(linked.document, linked.origin)


async def test_closing_ends_fetches_and_refuses_new_ones(linked):
    """A check that waits when it is closed is told that it could not be answered, as is a later one."""
    asked = asyncio.Event()

    async def hang(_, writer):
        asked.set()
        await writer.wait_closed()

    linked.host.server.routes[PATH] = hang
    waiting = asyncio.create_task(linked.check())
    await asked.wait()
    await linked.domains.aclose()
    with unlinked(LinkageFault.UNREACHABLE):
        await waiting
    with unlinked(LinkageFault.UNREACHABLE):
        await linked.check()


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("https://a.example", Origin("a.example")),
        ("https://A.EXAMPLE/", Origin("a.example")),
        ("https://a.example:443", Origin("a.example")),
        ("https://a.example:8443/", Origin("a.example", 8443)),
    ],
)
def test_origins_are_compared_as_parsed(text, origin):
    """Case, the default port and a slash at the end do not tell origins apart."""
    assert parse_origin(text) == origin
    assert parse_origin(str(origin)) == origin


@pytest.mark.parametrize(
    "text",
    ["", "a.example", "http://a.example", "https://a.example/x", "https://a.example?x", "https://[::1]"],
)
def test_what_is_no_origin_is_refused(text):
    """A missing or other scheme, a path, a query and an IP literal are no origin of ours."""
    with unlinked(LinkageFault.INVALID_ORIGIN):
        parse_origin(text)


def test_declared_origins_are_listed_once():
    """Services of other types and repetitions do not count."""
    service = {"id": "#x", "type": "Other", "serviceEndpoint": "https://x.example"}
    document = linked_document(KEY, "did:web:a.example", "https://a.example", ["https://a.example"])
    assert declared_origins(document) == ("https://a.example",)
    assert declared_origins(linked_document(KEY, "did:web:a.example", service=[service])) == ()


def test_a_resource_is_read_as_it_was_written():
    """What we publish is what we read."""
    assert parse_did_configuration(did_configuration(["a.b.c"])).credentials == ("a.b.c",)


@settings(max_examples=300, deadline=None)
@given(
    st.binary(max_size=80)
    | st.builds(
        lambda v: json.dumps({"@context": CONTEXTS[1], "linked_dids": v}).encode(),
        st.lists(st.none() | st.text(max_size=5) | st.just({})),
    )
)
def test_any_resource_is_read_or_refused(data):
    """Whatever an origin serves becomes a typed value or a `LinkageError`."""
    try:
        assert parse_did_configuration(data).json_ld >= 0
    except LinkageError:
        return


@pytest.mark.parametrize("fault", LinkageFault)
def test_every_fault_has_a_clause(fault):
    """No fault leaves a reader without the text that it is about."""
    assert LinkageError(fault, "message").clause
