"""The Domain Linkage Credential as a JWT, by a published one and each rule broken alone."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dids import DID_ALGORITHMS, IonResolver, parse_did
from gateway.presentations.domain_linkage_credential import (
    issuer_of,
    parse_domain_linkage_credential,
    verify_domain_linkage_credential,
)
from gateway.presentations.linkage_errors import LinkageError, LinkageFault
from gateway.presentations.origins import Origin, parse_origin
from signers import Algorithm
from tests.support.dids import ION, TestSigner, jwt
from tests.support.linkage import (
    CONTEXTS,
    EXPIRES,
    ISSUED,
    NOW,
    changed,
    claims,
    credential,
    linked_document,
    signed,
    unlinked,
)

DID, ORIGIN = "did:web:a.example", "https://a.example"
KEY = TestSigner(Algorithm.ES256K)
DOCUMENT = linked_document(KEY, DID, ORIGIN)
CLAIMS = claims(DID, ORIGIN)


def verify(token, document=DOCUMENT, now=NOW, origin=ORIGIN):
    return verify_domain_linkage_credential(token, document, parse_origin(origin), now=now)


async def test_the_profiles_published_credential_verifies():
    """The profile's did-configuration links its did:ion and its origin, slash and old context included."""
    vector = ION["domain_linkage"]
    document = (await IonResolver().resolve(parse_did(vector["did"]))).document
    linkage = verify(vector["credential"], document, origin=vector["origin"])
    assert linkage.origin == Origin("www.vcsatoshi.com")
    assert (linkage.did, linkage.not_before, linkage.expires) == (vector["did"], 1615503992, 2404422392)
    with unlinked(LinkageFault.EXPIRED):
        verify(vector["credential"], document, now=2404422392 + 60, origin=vector["origin"])


@pytest.mark.parametrize("algorithm", sorted(DID_ALGORITHMS))
def test_a_credential_in_each_algorithm_verifies(algorithm):
    """Each of the four algorithms makes a link, and says by which key and until when."""
    key = TestSigner(algorithm)
    linkage = verify(credential(key, DID, ORIGIN), linked_document(key, DID, ORIGIN))
    assert (linkage.method_id, linkage.not_before, linkage.expires) == (f"{DID}#k", ISSUED, EXPIRES)


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ({"typ": "JWT"}, LinkageFault.HEADER_REFUSED),
        ({"cty": "x"}, LinkageFault.HEADER_REFUSED),
        ({"kid": 1}, LinkageFault.MALFORMED_CREDENTIAL),
        ({"alg": "none"}, LinkageFault.MALFORMED_CREDENTIAL),
        ({"alg": "ES256"}, LinkageFault.KEY_REFUSED),
        ({"alg": "RS256"}, LinkageFault.KEY_REFUSED),
        ({"kid": "did:web:b.example#k"}, LinkageFault.KEY_REFUSED),
        ({"kid": f"{DID}#other"}, LinkageFault.KEY_REFUSED),
    ],
)
def test_each_rule_of_the_header(header, fault):
    """The header has alg and kid and nothing else, and they name a key of the DID for that algorithm."""
    with unlinked(fault):
        verify(credential(KEY, DID, ORIGIN, **header))


def test_a_header_without_kid_is_refused():
    """Both parameters are required."""
    with unlinked(LinkageFault.HEADER_REFUSED):
        verify(jwt(KEY, {"alg": "ES256K"}, CLAIMS))


OTHER = "did:web:b.example"


@pytest.mark.parametrize(
    ("path", "value", "fault"),
    [
        ("jti", "x", LinkageFault.CLAIMS_REFUSED),
        ("iat", 1, LinkageFault.CLAIMS_REFUSED),
        ("nbf", None, LinkageFault.CLAIMS_REFUSED),
        ("exp", None, LinkageFault.CLAIMS_REFUSED),
        ("vc", None, LinkageFault.CLAIMS_REFUSED),
        ("vc", [], LinkageFault.CLAIMS_REFUSED),
        ("exp", "soon", LinkageFault.CLAIMS_REFUSED),
        ("iss", 1, LinkageFault.CLAIMS_REFUSED),
        ("vc/proof", {}, LinkageFault.CLAIMS_REFUSED),
        ("vc/issuer", {"id": DID}, LinkageFault.CLAIMS_REFUSED),
        ("vc/credentialSubject", [], LinkageFault.CLAIMS_REFUSED),
        ("vc/credentialSubject/origin", None, LinkageFault.CLAIMS_REFUSED),
        ("iss", OTHER, LinkageFault.ISSUER_MISMATCH),
        ("vc/issuer", OTHER, LinkageFault.ISSUER_MISMATCH),
        ("sub", OTHER, LinkageFault.SUBJECT_MISMATCH),
        ("vc/credentialSubject/id", OTHER, LinkageFault.SUBJECT_MISMATCH),
        ("vc/credentialSubject/origin", "https://b.example", LinkageFault.ORIGIN_MISMATCH),
        ("vc/credentialSubject/origin", "https://a.example:8443", LinkageFault.ORIGIN_MISMATCH),
        ("vc/credentialSubject/origin", "a.example", LinkageFault.INVALID_ORIGIN),
        ("vc/credentialSubject/origin", "http://a.example", LinkageFault.INVALID_ORIGIN),
        ("vc/credentialSubject/origin", "https://a.example/path", LinkageFault.INVALID_ORIGIN),
        ("vc/id", "urn:x", LinkageFault.CREDENTIAL_ID_PRESENT),
        ("vc/@context", CONTEXTS[:1], LinkageFault.CONTEXT_MISSING),
        ("vc/@context", CONTEXTS[::-1], LinkageFault.CONTEXT_MISSING),
        ("vc/type", ["VerifiableCredential"], LinkageFault.TYPE_MISSING),
        ("vc/type", ["DomainLinkageCredential"], LinkageFault.TYPE_MISSING),
        ("vc/issuanceDate", None, LinkageFault.CLAIMS_REFUSED),
        ("vc/expirationDate", None, LinkageFault.CLAIMS_REFUSED),
        ("vc/expirationDate", "tomorrow", LinkageFault.DATES_INVALID),
        ("vc/issuanceDate", "2023-02-30T00:00:00Z", LinkageFault.DATES_INVALID),
        ("vc/issuanceDate", "20231114T211320Z", LinkageFault.DATES_INVALID),
        ("vc/issuanceDate", "2023-11-14T21:13:20", LinkageFault.DATES_INVALID),
        ("vc/issuanceDate", "2023-11-14T21:13:21Z", LinkageFault.DATES_MISMATCH),
        ("vc/expirationDate", "2023-11-15T22:13:20+01:00", LinkageFault.DATES_MISMATCH),
    ],
)
def test_each_rule_of_the_claims(path, value, fault):
    """Each rule of the payload refuses with its own code, the signature being right."""
    with unlinked(fault):
        verify(signed(KEY, DID, changed(CLAIMS, path, value)))


def test_dates_may_have_fractions_and_offsets():
    """The dates are compared as whole seconds, in whatever offset they are spelled."""
    payload = changed(CLAIMS, "vc/issuanceDate", "2023-11-14T22:13:20.987+01:00")
    assert verify(signed(KEY, DID, payload)).not_before == ISSUED


def test_the_clock_decides_within_the_leeway():
    """A credential counts from a leeway before nbf until a leeway after exp, and not at that moment."""
    token = credential(KEY, DID, ORIGIN)
    for now in (ISSUED - 60, EXPIRES + 59):
        assert verify(token, now=now)
    with unlinked(LinkageFault.NOT_YET_VALID):
        verify(token, now=ISSUED - 61)
    with unlinked(LinkageFault.EXPIRED):
        verify(token, now=EXPIRES + 60)


def test_the_key_must_be_one_for_assertions():
    """A key that the document lists for authentication alone links nothing."""
    with unlinked(LinkageFault.KEY_REFUSED):
        verify(credential(KEY, DID, ORIGIN), linked_document(KEY, DID, ORIGIN, assertionMethod=[]))


def test_a_signature_by_another_key_is_refused():
    """A credential that somebody else signed is refused."""
    with unlinked(LinkageFault.SIGNATURE_INVALID):
        verify(credential(TestSigner(Algorithm.ES256K), DID, ORIGIN))


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        "a.b.c",
        "é",
        "A" * 10_000_000,
        jwt(KEY, {"alg": "ES256K", "kid": "#k"}, b'{"iss":1,"iss":2}'),
    ],
    ids=["empty", "two", "three", "foreign", "huge", "duplicate"],
)
def test_what_is_no_jwt_is_refused(token):
    """Other texts, 10 MB of them and duplicate claims are malformed, for both readers."""
    for read in (issuer_of, parse_domain_linkage_credential):
        with unlinked(LinkageFault.MALFORMED_CREDENTIAL):
            read(token)


def test_the_issuer_is_read_before_anything_is_verified():
    """The claimed issuer is known without a document, to find the credential of a DID."""
    assert issuer_of(credential(TestSigner(Algorithm.ES256), DID, ORIGIN, typ="JWT")) == DID


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "origin", "type", "@context", "issuer"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["iss", "exp", "vc", "vc/@context", "vc/type", "vc/credentialSubject"]), json_values)
def test_any_claim_of_any_type_is_refused_with_a_code(path, value):
    """Whatever stands where a claim should be, the answer is a link or a `LinkageError`."""
    with_value = changed(CLAIMS, path, value)
    try:
        verify(signed(KEY, DID, with_value))
    except LinkageError:
        return
    assert with_value == CLAIMS
