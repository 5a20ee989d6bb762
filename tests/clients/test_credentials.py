"""Proofs of a client's identity."""

from datetime import timedelta

import jwt
import pytest
from countersign import AssertionKey
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.support.pki import new_key

ISSUER = "https://gateway.example"


@pytest.fixture(scope="module")
def rsa_key():
    return rsa.generate_private_key(65537, 2048)


def private_key(algorithm: str, rsa_key):
    curves = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1, "ES256K": ec.SECP256K1}
    if algorithm in curves:
        return ec.generate_private_key(curves[algorithm]())
    return ed25519.Ed25519PrivateKey.generate() if algorithm == "EdDSA" else rsa_key


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "ES384", "ES512", "ES256K", "RS256", "PS256"])
def test_assertion_by_rfc_7523(algorithm, rsa_key):
    """An assertion names the client twice, the issuer alone as a string, an id, and a minute of life."""
    key = private_key(algorithm, rsa_key)
    assertion = AssertionKey(key, algorithm, ISSUER, key_id="kid-1").assertion("billing")
    claims = jwt.decode(assertion, key.public_key(), algorithms=[algorithm], audience=ISSUER)
    assert claims["iss"] == claims["sub"] == "billing"
    assert claims["aud"] == ISSUER
    assert claims["exp"] - claims["iat"] == 60
    assert set(claims) == {"iss", "sub", "aud", "jti", "iat", "exp"}
    header = {"alg": algorithm, "typ": "client-authentication+jwt", "kid": "kid-1"}
    assert jwt.get_unverified_header(assertion) == header


def test_every_assertion_has_its_own_id():
    """No two assertions share a `jti`."""
    key = AssertionKey(new_key(), "ES256", ISSUER)
    ids = {jwt.decode(key.assertion("a"), options={"verify_signature": False})["jti"] for _ in range(20)}
    assert len(ids) == 20


def test_key_from_pem():
    """A PKCS#8 PEM is as good as a key object, and no `kid` is made up."""
    key = new_key()
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    assertion = AssertionKey(pem, "ES256", ISSUER).assertion("billing")
    assert jwt.decode(assertion, key.public_key(), algorithms=["ES256"], audience=ISSUER)
    assert "kid" not in jwt.get_unverified_header(assertion)


@pytest.mark.parametrize("algorithm", ["HS256", "none", "es256", ""])
def test_other_algorithms_are_refused(algorithm):
    """A shared secret, or no signature, is not a way to assert anything."""
    with pytest.raises(ValueError, match="algorithm"):
        AssertionKey(new_key(), algorithm, ISSUER)


@pytest.mark.parametrize("lifetime", [timedelta(0), timedelta(minutes=5, seconds=1)])
def test_lifetime_is_bounded(lifetime):
    """An assertion that is over at once, or that outlives what a gateway accepts, is refused."""
    with pytest.raises(ValueError, match="lifetime"):
        AssertionKey(new_key(), "ES256", ISSUER, lifetime=lifetime)
