"""Our own did.json: made of the keyring, and read back by the resolver of everybody's."""

import json

import pytest

from gateway.dids import (
    DID_ALGORITHMS,
    DidFault,
    Relationship,
    did_jwk,
    parse_did,
    parse_did_jws,
    parse_document,
    verify_did_jws,
)
from gateway.dids.did_jwk import JwkResolver
from gateway.errors import AvailabilityError, Reason
from gateway.keys.model import KeyPurpose, KeyState
from gateway.presentations.origins import Origin
from gateway.presentations.own_did import OwnDid, PublishedKey, own_document
from signers import Algorithm
from signers.registry import SignerRegistry
from tests.support.dids import TestSigner, refuses
from tests.support.own_did import Keys
from tests.support.softhsm import LABELS, softhsm_all

__all__ = ["softhsm_all"]

DID = parse_did("did:web:a.example")
ORIGIN = Origin("a.example")
AUTHENTICATION = frozenset({Relationship.AUTHENTICATION})
REQUESTS, LINKAGE = KeyPurpose.PRESENTATION_REQUESTS, KeyPurpose.LINKED_DOMAINS


def own(keys, algorithm=Algorithm.ES256, **options) -> OwnDid:
    return OwnDid(DID, keys.keyring, algorithm=algorithm, **options)


@pytest.mark.parametrize("algorithm", sorted(DID_ALGORITHMS))
async def test_a_key_in_a_token_signs_as_the_did(softhsm_all, monkeypatch, algorithm):
    """A request signed in SoftHSM verifies under the document made of the keyring, for authentication."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm_all.softhsm2_conf))
    async with SignerRegistry() as registry:
        keys = Keys()
        key_id = keys.put(await registry.open(softhsm_all.uri(LABELS[algorithm]), algorithm), REQUESTS)
        subject = own(keys, algorithm)
        token = await subject.signing_key(REQUESTS).sign(b"{}", "JWT")
    jws = parse_did_jws(token)
    assert (jws.header.kid, jws.header.typ) == (f"{DID}#{key_id}", "JWT")
    document = parse_document(subject.document_json(), DID)
    verify_did_jws(jws, document, any_of=AUTHENTICATION)
    with refuses(DidFault.KEY_NOT_AUTHORIZED):
        verify_did_jws(jws, document, any_of=frozenset({Relationship.ASSERTION_METHOD}))


def test_a_key_is_listed_for_its_purpose_alone():
    """Requests authenticate, linkage asserts, and keys of other purposes are not in the document."""
    keys = Keys()
    request_key = keys.put(TestSigner(Algorithm.ES256), REQUESTS)
    linkage_key = keys.put(TestSigner(Algorithm.ES256), LINKAGE)
    keys.put(TestSigner(Algorithm.ES256), KeyPurpose.TOKENS)
    members = json.loads(own(keys, origins=[ORIGIN]).document_json())
    assert members["authentication"] == [f"{DID}#{request_key}"]
    assert members["assertionMethod"] == [f"{DID}#{linkage_key}"]
    assert len(members["verificationMethod"]) == 2


def test_the_document_follows_the_keyring():
    """A prepared and a retiring key are published, a disabled one is not, and the active one signs."""
    keys, old, new = Keys(), TestSigner(Algorithm.ES256), TestSigner(Algorithm.ES256)
    old_id, new_id = keys.put(old, REQUESTS), keys.put(new, REQUESTS, KeyState.PREPARED)
    subject = own(keys)
    assert {method.id for method in subject.document().methods} == {f"{DID}#{old_id}", f"{DID}#{new_id}"}
    assert subject.document_json() is subject.document_json()
    assert subject.signing_key(REQUESTS).method_id == f"{DID}#{old_id}"
    keys.put(old, REQUESTS, KeyState.RETIRING)
    keys.put(new, REQUESTS)
    assert subject.signing_key(REQUESTS).method_id == f"{DID}#{new_id}"
    assert len(subject.document().methods) == 2
    keys.put(old, REQUESTS, KeyState.DISABLED)
    assert [method.id for method in subject.document().methods] == [f"{DID}#{new_id}"]


def test_without_an_active_key_nothing_signs():
    """Neither a prepared key signs nor one of another purpose; the document is there all the same."""
    keys = Keys()
    keys.put(TestSigner(Algorithm.ES256), REQUESTS, KeyState.PREPARED)
    keys.put(TestSigner(Algorithm.ES256), LINKAGE)
    subject = own(keys)
    with pytest.raises(AvailabilityError) as caught:
        subject.signing_key(REQUESTS)
    assert caught.value.reason is Reason.NO_ACTIVE_KEY
    assert len(subject.document().methods) == 2


def test_a_key_that_no_did_may_use_is_left_out():
    """A key of an algorithm that DIDs do not have makes no document unreadable."""
    keys = Keys()
    keys.put(TestSigner(Algorithm.ES512), REQUESTS)
    assert own(keys).document().methods == ()


async def test_a_did_that_is_not_web_brings_its_document():
    """The key signs as the did:jwk that it is; nobody serves that document."""
    signer, keys = TestSigner(Algorithm.ES256K), Keys()
    did = parse_did(did_jwk(signer.public_key))
    document = (await JwkResolver().resolve(did)).document
    keys.put(signer, REQUESTS)
    subject = OwnDid(did, keys.keyring, algorithm=Algorithm.ES256K, document=document)
    jws = parse_did_jws(await subject.signing_key(REQUESTS).sign(b"{}", None))
    assert jws.header.kid == f"{did}#0"
    verify_did_jws(jws, document, any_of=AUTHENTICATION)
    with pytest.raises(ValueError, match="not published"):
        subject.document_json()


async def test_a_key_outside_of_the_document_does_not_sign():
    """An active key that the DID's own document lacks would make requests that nobody can verify."""
    keys = Keys()
    did = parse_did(did_jwk(TestSigner(Algorithm.ES256).public_key))
    keys.put(TestSigner(Algorithm.ES256), REQUESTS)
    document = (await JwkResolver().resolve(did)).document
    with pytest.raises(AvailabilityError, match="does not stand in the document"):
        OwnDid(did, keys.keyring, algorithm=Algorithm.ES256, document=document).signing_key(REQUESTS)


def test_arguments_that_do_not_fit_are_refused():
    """Another algorithm, a did:web with a document, and another DID without one."""
    keys = Keys()
    document = own(keys).document()
    with pytest.raises(ValueError, match="algorithm"):
        own(keys, Algorithm.RS256)
    with pytest.raises(ValueError, match="own document"):
        own(keys, document=document)
    with pytest.raises(ValueError, match="own document"):
        OwnDid(parse_did("did:key:z6Mk"), keys.keyring, algorithm=Algorithm.ES256)


def test_our_document_has_what_the_profile_asks_for():
    """Keys are JsonWebKey2020 with publicKeyJwk, ids are absolute, and one origin is a text."""
    key = PublishedKey("k", TestSigner(Algorithm.ES256K).public_key, AUTHENTICATION)
    members = json.loads(own_document(DID, [key], origins=[ORIGIN]))
    (method,) = members["verificationMethod"]
    assert (method["id"], method["type"], method["controller"]) == (f"{DID}#k", "JsonWebKey2020", str(DID))
    assert method["publicKeyJwk"]["crv"] == "secp256k1"
    assert "d" not in method["publicKeyJwk"]
    assert members["authentication"] == [f"{DID}#k"]
    assert "assertionMethod" not in members
    assert members["service"][0]["serviceEndpoint"] == "https://a.example"


def test_several_origins_become_an_object():
    """Several origins are listed under ``origins``, with their ports."""
    document = own(Keys(), origins=[ORIGIN, Origin("b.example", 8443)]).document()
    assert document.services[0].endpoints[0].texts("origins") == (
        "https://a.example",
        "https://b.example:8443",
    )


def test_a_document_that_we_could_not_read_is_not_made():
    """Fragments that collide, ones that are none, and keys of other algorithms are refused."""
    key = TestSigner(Algorithm.ES256).public_key
    with refuses(DidFault.DUPLICATE_ID):
        own_document(DID, [PublishedKey("k", key, AUTHENTICATION)] * 2)
    with refuses(DidFault.INVALID_DOCUMENT):
        own_document(DID, [PublishedKey("k k", key, AUTHENTICATION)])
    with pytest.raises(ValueError, match="no algorithm"):
        own_document(DID, [PublishedKey("k", TestSigner(Algorithm.ES512).public_key, AUTHENTICATION)])
