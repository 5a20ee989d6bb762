"""The choice of the key for a signature: by kid, relationship and algorithm."""

import json
from dataclasses import replace

import pytest

from gateway.dids import (
    DID_ALGORITHMS,
    DidFault,
    DidOutcome,
    Relationship,
    parse_did,
    parse_did_jws,
    parse_document,
    verify_did_jws,
)
from gateway.dids.did_url import MAX_DID_URL
from gateway.jose import JoseError, JoseFault
from signers import Algorithm
from tests.support.dids import ION, TestSigner, document, jwt, method_entry, refuses

DID = "did:web:a.example"
AUTHENTICATION = frozenset({Relationship.AUTHENTICATION})
ASSERTION = frozenset({Relationship.ASSERTION_METHOD})
SIGNERS = {algorithm: TestSigner(algorithm) for algorithm in sorted(DID_ALGORITHMS)}
ES256 = SIGNERS[Algorithm.ES256]


def parsed(*entries, **other):
    return parse_document(json.dumps(document(DID, *entries, **other)).encode(), parse_did(DID))


ALL = parsed(*(method_entry(DID, signer.algorithm, signer.jwk) for signer in SIGNERS.values()))
ONE = parsed(method_entry(DID, "k", ES256.jwk), assertionMethod=[])


@pytest.mark.parametrize("algorithm", sorted(DID_ALGORITHMS))
def test_each_algorithm_verifies_with_its_own_key(algorithm):
    """A JWS in each of the four algorithms verifies with the key that its kid names."""
    token = jwt(SIGNERS[algorithm], {"alg": algorithm, "kid": f"{DID}#{algorithm}"}, {"a": 1})
    key = verify_did_jws(parse_did_jws(token), ALL, any_of=ASSERTION)
    assert (key.method_id, key.algorithm) == (f"{DID}#{algorithm}", algorithm)


@pytest.mark.parametrize("kid", [f"{DID}#k", "#k", "k"])
def test_a_kid_may_be_absolute_relative_or_a_bare_fragment(kid):
    """All three spellings in use name the same key of the same DID."""
    assert ONE.signing_key(kid, Algorithm.ES256, any_of=AUTHENTICATION).method_id == f"{DID}#k"


@pytest.mark.parametrize(
    ("kid", "fault"),
    [
        ("did:web:b.example#k", DidFault.INVALID_KID),
        (DID, DidFault.INVALID_KID),
        (f"{DID}#", DidFault.INVALID_KID),
        ("#", DidFault.INVALID_KID),
        ("", DidFault.INVALID_KID),
        (f"{DID}/p#k", DidFault.INVALID_KID),
        (f"{DID}?a=b#k", DidFault.INVALID_KID),
        ("k k", DidFault.INVALID_KID),
        ("other", DidFault.KEY_NOT_FOUND),
        ("K", DidFault.KEY_NOT_FOUND),
    ],
)
def test_a_kid_that_names_no_key_of_the_did_is_refused(kid, fault):
    """A kid of another DID, with a path, without a fragment or of no method finds no key."""
    with refuses(fault) as refusal:
        ONE.signing_key(kid, Algorithm.ES256, any_of=AUTHENTICATION)
    assert refusal.error.outcome is DidOutcome.KEY_REFUSED


def test_a_key_must_stand_under_the_relationship():
    """A key listed for authentication alone makes no assertion (DID Core §5.3.2)."""
    with refuses(DidFault.KEY_NOT_AUTHORIZED):
        ONE.signing_key("k", Algorithm.ES256, any_of=ASSERTION)
    both = ASSERTION | AUTHENTICATION
    assert ONE.signing_key("k", Algorithm.ES256, any_of=both).public_key == ES256.public_key


@pytest.mark.parametrize("algorithm", sorted(DID_ALGORITHMS - {Algorithm.ES256}))
def test_algorithm_and_curve_must_agree(algorithm):
    """A P-256 key serves ES256 and no other algorithm."""
    with refuses(DidFault.ALGORITHM_MISMATCH):
        ONE.signing_key("k", algorithm, any_of=AUTHENTICATION)


@pytest.mark.parametrize("algorithm", sorted(set(Algorithm) - DID_ALGORITHMS))
def test_other_algorithms_are_refused(algorithm):
    """RSA and P-521 signatures are refused before a key is looked for."""
    with refuses(DidFault.ALGORITHM_REFUSED):
        ONE.signing_key("k", algorithm, any_of=AUTHENTICATION)


def test_an_unusable_key_is_refused_with_its_reason():
    """A method that the document lists but whose key cannot be read signs nothing."""
    broken = parsed(method_entry(DID, "k", ES256.jwk, type="Bls12381G2Key2020"))
    with refuses(DidFault.KEY_UNUSABLE):
        broken.signing_key("k", Algorithm.ES256, any_of=AUTHENTICATION)


def test_without_a_kid_there_must_be_one_key():
    """A header without kid is read only where no second key could be meant."""
    assert ONE.signing_key(None, Algorithm.ES256, any_of=AUTHENTICATION).public_key == ES256.public_key
    for candidates in (ALL, replace(ONE, methods=())):
        with refuses(DidFault.KEY_AMBIGUOUS):
            candidates.signing_key(None, Algorithm.ES256, any_of=AUTHENTICATION)


def test_a_signature_by_another_key_does_not_verify():
    """A JWS of another key of the same type is refused."""
    token = jwt(TestSigner(Algorithm.ES256), {"alg": "ES256", "kid": "#k"}, {})
    with refuses(DidFault.SIGNATURE_INVALID):
        verify_did_jws(parse_did_jws(token), ONE, any_of=AUTHENTICATION)


def test_a_long_kid_is_read_and_its_length_is_bounded():
    """A kid may be as long as a DID URL, and not longer."""
    token = jwt(ES256, {"alg": "ES256", "kid": "did:ion:" + "a" * 2000}, {})
    assert len(parse_did_jws(token).header.kid) == 2008
    long = jwt(ES256, {"alg": "ES256", "kid": "a" * (MAX_DID_URL + 1)}, {})
    with pytest.raises(JoseError) as refused:
        parse_did_jws(long)
    assert refused.value.code in {JoseFault.INVALID_KID, JoseFault.HEADER_TOO_LARGE}


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (jwt(ES256, {"alg": "none", "kid": "#k"}, {}), JoseFault.ALG_NONE),
        (jwt(ES256, {"alg": "ES256", "crit": ["x"]}, {}), JoseFault.CRIT_UNSUPPORTED),
        (jwt(ES256, {"alg": "ES256", "b64": False}, {}), JoseFault.B64_UNSUPPORTED),
        (jwt(ES256, {"alg": "ES256", "kid": 7}, {}), JoseFault.INVALID_KID),
        (jwt(ES256, {"alg": "ES256"}, {}) + "=", JoseFault.INVALID_BASE64URL),
        (jwt(ES256, {"alg": "ES256"}, {}).rpartition(".")[0] + ".", JoseFault.SIGNATURE_MISSING),
        ("e30", JoseFault.MALFORMED_COMPACT),
        ("é.e30.e30", JoseFault.INVALID_BASE64URL),
        ("a" * 10_000_000, JoseFault.TOKEN_TOO_LARGE),
        ("A" * 9000 + ".e30.AA", JoseFault.HEADER_TOO_LARGE),
    ],
    ids=lambda value: str(value)[:20],
)
def test_the_rules_of_compact_jws_hold_for_dids_too(token, code):
    """Every rule of `gateway.jose` applies to a JWS with a long kid."""
    with pytest.raises(JoseError) as refused:
        parse_did_jws(token)
    assert refused.value.code is code


def test_a_renamed_document_is_about_the_other_spelling():
    """Ids of the document's own change with it, and others stay."""
    other = parse_did("did:web:b.example")
    entry = {"id": "#s", "type": "T", "serviceEndpoint": "x:y"}
    foreign = {"id": "did:web:a.example.org#s", "type": "T", "serviceEndpoint": "x:y"}
    renamed = parsed(method_entry(DID, "k", ES256.jwk), service=[entry, foreign]).renamed(other)
    assert renamed.signing_key("did:web:b.example#k", Algorithm.ES256, any_of=ASSERTION)
    assert renamed.methods[0].controller == "did:web:b.example"
    assert [service.id for service in renamed.services] == ["did:web:b.example#s", "did:web:a.example.org#s"]


def test_the_profiles_tokens_are_parsed_whole():
    """The four signed tokens of the profile have kids of more than 1,000 characters."""
    assert len(ION["signed"]) == 4
    for signed in ION["signed"]:
        assert parse_did_jws(signed["token"]).header.kid.startswith(signed["signer"])
