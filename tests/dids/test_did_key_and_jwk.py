"""did:key and did:jwk, by their published vectors and rule by rule."""

import json

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.dids import DidFault, Relationship, did_jwk, did_key, parse_did
from gateway.dids.did_jwk import JwkResolver
from gateway.dids.did_key import KeyResolver
from gateway.dids.errors import DidError
from gateway.dids.multibase import (
    decode_base58,
    decode_multibase,
    decode_multikey,
    encode_base58,
    encode_multikey,
)
from gateway.jose import base64url, parse_jwk
from signers import Algorithm
from tests.support.dids import KEYS, TestSigner, refuses
from tests.support.private_jwk import private_jwk

FOUR = [Algorithm.EDDSA, Algorithm.ES256, Algorithm.ES384, Algorithm.ES256K]


async def by_key(did):
    return (await KeyResolver().resolve(parse_did(did))).document


async def by_jwk(did):
    return (await JwkResolver().resolve(parse_did(did))).document


def jwk_did(members) -> str:
    text = members if isinstance(members, str) else json.dumps(members)
    return f"did:jwk:{base64url.encode(text.encode())}"


@pytest.mark.parametrize("vector", KEYS["did:key"], ids=lambda vector: vector["did"][8:16])
async def test_published_did_keys_resolve_to_their_keys(vector):
    """Each published did:key gives the published key, its algorithm and its fragment."""
    document = await by_key(vector["did"])
    (method,) = document.methods
    assert method.algorithm == vector["alg"]
    assert method.id == f"{vector['did']}#{document.id.identifier}"
    if "jwk" in vector:
        assert method.public_key == parse_jwk(vector["jwk"]).public_key
    else:
        assert decode_base58(document.id.identifier[1:])[2:] == decode_base58(vector["publicKeyBase58"])
    assert did_key(method.public_key) == vector["did"]
    assert method.relationships == frozenset(Relationship) - {Relationship.KEY_AGREEMENT}


@pytest.mark.parametrize("did", KEYS["did:key unsupported"])
async def test_key_types_that_sign_nothing_here_are_refused(did):
    """A published P-521 or X25519 did:key is refused by its multicodec."""
    with refuses(DidFault.KEY_TYPE_UNSUPPORTED):
        await by_key(did)


@pytest.mark.parametrize("algorithm", FOUR)
async def test_a_key_and_its_dids_name_each_other(algorithm):
    """A did:key and a did:jwk made of a key resolve to it, for each algorithm."""
    key = TestSigner(algorithm).public_key
    for did, resolve in ((did_key(key), by_key), (did_jwk(key), by_jwk)):
        (method,) = (await resolve(did)).methods
        assert (method.public_key, method.algorithm) == (key, algorithm)


@pytest.mark.parametrize(
    ("identifier", "fault"),
    [
        ("6MkiTBz1", DidFault.INVALID_MULTIBASE),
        ("uAAAA", DidFault.INVALID_MULTIBASE),
        ("z", DidFault.INVALID_MULTIBASE),
        ("z0OIl", DidFault.INVALID_MULTIBASE),
        ("z" + "2" * 400, DidFault.INVALID_MULTIBASE),
        ("z1", DidFault.KEY_TYPE_UNSUPPORTED),
        ("z" + encode_base58(b"\xed\x01" + bytes(31)), DidFault.INVALID_KEY),
        ("z" + encode_base58(b"\xed\x01" + bytes(32)), DidFault.INVALID_KEY),
        ("z" + encode_base58(b"\xed\x01" + b"\xff" * 32), DidFault.INVALID_KEY),
        ("z" + encode_base58(b"\x80\x24\x04" + bytes(64)), DidFault.INVALID_KEY),
        ("z" + encode_base58(b"\x80\x24\x02" + b"\xff" * 32), DidFault.INVALID_KEY),
        ("z" + encode_base58(b"\xe7\x01\x05" + bytes(32)), DidFault.INVALID_KEY),
    ],
)
async def test_a_broken_did_key_is_refused(identifier, fault):
    """Another base, another alphabet, a wrong size, a small-order or off-curve point: each has its code."""
    with refuses(fault):
        await by_key(f"did:key:{identifier}")


async def test_an_uncompressed_point_is_refused():
    """A did:key holds a compressed point, so that one key has one DID."""
    point = TestSigner(Algorithm.ES256).public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    with refuses(DidFault.INVALID_KEY):
        await by_key("did:key:z" + encode_base58(b"\x80\x24" + point))


def test_multibase_knows_base64url_beside_base58():
    """Multikey texts may be in base64url; an invalid one and an unknown base are refused."""
    key = TestSigner(Algorithm.ES256).public_key
    octets = decode_base58(encode_multikey(key)[1:])
    assert decode_multikey(decode_multibase("u" + base64url.encode(octets))) == key
    for text in ("u=", "f00", ""):
        with refuses(DidFault.INVALID_MULTIBASE):
            decode_multibase(text)


def test_a_key_without_multicodec_has_no_did_key():
    """A P-521 key has no did:key here."""
    with refuses(DidFault.KEY_TYPE_UNSUPPORTED):
        did_key(TestSigner(Algorithm.ES512).public_key)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_base58_is_a_bijection(data):
    """Any octets survive base58, leading zeros included."""
    if data:
        assert decode_base58(encode_base58(data)) == data


@pytest.mark.parametrize("vector", KEYS["did:jwk"])
async def test_the_published_did_jwk_resolves(vector):
    """The P-256 example of the did:jwk text gives its key under every relationship, as #0."""
    (method,) = (await by_jwk(vector["did"])).methods
    assert method.public_key == parse_jwk(vector["jwk"]).public_key
    assert (method.id, method.algorithm) == (f"{vector['did']}#0", vector["alg"])
    assert method.relationships == frozenset(Relationship)


async def test_the_published_x25519_did_jwk_has_no_signing_key():
    """The X25519 example resolves, is listed for key agreement alone, and signs nothing."""
    (method,) = (await by_jwk(KEYS["did:jwk x25519"])).methods
    assert method.relationships == {Relationship.KEY_AGREEMENT}
    assert method.public_key is None
    assert method.unusable is not None


async def test_use_decides_the_relationships():
    """A JWK for signatures is not for key agreement (did:jwk, To DID Document)."""
    (method,) = (await by_jwk(jwk_did(TestSigner(Algorithm.ES256).jwk | {"use": "sig"}))).methods
    assert method.relationships == frozenset(Relationship) - {Relationship.KEY_AGREEMENT}
    assert method.public_key is not None


P256 = TestSigner(Algorithm.ES256)


@pytest.mark.parametrize(
    "did",
    [
        jwk_did(json.loads(private_jwk(P256.key))),
        jwk_did({"kty": "oct", "k": "AAAA"}),
        jwk_did(P256.jwk | {"use": "both"}),
        jwk_did(P256.jwk | {"use": ["sig"]}),
        jwk_did({"kty": "OKP", "crv": "X25519", "x": "AAAA", "use": "both"}),
        jwk_did(P256.jwk | {"x": P256.jwk["y"]}),
        jwk_did(P256.jwk | {"alg": "ES384"}),
        jwk_did('{"kty":"EC","kty":"EC"}'),
        jwk_did("[]"),
        jwk_did("{"),
        jwk_did("[" * 2000),
        "did:jwk:e30%3D",
        "did:jwk:e30:e30",
    ],
)
async def test_a_broken_did_jwk_is_refused(did):
    """Private and symmetric keys, points off the curve, other algorithms and other JSON are refused."""
    with refuses(DidFault.INVALID_KEY):
        await by_jwk(did)


async def test_a_jwk_of_an_algorithm_not_accepted_is_unusable():
    """A P-521 key resolves, but serves no algorithm that a DID may use here."""
    (method,) = (await by_jwk(did_jwk(TestSigner(Algorithm.ES512).public_key))).methods
    assert method.public_key is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.text("123456789ABCDEFGHabcdefgh", min_size=1, max_size=60))
async def test_any_identifier_resolves_or_is_refused(octets, text):
    """Whatever an identifier holds, the answer is a document or a `DidError`."""
    for resolve, did in (
        (by_key, f"did:key:z{text}"),
        (by_jwk, f"did:jwk:{base64url.encode(octets + b' ')}"),
    ):
        try:
            await resolve(did)
        except DidError:
            continue
