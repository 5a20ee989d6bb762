"""DID documents from the outside: what is read, what is passed over, and what refuses the whole."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dids import DidFault, Relationship, ServiceEndpoint, parse_did, parse_document
from gateway.dids.errors import DidError
from gateway.dids.multibase import encode_base58, encode_multikey
from gateway.dids.parsing import MAX_DOCUMENT, MAX_ENTRIES, MAX_METHODS, MAX_TEXT
from signers import Algorithm
from tests.support.dids import TestSigner, document, method_entry, refuses
from tests.support.private_jwk import private_jwk

DID = "did:web:a.example"
P256 = TestSigner(Algorithm.ES256)
K256 = TestSigner(Algorithm.ES256K)
ED = TestSigner(Algorithm.EDDSA)
KEY = method_entry(DID, "k", P256.jwk)


def parse(members):
    data = members if isinstance(members, bytes) else json.dumps(members).encode()
    return parse_document(data, parse_did(DID))


def only(**method):
    return parse(document(DID, KEY | method)).methods[0]


def test_a_whole_document_is_read():
    """Methods, relationships, services, controllers and other names arrive as typed values."""
    embedded = method_entry(DID, "e", ED.jwk)
    parsed = parse(
        document(
            DID,
            KEY,
            authentication=["#k", embedded],
            keyAgreement=[f"{DID}#k"],
            controller="did:web:b.example",
            alsoKnownAs=["https://a.example/"],
            service=[
                {"id": "#d", "type": "LinkedDomains", "serviceEndpoint": {"origins": ["https://a.example"]}},
                {"id": "urn:x", "type": ["A", "B"], "serviceEndpoint": ["https://b.example", {"n": 1}]},
            ],
        )
    )
    key, other = parsed.methods
    assert key.relationships == {
        Relationship.AUTHENTICATION,
        Relationship.ASSERTION_METHOD,
        Relationship.KEY_AGREEMENT,
    }
    assert (other.id, other.algorithm) == (f"{DID}#e", Algorithm.EDDSA)
    assert other.relationships == {Relationship.AUTHENTICATION}
    assert parsed.controllers == ("did:web:b.example",)
    assert parsed.also_known_as == ("https://a.example/",)
    linked, second = parsed.services
    assert linked.id == f"{DID}#d"
    assert linked.endpoints[0].texts("origins") == ("https://a.example",)
    assert linked.endpoints[0].texts("instances") == ()
    assert second.types == ("A", "B")
    assert second.endpoints == (ServiceEndpoint("https://b.example"), ServiceEndpoint())
    assert parsed.services_of("B") == (second,)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"id": "did:web:b.example"}, DidFault.ID_MISMATCH),
        ({"id": None}, DidFault.INVALID_DOCUMENT),
        ({"id": ""}, DidFault.INVALID_DOCUMENT),
        ({"verificationMethod": {}}, DidFault.INVALID_DOCUMENT),
        ({"verificationMethod": ["x"]}, DidFault.INVALID_DOCUMENT),
        ({"verificationMethod": [KEY, KEY]}, DidFault.DUPLICATE_ID),
        ({"verificationMethod": [KEY, KEY | {"id": "#k"}]}, DidFault.DUPLICATE_ID),
        ({"authentication": [KEY]}, DidFault.DUPLICATE_ID),
        ({"verificationMethod": [KEY | {"id": "k"}]}, DidFault.INVALID_DOCUMENT),
        ({"verificationMethod": [KEY | {"id": 1}]}, DidFault.INVALID_DOCUMENT),
        ({"verificationMethod": [KEY | {"type": ["JsonWebKey2020"]}]}, DidFault.INVALID_DOCUMENT),
        ({"verificationMethod": [KEY | {"controller": 1}]}, DidFault.INVALID_DOCUMENT),
        ({"verificationMethod": [KEY] * (MAX_ENTRIES + 1)}, DidFault.INVALID_DOCUMENT),
        (
            {"authentication": [method_entry(DID, f"e{i}", {}) for i in range(MAX_ENTRIES)]},
            DidFault.INVALID_DOCUMENT,
        ),
        ({"authentication": "#k"}, DidFault.INVALID_DOCUMENT),
        ({"authentication": [1]}, DidFault.INVALID_DOCUMENT),
        ({"authentication": ["k"]}, DidFault.INVALID_DOCUMENT),
        ({"service": [{"id": "#s", "type": "T"}]}, DidFault.INVALID_DOCUMENT),
        ({"service": [{"id": "#s", "serviceEndpoint": "x:y"}]}, DidFault.INVALID_DOCUMENT),
        ({"service": [{"id": "#s", "type": "T", "serviceEndpoint": 1}]}, DidFault.INVALID_DOCUMENT),
        ({"service": [{"id": "#s", "type": "T", "serviceEndpoint": "x"}] * 2}, DidFault.DUPLICATE_ID),
        (
            {"service": [{"id": "#s", "type": "T", "serviceEndpoint": ["x"] * (MAX_ENTRIES + 1)}]},
            DidFault.INVALID_DOCUMENT,
        ),
        (
            {"service": [{"id": "#s", "type": "T", "serviceEndpoint": {"a": ["x"] * (MAX_ENTRIES + 1)}}]},
            DidFault.INVALID_DOCUMENT,
        ),
        ({"alsoKnownAs": [1]}, DidFault.INVALID_DOCUMENT),
        ({"alsoKnownAs": ["x" * (MAX_TEXT + 1)]}, DidFault.INVALID_DOCUMENT),
    ],
)
def test_a_broken_document_is_refused(changes, fault):
    """Each broken rule refuses the whole document with its own code."""
    with refuses(fault):
        parse(document(DID, KEY, **changes))


@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"", DidFault.INVALID_DOCUMENT),
        (b"[]", DidFault.INVALID_DOCUMENT),
        (b"\xff", DidFault.INVALID_DOCUMENT),
        (b'{"id":"did:web:a.example","id":"did:web:a.example"}', DidFault.INVALID_DOCUMENT),
        (b'{"a":' * 40 + b"1" + b"}" * 40, DidFault.INVALID_DOCUMENT),
        (b'{"a":' * 9000 + b"1" + b"}" * 9000, DidFault.INVALID_DOCUMENT),
        (b" " * (MAX_DOCUMENT + 1), DidFault.DOCUMENT_TOO_LARGE),
        (b'{"id":"' + b"a" * 10_000_000 + b'"}', DidFault.DOCUMENT_TOO_LARGE),
    ],
    ids=["empty", "array", "octets", "duplicate", "deep", "deeper", "large", "huge"],
)
def test_hostile_json_is_refused_within_bounds(data, fault):
    """Other values, duplicate members, deep nesting and 10 MB are refused before anything is made of them."""
    with refuses(fault):
        parse(data)


def test_methods_are_bounded_wherever_they_stand():
    """Methods in verificationMethod and embedded ones count together."""
    entries = [method_entry(DID, f"e{index}", P256.jwk) for index in range(MAX_METHODS)]
    half = MAX_METHODS // 2
    split = {"verificationMethod": entries[:half], "authentication": entries[half:]}
    assert len(parse(document(DID, assertionMethod=[], **split)).methods) == MAX_METHODS
    with refuses(DidFault.INVALID_DOCUMENT):
        parse(document(DID, assertionMethod=[KEY], **split))


def test_references_to_keys_elsewhere_give_no_key():
    """A relationship that names a method of another DID, or none at all, lists nothing here."""
    parsed = parse(document(DID, KEY, assertionMethod=["did:web:b.example#k", "#missing"]))
    (method,) = parsed.methods
    assert method.relationships == {Relationship.AUTHENTICATION}


def test_unknown_members_are_passed_over():
    """Members that nobody knows do not refuse a document (DID Core §6.2.2)."""
    assert parse(document(DID, KEY, **{"@context": 7, "proof": {}, "x": [1]})).methods


@pytest.mark.parametrize(
    ("method", "algorithm"),
    [
        ({"type": "JsonWebKey", "publicKeyJwk": ED.jwk}, Algorithm.EDDSA),
        ({"type": "EcdsaSecp256k1VerificationKey2019", "publicKeyJwk": K256.jwk}, Algorithm.ES256K),
        ({"type": "EcdsaSecp256r1VerificationKey2019", "publicKeyJwk": P256.jwk}, Algorithm.ES256),
        ({"publicKeyJwk": P256.jwk | {"kid": "x" * 5000, "x5c": ["x"]}}, Algorithm.ES256),
    ],
)
def test_each_method_type_is_read(method, algorithm):
    """Each supported type gives its key, whatever the JWK's kid and certificates say."""
    assert only(**method).algorithm is algorithm


@pytest.mark.parametrize("kind", ["Multikey", "Ed25519VerificationKey2020"])
def test_multibase_keys_are_read(kind):
    """A publicKeyMultibase of the two types that have it gives the key."""
    entry = {
        "id": "#k",
        "type": kind,
        "controller": DID,
        "publicKeyMultibase": encode_multikey(ED.public_key),
    }
    (method,) = parse(document(DID, entry)).methods
    assert method.public_key == ED.public_key


def test_base58_keys_of_2018_are_read():
    """A publicKeyBase58 is read for Ed25519VerificationKey2018, without a multicodec."""
    entry = {
        "id": "#k",
        "type": "Ed25519VerificationKey2018",
        "controller": DID,
        "publicKeyBase58": encode_base58(ED.public_key.public_bytes_raw()),
    }
    assert parse(document(DID, entry)).methods[0].public_key == ED.public_key


@pytest.mark.parametrize(
    "method",
    [
        {"type": "Bls12381G2Key2020"},
        {"publicKeyJwk": None},
        {"publicKeyJwk": "x"},
        {"publicKeyMultibase": "z6Mk"},
        {"type": "EcdsaSecp256k1VerificationKey2019"},
        {"type": "Ed25519VerificationKey2020"},
        {"publicKeyJwk": json.loads(private_jwk(P256.key))},
        {"publicKeyJwk": P256.jwk | {"alg": "ES384"}},
        {"publicKeyJwk": P256.jwk | {"use": "enc"}},
        {"publicKeyJwk": P256.jwk | {"key_ops": ["deriveKey"]}},
        {"publicKeyJwk": P256.jwk | {"crv": "P-384"}},
        {"publicKeyJwk": P256.jwk | {"y": P256.jwk["x"]}},
        {"publicKeyJwk": TestSigner(Algorithm.ES512).jwk},
        {"publicKeyJwk": {"kty": "OKP", "crv": "X25519", "x": "AAAA"}},
    ],
)
def test_a_key_of_no_use_refuses_itself_and_not_the_document(method):
    """A document may hold keys that are not for us; such a key has no key, no algorithm and a reason."""
    read = only(**method)
    assert (read.public_key, read.algorithm) == (None, None)
    assert read.unusable


@pytest.mark.parametrize(
    "entry", [{"publicKeyMultibase": 1}, {"publicKeyBase58": "1"}, {"publicKeyMultibase": "?"}]
)
def test_other_key_material_of_no_use(entry):
    """Multibase and base58 keys that cannot be read are of no use, and refuse nothing else."""
    entry |= {"id": "#k", "type": "Multikey", "controller": DID}
    assert parse(document(DID, entry)).methods[0].unusable


members = st.sampled_from(
    ["id", "type", "controller", "publicKeyJwk", "verificationMethod", "authentication", "service", "a"]
)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6) | st.just(DID) | st.just("#k"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(members, inner, max_size=4),
    max_leaves=15,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(members, values, max_size=5), st.booleans())
def test_any_json_is_read_or_refused(value, right_id):
    """Whatever shape a document has, it becomes a typed value or a `DidError`."""
    if right_id:
        value["id"] = DID
    with contextlib.suppress(DidError):
        parse(value)
