"""did:web: where a DID leads, what counts as its document, and where it must not lead."""

import json
from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dids import DidError, DidFault, DidOutcome, WebResolver, did_web_of, did_web_url, parse_did
from gateway.dids.did_web import MEDIA_TYPES
from gateway.dids.parsing import MAX_DOCUMENT
from gateway.fetching import FetchError, FetchFault, GuardedClient
from signers import Algorithm
from tests.support.dids import NoDns, TestSigner, document, method_entry, refuses, web_host
from tests.support.scripted_server import redirect, reply

WELL_KNOWN = "/.well-known/did.json"
KEY = TestSigner(Algorithm.ES256)


@pytest.fixture
async def host():
    async with web_host() as running:
        yield running


def body(did, **other):
    return json.dumps(document(did, method_entry(did, "k", KEY.jwk), **other)).encode()


async def resolve(host, did=None):
    return await WebResolver(host.client).resolve(parse_did(did or host.did))


@pytest.mark.parametrize(
    ("did", "url"),
    [
        # SOURCE: w3c-ccg did:web, Read (Resolve) and Example.
        ("did:web:w3c-ccg.github.io", "https://w3c-ccg.github.io/.well-known/did.json"),
        ("did:web:w3c-ccg.github.io:user:alice", "https://w3c-ccg.github.io/user/alice/did.json"),
        ("did:web:example.com%3A3000:user:alice", "https://example.com:3000/user/alice/did.json"),
        ("did:web:example.com%3a3000", "https://example.com:3000/.well-known/did.json"),
        ("did:web:example.com:a%20b", "https://example.com/a%20b/did.json"),
    ],
)
def test_a_did_leads_to_its_url(did, url):
    """Parts become path segments, an escaped colon a port, and no path the well-known one."""
    assert did_web_url(parse_did(did)) == url


@pytest.mark.parametrize(
    "did",
    [
        "did:web:a.example::b",
        "did:web:a.example:..:b",
        "did:web:a.example:.:b",
        "did:web:a.example:%2e%2E:b",
        "did:web:a.example:x%2Fy",
        "did:web:a.example:x%5Cy",
        "did:web:a.example:x%3Fy",
        "did:web:a.example:x%23y",
        "did:web:a.example:x%00",
        "did:web:a.example:%FF",
        "did:web:user%40a.example",
        "did:web:a.example%2Fpath",
        "did:web:a.example%3A",
        "did:web:a.example%3A123456",
        "did:web:%5B%3A%3A1%5D",
        "did:web:a_b.example",
    ],
)
def test_a_did_that_is_no_url_is_refused(did):
    """Dot segments, hidden separators, user information and bracketed hosts are refused before any lookup."""
    with refuses(DidFault.INVALID_DID):
        did_web_url(parse_did(did))


@pytest.mark.parametrize(
    ("url", "did"),
    [
        ("https://a.example", "did:web:a.example"),
        ("https://A.example:8443/", "did:web:a.example%3A8443"),
        ("https://a.example/x/y/", "did:web:a.example:x:y"),
        ("https://localhost:8443", "did:web:localhost%3A8443"),
    ],
)
def test_a_url_has_a_did(url, did):
    """The did:web of a URL leads back to it."""
    assert did_web_of(url).text == did


def test_a_url_that_no_did_can_name_is_refused():
    """Plain HTTP, a query and a dot segment have no did:web."""
    for url in ("http://a.example", "https://a.example/?a=b", "https://a.example/../x"):
        with refuses(DidFault.INVALID_DID):
            did_web_of(url)
    with pytest.raises(FetchError):
        did_web_of("https://user@a.example/")


@pytest.mark.parametrize("media_type", MEDIA_TYPES)
async def test_a_document_is_fetched_and_read(host, media_type):
    """The document at the well-known path resolves the DID, in each of its media types."""
    host.server.routes[WELL_KNOWN] = reply(body=body(host.did), content_type=f"{media_type}; charset=utf-8")
    resolution = await resolve(host)
    assert resolution.document.methods[0].public_key == KEY.public_key
    assert resolution.size == len(body(host.did))


async def test_a_document_below_a_path(host):
    """A DID with a path is resolved at that path."""
    did = f"{host.did}:users:alice"
    host.server.routes["/users/alice/did.json"] = reply(body=body(did))
    assert (await resolve(host, did)).document.id.text == did


@pytest.mark.parametrize(
    ("headers", "lifetime"),
    [
        ({}, 300),
        ({"Cache-Control": "max-age=90"}, 90),
        ({"Cache-Control": "no-store"}, 30),
        ({"Cache-Control": "max-age=99999"}, 3600),
    ],
)
async def test_the_host_says_how_long_its_document_counts(host, headers, lifetime):
    """Cache-Control counts within the configured bounds."""
    host.server.routes[WELL_KNOWN] = reply(body=body(host.did), headers=headers)
    assert (await resolve(host)).lifetime == lifetime


async def test_a_document_about_another_did_is_refused(host):
    """The id must be the DID, octet for octet: also the DID in other escapes is another one."""
    for other in ("did:web:b.example", host.did.replace("%3A", "%3a")):
        host.server.routes[WELL_KNOWN] = reply(body=body(other))
        with refuses(DidFault.ID_MISMATCH):
            await resolve(host)


@pytest.mark.parametrize(
    ("response", "fault", "outcome"),
    [
        (reply(404), DidFault.NOT_FOUND, DidOutcome.UNRESOLVABLE),
        (reply(410), DidFault.NOT_FOUND, DidOutcome.UNRESOLVABLE),
        (reply(403), DidFault.ANSWER_REFUSED, DidOutcome.UNRESOLVABLE),
        (reply(204, b""), DidFault.ANSWER_REFUSED, DidOutcome.UNRESOLVABLE),
        (reply(429), DidFault.UNREACHABLE, DidOutcome.UNAVAILABLE),
        (reply(500), DidFault.UNREACHABLE, DidOutcome.UNAVAILABLE),
        (b"", DidFault.UNREACHABLE, DidOutcome.UNAVAILABLE),
        (b"nonsense\r\n\r\n", DidFault.ANSWER_REFUSED, DidOutcome.UNRESOLVABLE),
        (reply(content_type="text/html"), DidFault.MEDIA_TYPE_REFUSED, DidOutcome.UNRESOLVABLE),
        (reply(content_type=None), DidFault.MEDIA_TYPE_REFUSED, DidOutcome.UNRESOLVABLE),
        (redirect("https://evil.example/"), DidFault.TARGET_REFUSED, DidOutcome.UNRESOLVABLE),
        (redirect(WELL_KNOWN), DidFault.TARGET_REFUSED, DidOutcome.UNRESOLVABLE),
        (reply(body=b" " * (MAX_DOCUMENT + 1)), DidFault.DOCUMENT_TOO_LARGE, DidOutcome.UNRESOLVABLE),
        (reply(body=b" " * 10_000_000), DidFault.DOCUMENT_TOO_LARGE, DidOutcome.UNRESOLVABLE),
        (reply(body=b'{"a":' * 3000), DidFault.INVALID_DOCUMENT, DidOutcome.UNRESOLVABLE),
        (reply(body=b'{"id":"x","id":"y"}'), DidFault.INVALID_DOCUMENT, DidOutcome.UNRESOLVABLE),
        (
            reply(headers={"Content-Encoding": "gzip"}),
            DidFault.ANSWER_REFUSED,
            DidOutcome.UNRESOLVABLE,
        ),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_each_answer_that_is_no_document(host, response, fault, outcome):
    """What a host answers instead of its document has its code, and says whether asking again may help."""
    host.server.routes[WELL_KNOWN] = (lambda _: response) if response == b"" else response
    with refuses(fault) as refusal:
        await resolve(host)
    assert refusal.error.outcome is outcome
    assert refusal.error.clause


async def test_a_redirect_within_the_origin_is_followed(host):
    """A host may move its document within its own origin."""
    host.server.routes[WELL_KNOWN] = redirect("/moved.json")
    host.server.routes["/moved.json"] = reply(body=body(host.did))
    assert (await resolve(host)).document.methods


SSRF = [
    "did:web:127.0.0.1",
    "did:web:10.0.0.1",
    "did:web:169.254.169.254:latest:meta-data",
    "did:web:2130706433",
    "did:web:0x7f.1",
    "did:web:localhost",
    "did:web:localhost%3A8443",
    "did:web:metadata",
    "did:web:server.local",
    "did:web:a.example%3A22",
    "did:web:a.example%3A0",
    "did:web:a.example.",
]


@pytest.mark.parametrize("did", SSRF)
async def test_inner_targets_are_refused_without_a_lookup(did):
    """Literals, local names and other ports are refused by the guarded client, which asks no DNS."""
    with refuses(DidFault.TARGET_REFUSED):
        await WebResolver(GuardedClient(NoDns())).resolve(parse_did(did))


@pytest.mark.parametrize("address", ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "fe80::1"])
async def test_a_name_that_leads_to_an_inner_address_is_refused(address):
    """A public name whose address is private, loopback or link-local is refused."""
    dns = NoDns({"rebound.example.com": (ip_address(address),)})
    with refuses(DidFault.TARGET_REFUSED) as refusal:
        await WebResolver(GuardedClient(dns)).resolve(parse_did("did:web:rebound.example.com"))
    assert refusal.error.__cause__.fault is FetchFault.ADDRESS_REFUSED


async def test_dns_that_fails_is_unavailable(host):
    """A resolver that does not answer says nothing about the DID."""
    with refuses(DidFault.UNREACHABLE) as refusal:
        await WebResolver(GuardedClient(NoDns())).resolve(parse_did("did:web:a.example.com"))
    assert refusal.error.transient


async def test_a_closed_client_is_unavailable(host):
    """After the client closed, resolving says that it is closed."""
    host.client.close()
    with refuses(DidFault.CLOSED):
        await resolve(host)


def test_lifetimes_are_in_order(host):
    """Bounds of lifetimes that contradict each other are refused at start."""
    with pytest.raises(ValueError, match="min_lifetime"):
        WebResolver(host.client, min_lifetime=10, default_lifetime=5)


@settings(max_examples=300, deadline=None)
@given(st.from_regex(r"did:web:[a-zA-Z0-9._%:-]{1,60}", fullmatch=True))
def test_any_did_web_leads_to_https_on_its_own_host_or_nowhere(text):
    """Whatever a did:web spells, its URL is HTTPS, ends in did.json, and has no segment that climbs."""
    try:
        url = did_web_url(parse_did(text))
    except DidError:
        return
    assert url.startswith("https://")
    assert url.endswith("/did.json")
    assert "/../" not in url
    assert "@" not in url
