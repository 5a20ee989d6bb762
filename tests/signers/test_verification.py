"""Signatures in JOSE form: published vectors, and every way to be slightly wrong."""

from base64 import urlsafe_b64decode

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from signers import Algorithm, KeyUnusableError, SignatureInvalidError
from signers.jose_form import der_to_raw, raw_to_der, spki_sha256, thumbprint
from signers.key_files import generate_private_key, parse_private_key
from signers.verification import _ORDERS, ecdsa_scheme, require_fit, rsa_padding, verify

WEAK_RSA = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505  # To be refused.

# SOURCE: RFC 8037 appendix A.1 to A.4.
RFC8037_KEY = (
    b'{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",'
    b'"x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'
)
RFC8037_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
RFC8037_INPUT = b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc"
RFC8037_SIGNATURE = bytes.fromhex(
    "860c98d2297f3060a33f42739672d61b53cf3adefed3d3c672f320dc021b411e"
    "9d59b8628dc351e248b88b29468e0e41855b0fb7d83bb15be902bfccb8cd0a02"
)
# SOURCE: RFC 7515 appendix A.3.1.
RFC7515_KEY = (
    b'{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",'
    b'"y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",'
    b'"d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}'
)
RFC7515_INPUT = (
    b"eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
    b"cGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
)
RFC7515_R = [14, 209, 33, 83, 121, 99, 108, 72, 60, 47, 127, 21, 88, 7, 212, 2]
RFC7515_R += [163, 178, 40, 3, 58, 249, 124, 126, 23, 129, 154, 195, 22, 158, 166, 101]
RFC7515_S = [197, 10, 7, 211, 140, 60, 112, 229, 216, 241, 45, 175, 8, 74, 84, 128]
RFC7515_S += [166, 101, 144, 197, 242, 147, 80, 154, 143, 63, 127, 138, 131, 163, 84, 213]


def test_rfc8037_example():
    """The Ed25519 example of RFC 8037: its thumbprint, its signature, and its verification."""
    key = parse_private_key(RFC8037_KEY, None, Algorithm.EDDSA, key="test")
    assert thumbprint(key.public_key()) == RFC8037_THUMBPRINT
    assert key.sign(RFC8037_INPUT) == RFC8037_SIGNATURE
    verify(key.public_key(), Algorithm.EDDSA, RFC8037_INPUT, RFC8037_SIGNATURE)


def test_rfc7515_example():
    """The ES256 example of RFC 7515 verifies, and not with one bit changed."""
    key = parse_private_key(RFC7515_KEY, None, Algorithm.ES256, key="test").public_key()
    signature = bytes(RFC7515_R + RFC7515_S)
    verify(key, Algorithm.ES256, RFC7515_INPUT, signature)
    with pytest.raises(SignatureInvalidError, match="does not verify"):
        verify(key, Algorithm.ES256, RFC7515_INPUT, signature[:-1] + bytes([signature[-1] ^ 1]))


def test_rfc7638_example():
    """The thumbprint of the RSA key in RFC 7638 §3.1."""
    # SOURCE: RFC 7638 §3.1.
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3"
        "oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdA"
        "ZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-"
        "kEgU8awapJzKnqDKgw"
    )
    number = int.from_bytes(urlsafe_b64decode(modulus + "=="), "big")
    key = rsa.RSAPublicNumbers(65537, number).public_key()
    assert thumbprint(key) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"


@pytest.mark.parametrize("algorithm", [Algorithm.ES256, Algorithm.ES384, Algorithm.ES512, Algorithm.ES256K])
class TestEcdsa:
    """RFC 7518 §3.4."""

    def test_der_and_raw_are_inverse(self, algorithm):
        """A DER signature becomes raw of the fixed size and back."""
        key = generate_private_key(algorithm)
        for number in range(8):
            der = key.sign(b"%d" % number, ecdsa_scheme(algorithm))
            raw = der_to_raw(der, algorithm.spec.signature_size)
            assert len(raw) == algorithm.spec.signature_size
            assert raw_to_der(raw) == der
            verify(key.public_key(), algorithm, b"%d" % number, raw)

    def test_length_is_exact(self, algorithm):
        """A signature that is longer, shorter, empty or DER is refused by its length."""
        key = generate_private_key(algorithm)
        der = key.sign(b"m", ecdsa_scheme(algorithm))
        raw = der_to_raw(der, algorithm.spec.signature_size)
        for wrong in (b"", raw[:-1], raw + b"\0", b"\0" + raw, b"\0" + raw[:32] + b"\0" + raw[32:], der):
            if len(wrong) != len(raw):
                with pytest.raises(SignatureInvalidError, match="bytes, not"):
                    verify(key.public_key(), algorithm, b"m", wrong)

    def test_range_is_checked(self, algorithm):
        """R and s of zero, of n and above n are refused (CVE-2022-21449)."""
        key = generate_private_key(algorithm)
        half = algorithm.spec.signature_size // 2
        raw = der_to_raw(key.sign(b"m", ecdsa_scheme(algorithm)), 2 * half)
        for bad in (bytes(half), b"\xff" * half):
            for wrong in (bad + raw[half:], raw[:half] + bad, bad + bad):
                with pytest.raises(SignatureInvalidError, match="out of range"):
                    verify(key.public_key(), algorithm, b"m", wrong)

    def test_order_of_the_curve(self, algorithm):
        """N itself is out of range and n - 1 is not: the table holds the curve's true order."""
        order = _ORDERS[algorithm]
        key = generate_private_key(algorithm)
        half = algorithm.spec.signature_size // 2
        with pytest.raises(SignatureInvalidError, match="out of range"):
            verify(key.public_key(), algorithm, b"m", order.to_bytes(half, "big") * 2)
        with pytest.raises(SignatureInvalidError, match="does not verify"):
            verify(key.public_key(), algorithm, b"m", (order - 1).to_bytes(half, "big") * 2)
        # The library accepts a private value below the order only.
        ec.derive_private_key(order - 1, algorithm.spec.ec_curve)
        with pytest.raises(ValueError, match=r"[Ii]nvalid|range|[Ff]ailed|must"):
            ec.derive_private_key(order, algorithm.spec.ec_curve)


@pytest.mark.parametrize("algorithm", [Algorithm.RS256, Algorithm.PS256])
def test_rsa_length_is_exact(algorithm):
    """An RSA signature is as long as the modulus."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key()
    for size in (0, 255, 257):
        with pytest.raises(SignatureInvalidError, match="as long as"):
            verify(key, algorithm, b"m", bytes(size))
    with pytest.raises(SignatureInvalidError, match="does not verify"):
        verify(key, algorithm, b"m", bytes(256))


def test_rsa_paddings_are_not_exchangeable():
    """A PS256 signature is none for RS256, and the other way round."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    for made, claimed in ((Algorithm.RS256, Algorithm.PS256), (Algorithm.PS256, Algorithm.RS256)):
        signature = key.sign(b"m", rsa_padding(made), hashes.SHA256())
        verify(key.public_key(), made, b"m", signature)
        with pytest.raises(SignatureInvalidError):
            verify(key.public_key(), claimed, b"m", signature)


@pytest.mark.parametrize(
    ("key", "algorithm", "reason"),
    [
        (ec.generate_private_key(ec.SECP256R1()), Algorithm.ES256K, "secp256k1, and this one is P-256"),
        (ec.generate_private_key(ec.SECP256R1()), Algorithm.RS256, "RSA, and this one is P-256"),
        (ec.generate_private_key(ec.BrainpoolP256R1()), Algorithm.ES256, "this one is brainpoolP256r1"),
        (Ed25519PrivateKey.generate(), Algorithm.ES256, "P-256, and this one is Ed25519"),
        (Ed448PrivateKey.generate(), Algorithm.EDDSA, "signs no JOSE algorithm"),
        (WEAK_RSA, Algorithm.RS256, "1024 bits"),
        (rsa.generate_private_key(public_exponent=65537, key_size=2048), Algorithm.EDDSA, "this one is RSA"),
    ],
)
def test_key_must_fit_the_algorithm(key, algorithm, reason):
    """A key of another type, curve or size is refused, whatever the signature."""
    with pytest.raises(KeyUnusableError, match=reason):
        require_fit(key.public_key(), algorithm)
    with pytest.raises(KeyUnusableError, match=reason):
        verify(key.public_key(), algorithm, b"m", bytes(64))


def test_spki_hash_differs_by_key():
    """Two keys have two hashes of 64 hex digits."""
    found = {spki_sha256(generate_private_key(Algorithm.ES256).public_key()) for _ in range(2)}
    assert {len(value) for value in found} == {64}
    assert len(found) == 2
