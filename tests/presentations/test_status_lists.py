"""Status lists over HTTPS and from an Identity Hub, by real requests to a loopback host."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.dids import DidResolver, default_methods, did_jwk
from gateway.fetching import FetchPolicy
from gateway.jose import base64url
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.identity_hub import HubError, IdentityHub
from gateway.presentations.status import (
    Dialect,
    StatusBits,
    StatusPolicy,
    StatusReport,
    credential_claims,
    token_claims,
)
from gateway.presentations.status_lists import ListLimits, StatusLists
from signers import Algorithm
from tests.support.dids import SettableClock, TestSigner, WebHost, document, jwt, method_entry, web_host
from tests.support.scripted_server import Received, redirect, reply

PATH = "/status/1"
KEY = TestSigner(Algorithm.ES256)
OTHER = TestSigner(Algorithm.EDDSA)
NOW = 1_700_000_000
LAST = 131_071
POLICY = StatusPolicy()


@dataclass
class Listed:
    """An issuer whose did:web, status list and hub are on one host."""

    host: WebHost
    clock: SettableClock = field(default_factory=lambda: SettableClock(float(NOW)))

    def __post_init__(self) -> None:
        self.did, self.uri = self.host.did, f"{self.host.origin}{PATH}"
        self.publish_did()
        resolver = DidResolver(default_methods(self.host.client), clock=self.clock)
        self.resolver = resolver
        self.lists = StatusLists(self.host.client, resolver, clock=self.clock)

    def publish_did(self, **members: Any) -> None:
        entry = method_entry(self.did, "k", KEY.jwk)
        body = json.dumps(document(self.did, entry, **members)).encode()
        self.host.server.routes["/.well-known/did.json"] = reply(body=body)

    def publish(self, dialect: Dialect, *revoked: int, signer: TestSigner = KEY, **response: Any) -> None:
        body = self.signed(dialect, self.uri, *revoked, signer=signer)
        options = {"content_type": "application/jwt"} | response
        self.host.server.routes[PATH] = reply(body=body, **options)

    def signed(
        self, dialect: Dialect, uri: str, *revoked: int, signer: TestSigner = KEY, ttl: int = 600
    ) -> bytes:
        bits = StatusBits(dialect)
        for index in revoked:
            bits.set(index)
        header = {"alg": signer.algorithm.value, "kid": f"{self.did}#k"}
        if dialect is Dialect.TOKEN:
            span = {"issued_at": NOW - 10, "expires_at": NOW + 3600, "ttl": ttl}
            claims = token_claims(bits, uri=uri, issuer=self.did, **span)
            return jwt(signer, header | {"typ": "statuslist+jwt"}, claims).encode()
        claims = credential_claims(
            bits,
            uri=uri,
            issuer=self.did,
            purposes=["revocation"],
            issued_at=NOW - 10,
            expires_at=NOW + 3600,
        )
        return jwt(signer, header, claims).encode()

    def payload(self, dialect: Dialect, index: int, uri: str | None = None) -> dict[str, Any]:
        uri = uri or self.uri
        if dialect is Dialect.TOKEN:
            return {"status": {"status_list": {"idx": index, "uri": uri}}}
        types = {
            Dialect.REVOCATION_LIST_2021: "RevocationList2021Status",
            Dialect.STATUS_LIST_2021: "StatusList2021Entry",
            Dialect.BITSTRING: "BitstringStatusListEntry",
        }
        entry = {"type": types[dialect], "statusListIndex": str(index), "statusListCredential": uri}
        if dialect is not Dialect.REVOCATION_LIST_2021:
            entry["statusPurpose"] = "revocation"
        return {"vc": {"credentialStatus": entry}}

    async def check(self, payload: dict[str, Any], **options: Any) -> StatusReport:
        options = {"policy": POLICY, "require_assertion_method": True} | options
        return await self.lists.check(payload, self.did, options.pop("policy"), **options)

    @property
    def asked(self) -> int:
        return sum(request.target == PATH for request in self.host.server.requests)


def bad(report: StatusReport) -> list[tuple[str, str]]:
    return [(each.code, each.outcome) for each in report.checks if each.outcome not in ("passed", "skipped")]


@pytest.fixture
async def listed() -> AsyncIterator[Listed]:
    """A host with an issuer."""
    async with web_host() as host:
        listed = Listed(host)
        yield listed
        await listed.lists.aclose()
        await listed.resolver.aclose()


@pytest.mark.parametrize("dialect", sorted(Dialect))
@pytest.mark.parametrize("index", [0, LAST])
async def test_the_first_and_the_last_bit_of_each_dialect(listed, dialect, index):
    """A set bit revokes that credential and neither of its neighbors."""
    listed.publish(dialect, index)
    report = await listed.check(listed.payload(dialect, index))
    assert bad(report) == [("status_value", "failed")]
    assert report.state is CredentialState.REVOKED
    neighbor = await listed.check(listed.payload(dialect, abs(index - 1)))
    assert (bad(neighbor), neighbor.state) == ([], CredentialState.ACTIVE)


@pytest.mark.parametrize("dialect", sorted(Dialect))
async def test_an_index_outside_of_the_list_is_refused(listed, dialect):
    """What the list does not have says nothing good."""
    listed.publish(dialect)
    report = await listed.check(listed.payload(dialect, 1_000_000))
    assert bad(report) == [("status_index_range", "failed")]


async def test_a_list_is_fetched_once_for_its_lifetime(listed):
    """Many credentials at the same time and after share one fetch, until the list's own ttl is over."""
    listed.publish(Dialect.TOKEN)
    await asyncio.gather(*(listed.check(listed.payload(Dialect.TOKEN, index)) for index in range(10)))
    listed.clock.now += 299
    await listed.check(listed.payload(Dialect.TOKEN, 11))
    assert listed.asked == 1
    listed.clock.now += 2
    await listed.check(listed.payload(Dialect.TOKEN, 12))
    assert listed.asked == 2


async def test_a_list_is_kept_no_longer_than_the_answer_says(listed):
    """Cache-Control of the answer bounds it."""
    listed.publish(Dialect.TOKEN, headers={"Cache-Control": "no-store"})
    for _ in range(2):
        assert not bad(await listed.check(listed.payload(Dialect.TOKEN, 1)))
    assert listed.asked == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (reply(404, b""), "http_404"),
        (reply(503, b""), "http_503"),
        (reply(body=b"x", content_type="text/html"), "content_type_refused"),
        (redirect("https://elsewhere.example/list"), "redirect_refused"),
    ],
)
async def test_a_list_that_cannot_be_had_is_unknown(listed, answer, reason):
    """The line says why, and unknown fails."""
    listed.host.server.routes[PATH] = answer
    report = await listed.check(listed.payload(Dialect.BITSTRING, 1))
    assert bad(report) == [("status_list_available", "unknown")]
    assert reason in report.checks[-1].detail
    assert not report.accepted
    assert report.state is None


async def test_a_failure_is_not_asked_again_at_once(listed):
    """For some seconds a stranger's credential costs no further request; then it may be there."""
    await listed.check(listed.payload(Dialect.TOKEN, 1))
    await listed.check(listed.payload(Dialect.TOKEN, 1))
    assert listed.asked == 1
    listed.publish(Dialect.TOKEN)
    listed.clock.now += 6
    assert not bad(await listed.check(listed.payload(Dialect.TOKEN, 1)))


async def test_a_list_by_another_key_is_refused(listed):
    """The signature is checked with the key in the issuer's document."""
    listed.publish(Dialect.TOKEN, signer=TestSigner(Algorithm.ES256))
    report = await listed.check(listed.payload(Dialect.TOKEN, 1))
    assert bad(report) == [("status_list_signature", "failed")]


async def test_a_list_by_another_issuer_is_refused_unless_it_may(listed):
    """Somebody else's valid list says nothing, but for delegates that the policy names."""
    did = did_jwk(OTHER.public_key)
    bits = StatusBits(Dialect.TOKEN)
    span = {"issued_at": NOW - 10, "expires_at": NOW + 3600, "ttl": 600}
    claims = token_claims(bits, uri=listed.uri, issuer=did, **span)
    header = {"alg": "EdDSA", "kid": f"{did}#0", "typ": "statuslist+jwt"}
    listed.host.server.routes[PATH] = reply(
        body=jwt(OTHER, header, claims).encode(), content_type="application/statuslist+jwt"
    )
    payload = listed.payload(Dialect.TOKEN, 1)
    assert bad(await listed.check(payload)) == [("status_list_issuer", "failed")]
    delegated = StatusPolicy(list_issuers={listed.did: frozenset({did})})
    assert bad(await listed.check(payload, policy=delegated)) == []


async def test_a_list_by_a_key_that_may_not_assert_is_refused(listed):
    """Under the rule about assertionMethod; what was accepted without the rule is not taken under it."""
    listed.publish_did(assertionMethod=[])
    listed.publish(Dialect.TOKEN)
    payload = listed.payload(Dialect.TOKEN, 1)
    assert bad(await listed.check(payload, require_assertion_method=False)) == []
    assert bad(await listed.check(payload)) == [("status_list_signature", "failed")]


async def test_a_credential_without_status_asks_nobody(listed):
    """Nothing is fetched, and the line is skipped."""
    report = await listed.check({"vc": {}})
    assert [each.outcome for each in report.checks] == ["skipped"]
    assert listed.host.server.requests == []


async def test_after_closing_nothing_is_asked(listed):
    """A check then answers unknown."""
    await listed.lists.aclose()
    report = await listed.check(listed.payload(Dialect.TOKEN, 1))
    assert bad(report) == [("status_list_available", "unknown")]


async def test_a_bomb_is_not_inflated(listed):
    """A list that would be larger than the bound is refused, and the memory with it."""
    listed.lists = StatusLists(listed.host.client, listed.resolver, limits=ListLimits(), clock=listed.clock)
    bits = StatusBits(Dialect.BITSTRING, entries=131_072 * 64)
    claims = credential_claims(
        bits,
        uri=listed.uri,
        issuer=listed.did,
        purposes=["revocation"],
        issued_at=NOW - 10,
        expires_at=NOW + 60,
    )
    body = jwt(KEY, {"alg": "ES256", "kid": f"{listed.did}#k"}, claims).encode()
    listed.host.server.routes[PATH] = reply(body=body, content_type="application/jwt")
    small = StatusPolicy(max_inflated=64 * 1024)
    report = await listed.check(listed.payload(Dialect.BITSTRING, 1), policy=small)
    assert bad(report) == [("status_list_size", "failed")]
    assert len(body) < 16 * 1024


def hub_url(did: str, **changes: Any) -> str:
    """A DID URL for one object of the hub."""
    query = {"method": "CollectionsQuery", "objectId": "1b4e28ba-2fa1-41d2-883f-0016d3cca427"} | changes
    encoded = base64url.encode(json.dumps([query]).encode())
    return f"{did}?service=IdentityHub&queries={encoded}"


class Hub:
    """An Identity Hub that answers with one object."""

    def __init__(self, listed: Listed, data: bytes, **reply_members: Any) -> None:
        self.data = data
        self.members = reply_members
        self.messages: list[Any] = []
        service = {
            "id": f"{listed.did}#hub",
            "type": "IdentityHub",
            "serviceEndpoint": {"instances": [f"{listed.host.origin}/hub"]},
        }
        listed.publish_did(service=[service])
        listed.host.server.routes["/hub"] = self.answer

    def answer(self, received: Received) -> bytes:
        asked = json.loads(received.body)
        self.messages.append(asked)
        entry = {"data": base64.b64encode(self.data).decode(), "descriptor": {"method": "CollectionsWrite"}}
        body = {
            "requestId": asked["requestId"],
            "replies": [{"messageId": "m", "status": {"code": 200}, "entries": [entry]}],
        }
        return reply(body=json.dumps(body | self.members).encode())


@pytest.mark.parametrize("dialect", sorted(Dialect))
async def test_a_list_is_had_from_an_identity_hub(listed, dialect):
    """The DID URL leads to the hub of the DID; the list's own signature and name count."""
    uri = hub_url(listed.did)
    hub = Hub(listed, listed.signed(dialect, uri, 7))
    assert bad(await listed.check(listed.payload(dialect, 8, uri))) == []
    revoked = await listed.check(listed.payload(dialect, 7, uri))
    assert revoked.state is CredentialState.REVOKED
    (asked,) = hub.messages
    assert asked["target"] == listed.did
    assert asked["messages"][0]["descriptor"]["method"] == "CollectionsQuery"


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"replies": [{"status": {"code": 200}, "entries": []}]}, "hub_not_found"),
        ({"status": {"code": 404}}, "hub_not_found"),
        ({"status": {"code": 500}}, "hub_refused"),
        ({"requestId": "another"}, "hub_answer_malformed"),
        ({"replies": []}, "hub_answer_malformed"),
        ({"replies": [{"entries": [{}, {}]}]}, "hub_answer_ambiguous"),
        ({"replies": [{"entries": [{"data": "%%%"}]}]}, "hub_answer_malformed"),
    ],
)
async def test_what_a_hub_may_answer_instead(listed, members, reason):
    """No object is had, and the reason is told."""
    Hub(listed, b"x", **members)
    hub = IdentityHub(listed.host.client, listed.resolver, policy=FetchPolicy())
    with pytest.raises(HubError) as caught:
        await hub.fetch(hub_url(listed.did))
    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("{did}?service=IdentityHub&relativeRef=%3Fmessages%3D", "unsupported_legacy_hub_url"),
        ("{did}?service=LinkedDomains&queries=W10", "not_a_hub_url"),
        ("{did}?service=IdentityHub", "hub_query_malformed"),
        ("{did}?service=IdentityHub&queries=W10", "hub_query_malformed"),
        ("{did}?service=IdentityHub&queries=%25", "hub_query_malformed"),
        ("did:web:nobody.example.test?service=IdentityHub&queries=", "hub_query_malformed"),
    ],
)
async def test_a_url_that_names_no_object(listed, url, reason):
    """It is refused before anybody is asked."""
    hub = IdentityHub(listed.host.client, listed.resolver, policy=FetchPolicy())
    with pytest.raises(HubError) as caught:
        await hub.fetch(url.format(did=listed.did))
    assert caught.value.reason == reason
    assert listed.host.server.requests == []


async def test_other_queries_are_not_sent(listed):
    """A query that writes, or has a member of its own, is not ours to send."""
    hub = IdentityHub(listed.host.client, listed.resolver, policy=FetchPolicy())
    for changes in ({"method": "CollectionsWrite"}, {"more": "x"}, {"objectId": 7}):
        with pytest.raises(HubError):
            await hub.fetch(hub_url(listed.did, **changes))
    assert listed.host.server.requests == []


async def test_a_did_without_a_hub_has_no_list(listed):
    """The reason says so."""
    hub = IdentityHub(listed.host.client, listed.resolver, policy=FetchPolicy())
    with pytest.raises(HubError) as caught:
        await hub.fetch(hub_url(listed.did))
    assert caught.value.reason == "hub_missing"
