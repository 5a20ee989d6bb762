"""Our own did.json and did-configuration.json, read back by the verifier of both."""

import asyncio
import json

import pytest

from gateway.dids import (
    DID_ALGORITHMS,
    DidDocument,
    DidError,
    DidFault,
    DidResolver,
    Relationship,
    default_methods,
    parse_did,
    parse_document,
)
from gateway.presentations.did_configuration import parse_did_configuration
from gateway.presentations.domain_linkage_credential import verify_domain_linkage_credential
from gateway.presentations.linkage_errors import LinkageFault
from gateway.presentations.linked_domains import LinkedDomains
from gateway.presentations.origins import Origin, parse_origin
from gateway.presentations.own_did import (
    OwnDidConfiguration,
    PublishedKey,
    issue_domain_linkage_credential,
    own_document,
)
from signers import Algorithm, SignerUnavailableError
from signers.registry import SignerRegistry
from tests.support.dids import SettableClock, TestSigner, refuses, web_host
from tests.support.linkage import NOW, unlinked
from tests.support.scripted_server import reply
from tests.support.softhsm import LABELS, softhsm_all

__all__ = ["softhsm_all"]

DID = parse_did("did:web:a.example")
ORIGIN = Origin("a.example")
DAY = 86_400


def own(signer, *origins, did=DID, **key) -> DidDocument:
    return parse_document(
        own_document(did, [PublishedKey("k", signer.public_key, **key)], origins=origins or (ORIGIN,)), did
    )


def configuration_of(signer, clock, document=None, origins=(ORIGIN,), **options) -> OwnDidConfiguration:
    document = document or own(signer)
    return OwnDidConfiguration(signer, document, f"{DID}#k", origins, clock=clock, **options)


@pytest.mark.parametrize("algorithm", sorted(DID_ALGORITHMS))
async def test_what_we_publish_links_us_over_https(algorithm):
    """Our did.json and did-configuration.json, served over HTTPS, resolve and link, in each algorithm."""
    signer = TestSigner(algorithm)
    async with web_host() as host:
        did, origin = parse_did(host.did), parse_origin(host.origin)
        data = own_document(did, [PublishedKey("k", signer.public_key)], origins=[origin])
        host.server.routes["/.well-known/did.json"] = reply(body=data, content_type="application/did+json")
        resolver = DidResolver(default_methods(host.client))
        document = (await resolver.resolve(host.did)).document
        resource = await OwnDidConfiguration(signer, document, f"{did}#k", [origin]).resource()
        host.server.routes["/.well-known/did-configuration.json"] = reply(body=resource)
        linkage = await LinkedDomains(host.client).require(document)
        assert (linkage.did, linkage.origin, linkage.method_id) == (host.did, origin, f"{did}#k")


@pytest.mark.parametrize("algorithm", sorted(DID_ALGORITHMS))
async def test_a_key_in_a_token_links_us(softhsm_all, monkeypatch, algorithm):
    """A credential signed in SoftHSM verifies under the document made of the token's public key."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm_all.softhsm2_conf))
    async with SignerRegistry() as registry:
        signer = await registry.open(softhsm_all.uri(LABELS[algorithm]), algorithm)
        resource = await configuration_of(signer, SettableClock(NOW)).resource()
        (credential,) = parse_did_configuration(resource).credentials
        linkage = verify_domain_linkage_credential(credential, own(signer), ORIGIN, now=NOW)
    assert linkage.method_id == f"{DID}#k"


def test_our_document_has_what_the_profile_asks_for():
    """Keys are JsonWebKey2020 with publicKeyJwk, ids are absolute, and one origin is a text."""
    members = json.loads(
        own_document(DID, [PublishedKey("k", TestSigner(Algorithm.ES256K).public_key)], origins=[ORIGIN])
    )
    (method,) = members["verificationMethod"]
    assert (method["id"], method["type"], method["controller"]) == (f"{DID}#k", "JsonWebKey2020", str(DID))
    assert method["publicKeyJwk"]["crv"] == "secp256k1"
    assert "d" not in method["publicKeyJwk"]
    assert members["authentication"] == members["assertionMethod"] == [f"{DID}#k"]
    assert members["service"][0]["serviceEndpoint"] == "https://a.example"


def test_several_origins_and_relationships():
    """Several origins become an object, and a key is listed under its own relationships alone."""
    document = own(
        TestSigner(Algorithm.ES256),
        ORIGIN,
        Origin("b.example", 8443),
        relationships=frozenset({Relationship.AUTHENTICATION}),
    )
    assert document.services[0].endpoints[0].texts("origins") == (
        "https://a.example",
        "https://b.example:8443",
    )
    assert document.methods[0].relationships == {Relationship.AUTHENTICATION}


def test_a_document_that_we_could_not_read_is_not_made():
    """Fragments that collide, ones that are none, and keys of other algorithms are refused."""
    key = TestSigner(Algorithm.ES256).public_key
    with refuses(DidFault.DUPLICATE_ID):
        own_document(DID, [PublishedKey("k", key), PublishedKey("k", key)])
    with refuses(DidFault.INVALID_DOCUMENT):
        own_document(DID, [PublishedKey("k k", key)])
    with pytest.raises(ValueError, match="no algorithm"):
        own_document(DID, [PublishedKey("k", TestSigner(Algorithm.ES512).public_key)])


async def test_our_credential_is_valid_for_its_lifetime():
    """The credential says from when and until when, and the verifier agrees."""
    signer = TestSigner(Algorithm.EDDSA)
    token = await issue_domain_linkage_credential(signer, f"{DID}#k", ORIGIN, now=NOW, lifetime=DAY)
    linkage = verify_domain_linkage_credential(token, own(signer), ORIGIN, now=NOW)
    assert (linkage.not_before, linkage.expires) == (NOW, NOW + DAY)


@pytest.mark.parametrize(
    ("method_id", "lifetime", "algorithm"),
    [(f"{DID}", DAY, Algorithm.ES256), (f"{DID}#k", 0, Algorithm.ES256), (f"{DID}#k", DAY, Algorithm.ES512)],
)
async def test_arguments_out_of_range_sign_nothing(method_id, lifetime, algorithm):
    """Without fragment, lifetime or an algorithm of DIDs the signer is not asked."""
    signer = TestSigner(algorithm)
    with pytest.raises(ValueError, match="fragment"):
        await issue_domain_linkage_credential(signer, method_id, ORIGIN, now=NOW, lifetime=lifetime)
    with pytest.raises(DidError):
        await issue_domain_linkage_credential(signer, "no did", ORIGIN, now=NOW, lifetime=DAY)
    assert signer.signed == 0


async def test_the_resource_is_signed_anew_at_half_its_lifetime():
    """Until then every caller gets the same octets, and each origin has its credential."""
    signer, clock = TestSigner(Algorithm.ES256), SettableClock(NOW)
    origins = (ORIGIN, Origin("b.example"))
    subject = configuration_of(signer, clock, own(signer, *origins), origins, lifetime=DAY)
    first = await subject.resource()
    clock.now += DAY / 2 - 1
    assert await subject.resource() is first
    assert (signer.signed, len(parse_did_configuration(first).credentials)) == (2, 2)
    clock.now += 1
    assert await subject.resource() != first
    assert signer.signed == 4


async def test_nobody_waits_for_a_signature_while_there_is_a_valid_one():
    """While one caller has the resource signed anew, the others get the valid one at once."""
    signer, clock = TestSigner(Algorithm.ES256), SettableClock(NOW)
    subject = configuration_of(signer, clock, lifetime=DAY)
    first = await subject.resource()
    clock.now += DAY / 2
    signer.gate = asyncio.Event()
    renewing = asyncio.create_task(subject.resource())
    await signer.asked.wait()
    assert await subject.resource() is first
    signer.gate.set()
    assert await renewing != first


async def test_a_clock_set_back_signs_anew():
    """A credential that is not valid yet is not given out."""
    signer, clock = TestSigner(Algorithm.ES256), SettableClock(NOW)
    subject = configuration_of(signer, clock, lifetime=DAY)
    first = await subject.resource()
    clock.now -= 10
    assert await subject.resource() != first


async def test_a_signer_that_is_down_does_not_take_a_valid_resource_away():
    """While the signer fails the valid resource is given out until it expires; attempts pause between."""
    signer, clock = TestSigner(Algorithm.ES256), SettableClock(NOW)
    subject = configuration_of(signer, clock, lifetime=DAY, retry_interval=30)
    first = await subject.resource()
    signer.error = SignerUnavailableError("the device is gone")
    clock.now += DAY / 2
    for _ in range(3):
        assert await subject.resource() is first
    assert signer.signed == 2
    clock.now += 30
    assert await subject.resource() is first
    assert signer.signed == 3
    clock.now = NOW + DAY
    with pytest.raises(SignerUnavailableError):
        await subject.resource()
    signer.error = None
    assert await subject.resource() != first


async def test_without_a_resource_a_failing_signer_is_told():
    """The first signature that fails is the caller's to know, and the next call tries again."""
    signer = TestSigner(Algorithm.ES256, error=SignerUnavailableError("the device is gone"))
    subject = configuration_of(signer, SettableClock(NOW))
    for attempts in (1, 2):
        with pytest.raises(SignerUnavailableError):
            await subject.resource()
        assert signer.signed == attempts


async def test_a_key_that_the_document_does_not_hold_is_never_published():
    """A signer whose key is not the one in our document, or not for assertions, makes no resource."""
    signer = TestSigner(Algorithm.ES256)
    clock = SettableClock(NOW)
    with unlinked(LinkageFault.SIGNATURE_INVALID):
        await configuration_of(signer, clock, own(TestSigner(Algorithm.ES256))).resource()
    authentication = own(signer, relationships=frozenset({Relationship.AUTHENTICATION}))
    with unlinked(LinkageFault.KEY_REFUSED):
        await configuration_of(signer, clock, authentication).resource()


def test_there_is_at_least_one_origin():
    """A configuration for no origin is a mistake."""
    with pytest.raises(ValueError, match="origin"):
        configuration_of(TestSigner(Algorithm.ES256), SettableClock(NOW), origins=())
