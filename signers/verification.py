"""Verifying a signature in JOSE form: the one place that does it, for signers and for received tokens."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.errors import KeyUnusableError, SignatureInvalidError
from signers.jose_form import curve_name

Verify: TypeAlias = Callable[[bytes, bytes], None]
"""Takes a message and its signature in JOSE form. Raises `SignatureInvalidError`."""

MIN_RSA_BITS = 2048
"""RFC 7518 §3.3 and §3.5."""

MAX_RSA_BITS = 8192
"""A larger modulus makes one verification cost so much that it is an attack."""

# The order n of each curve's base point. SOURCE: SEC 2 v2.0 §2.4.1, §2.4.2, §2.5.1, §2.6.1.
_ORDERS = {
    Algorithm.ES256: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    Algorithm.ES256K: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    Algorithm.ES384: int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973",
        16,
    ),
    Algorithm.ES512: int(
        "1FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA51868783BF2F966B7FCC0148"
        "F709A5D03BB5C9B8899C47AEBB6FB71E91386409",
        16,
    ),
}


@dataclass(frozen=True, slots=True)
class _EcdsaRow:
    size: int
    order: int
    scheme: ec.ECDSA


_ECDSA = {
    algorithm: _EcdsaRow(algorithm.spec.signature_size, order, ec.ECDSA(algorithm.spec.hash_algorithm))
    for algorithm, order in _ORDERS.items()
    if algorithm.spec.signature_size is not None and algorithm.spec.hash_algorithm is not None
}
_RSA_PADDING: dict[Algorithm, padding.AsymmetricPadding] = {
    Algorithm.RS256: padding.PKCS1v15(),
    # RFC 7518 §3.5: MGF1 with the same hash, and a salt as long as the digest.
    Algorithm.PS256: padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32),
}
_NAMED: dict[str, type[object]] = {
    "Ed25519": Ed25519PublicKey,
    "EC": EllipticCurvePublicKey,
    "RSA": RSAPublicKey,
}
# By type, of which there are a few.
_families: dict[type[object], str | None] = {}


def ecdsa_scheme(algorithm: Algorithm) -> ec.ECDSA:
    """The library's ECDSA scheme with *algorithm*'s hash. Raises `KeyError` for other algorithms."""
    return _ECDSA[algorithm].scheme


def rsa_padding(algorithm: Algorithm) -> padding.AsymmetricPadding:
    """The padding that RS256 or PS256 fixes. Raises `KeyError` for other algorithms."""
    return _RSA_PADDING[algorithm]


def require_fit(public_key: object, algorithm: Algorithm, *, key: str | None = None) -> PublicKey:
    """Return *public_key*, typed, if its type, curve and size are those of *algorithm*.

    Raises `KeyUnusableError`, in whose message *key* is the redacted name.
    """
    family = _family(public_key)
    if family is None:
        raise KeyUnusableError(f"A key of type {type(public_key).__name__} signs no JOSE algorithm.", key=key)
    fitting = cast("PublicKey", public_key)
    found = curve_name(cast("EllipticCurvePublicKey", fitting)) if family == "EC" else family
    wanted = algorithm.spec.curve or algorithm.spec.key_type
    if found != wanted:
        raise KeyUnusableError(f"{algorithm} needs a key of type {wanted}, and this one is {found}.", key=key)
    if family == "RSA":
        bits = cast("RSAPublicKey", fitting).key_size
        if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
            raise KeyUnusableError(
                f"The RSA key has {bits} bits, outside {MIN_RSA_BITS} to {MAX_RSA_BITS}.", key=key
            )
    return fitting


def _family(public_key: object) -> str | None:
    """``Ed25519``, ``EC`` or ``RSA``, or None for another key.

    Found out once for each type: these are abstract classes, and asking them about each key would cost as
    much as the rest of what is done around a signature.
    """
    kind = type(public_key)
    if kind not in _families:
        _families[kind] = next((name for name, base in _NAMED.items() if issubclass(kind, base)), None)
    return _families[kind]


def verify(public_key: PublicKey, algorithm: Algorithm, message: bytes, signature: bytes) -> None:
    """Verify *signature*, in JOSE form, over *message*.

    The length is exact, and r and s lie in 1..n-1 (RFC 7518 §3.4; FIPS 186-5 §6.4.2). Raises
    `SignatureInvalidError` for a signature that does not verify, `KeyUnusableError` for a key that does not
    belong to *algorithm*.
    """
    verifier(public_key, algorithm)(message, signature)


def verifier(public_key: PublicKey, algorithm: Algorithm) -> Verify:
    """`verify` for many signatures of one key: what does not depend on the signature is done here, once.

    Raises `KeyUnusableError`.
    """
    require_fit(public_key, algorithm)
    family = _family(public_key)
    if family == "EC":
        return partial(_ecdsa, cast("EllipticCurvePublicKey", public_key), _ECDSA[algorithm])
    if family == "Ed25519":
        return partial(_eddsa, cast("Ed25519PublicKey", public_key))
    digest = algorithm.spec.hash_algorithm
    if digest is None:
        raise KeyUnusableError(f"{algorithm} is not an RSA algorithm.")
    return partial(_rsa, cast("RSAPublicKey", public_key), _RSA_PADDING[algorithm], digest)


def _ecdsa(public_key: EllipticCurvePublicKey, row: _EcdsaRow, message: bytes, signature: bytes) -> None:
    try:
        public_key.verify(_strict_der(signature, row), message, row.scheme)
    except InvalidSignature:
        raise _does_not_verify() from None


def _eddsa(public_key: Ed25519PublicKey, message: bytes, signature: bytes) -> None:
    try:
        public_key.verify(signature, message)
    except InvalidSignature:
        raise _does_not_verify() from None


def _rsa(
    public_key: RSAPublicKey,
    scheme: padding.AsymmetricPadding,
    digest: hashes.HashAlgorithm,
    message: bytes,
    signature: bytes,
) -> None:
    if len(signature) * 8 != (public_key.key_size + 7) // 8 * 8:
        raise SignatureInvalidError("The signature is not as long as the RSA modulus.")
    try:
        public_key.verify(signature, message, scheme, digest)
    except InvalidSignature:
        raise _does_not_verify() from None


def _does_not_verify() -> SignatureInvalidError:
    return SignatureInvalidError("The signature does not verify with this public key.")


def _strict_der(signature: bytes, row: _EcdsaRow) -> bytes:
    if len(signature) != row.size:
        raise SignatureInvalidError(f"The signature has {len(signature)} bytes, not {row.size}.")
    half = row.size // 2
    r = int.from_bytes(signature[:half], "big")
    s = int.from_bytes(signature[half:], "big")
    if not (0 < r < row.order and 0 < s < row.order):
        raise SignatureInvalidError("r or s of the signature is out of range.")
    return encode_dss_signature(r, s)
