"""The public key that the members of a JWK describe (RFC 7518 §6, RFC 8037 §2, RFC 8812 §3.1).

The other direction, a key's public members, is `signers.jose_form.public_jwk`.
"""

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP256R1,
    SECP384R1,
    SECP521R1,
    EllipticCurve,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, RSAPublicNumbers

from gateway.jose import base64url
from gateway.jose.errors import JoseError, JoseFault
from signers import Algorithm, PublicKey
from signers.jose_form import curve_name
from signers.verification import MAX_RSA_BITS, MIN_RSA_BITS

MAX_RSA_EXPONENT = 2**32 - 1

_CURVES: Mapping[str, EllipticCurve] = {
    "P-256": SECP256R1(),
    "P-384": SECP384R1(),
    "P-521": SECP521R1(),
    "secp256k1": SECP256K1(),
}

_ALGORITHM_OF_CURVE: Mapping[str, Algorithm] = {
    algorithm.spec.curve: algorithm for algorithm in Algorithm if algorithm.spec.curve is not None
}

_ED25519_SIZE = 32
_ED25519_P = 2**255 - 19
_ED25519_D = -121665 * pow(121666, -1, _ED25519_P) % _ED25519_P
# The y coordinates of the eight points whose order divides 8. Under such a key some signatures verify for any
# message, so that anyone could sign for its holder.
_ED25519_ORDER_8_Y = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_ED25519_SMALL_ORDER_Y = frozenset(
    {0, 1, _ED25519_P - 1, _ED25519_ORDER_8_Y, _ED25519_P - _ED25519_ORDER_8_Y},
)


def implied_algorithm(public_key: PublicKey) -> Algorithm | None:
    """The one algorithm that *public_key* can serve; None for RSA, which serves several."""
    if isinstance(public_key, RSAPublicKey):
        return None
    curve = "Ed25519" if isinstance(public_key, Ed25519PublicKey) else curve_name(public_key)
    return _ALGORITHM_OF_CURVE.get(curve)


def public_key_of(members: Mapping[str, Any]) -> PublicKey:
    """The public key that a JWK's members describe. Raises `JoseError`."""
    match members.get("kty"):
        case "EC":
            return _ec_key(members)
        case "OKP":
            return _ed25519_key(members)
        case "RSA":
            return _rsa_key(members)
        case "oct":
            raise JoseError(JoseFault.SYMMETRIC_KEY, "a symmetric key is never accepted", member="kty")
        case _:
            raise JoseError(JoseFault.KEY_TYPE_UNSUPPORTED, "the key type is not supported", member="kty")


def _ec_key(members: Mapping[str, Any]) -> EllipticCurvePublicKey:
    curve = _CURVES.get(_text(members, "crv"))
    if curve is None:
        raise JoseError(JoseFault.KEY_TYPE_UNSUPPORTED, "the curve is not supported", member="crv")
    size = (curve.key_size + 7) // 8
    # RFC 7518 §6.2.1.2: a coordinate always has the full size of the field.
    point = b"\x04" + _octets(members, "x", size) + _octets(members, "y", size)
    try:
        return EllipticCurvePublicKey.from_encoded_point(curve, point)
    except ValueError as error:
        raise JoseError(JoseFault.POINT_NOT_ON_CURVE, "the point is not on the curve", member="x") from error


def _ed25519_key(members: Mapping[str, Any]) -> Ed25519PublicKey:
    if _text(members, "crv") != "Ed25519":
        raise JoseError(JoseFault.KEY_TYPE_UNSUPPORTED, "the curve is not supported", member="crv")
    if "y" in members:
        raise JoseError(JoseFault.INVALID_KEY, "an OKP key has no y", member="y")
    raw = _octets(members, "x", _ED25519_SIZE)
    _check_ed25519_point(raw)
    return Ed25519PublicKey.from_public_bytes(raw)


def _check_ed25519_point(raw: bytes) -> None:
    """RFC 8032 §5.1.3: the encoding is canonical and decodes to a point, which has a large order."""
    y = int.from_bytes(raw, "little") & ((1 << 255) - 1)
    if y >= _ED25519_P:
        raise JoseError(JoseFault.POINT_NOT_ON_CURVE, "the encoding is not canonical", member="x")
    if y in _ED25519_SMALL_ORDER_Y:
        raise JoseError(JoseFault.INVALID_KEY, "the point has a small order", member="x")
    # x² = (y² - 1) / (d·y² + 1) has a root exactly if numerator times denominator is a square (Euler).
    square = y * y % _ED25519_P
    candidate = (square - 1) * (_ED25519_D * square + 1) % _ED25519_P
    if pow(candidate, (_ED25519_P - 1) // 2, _ED25519_P) != 1:
        raise JoseError(JoseFault.POINT_NOT_ON_CURVE, "the point is not on the curve", member="x")


def _rsa_key(members: Mapping[str, Any]) -> RSAPublicKey:
    modulus = _uint(members, "n", MAX_RSA_BITS)
    exponent = _uint(members, "e", MAX_RSA_EXPONENT.bit_length())
    if modulus.bit_length() < MIN_RSA_BITS:
        raise JoseError(
            JoseFault.KEY_TOO_SMALL, f"the modulus has fewer than {MIN_RSA_BITS} bits", member="n"
        )
    if not modulus & 1:
        raise JoseError(JoseFault.INVALID_KEY, "the modulus is even", member="n")
    if not exponent & 1 or exponent == 1:
        raise JoseError(JoseFault.INVALID_KEY, "the exponent is even or one", member="e")
    try:
        return RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        raise JoseError(JoseFault.INVALID_KEY, "the RSA key is not valid", member="n") from error


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise JoseError(JoseFault.INVALID_KEY, f"{name} is missing or not a string", member=name)
    return value


def _octets(members: Mapping[str, Any], name: str, size: int) -> bytes:
    octets = _decoded(members, name)
    if len(octets) != size:
        raise JoseError(JoseFault.INVALID_KEY, f"{name} is not {size} octets", member=name)
    return octets


def _uint(members: Mapping[str, Any], name: str, max_bits: int) -> int:
    """A Base64urlUInt (RFC 7518 §2): big-endian, at least one octet, no leading zero octet."""
    octets = _decoded(members, name)
    if not octets or octets[0] == 0:
        raise JoseError(JoseFault.INVALID_KEY, f"{name} is not in its shortest form", member=name)
    if len(octets) > (max_bits + 7) // 8:
        raise JoseError(JoseFault.KEY_TOO_LARGE, f"{name} exceeds {max_bits} bits", member=name)
    return int.from_bytes(octets, "big")


def _decoded(members: Mapping[str, Any], name: str) -> bytes:
    try:
        return base64url.decode(_text(members, name))
    except JoseError as error:
        if error.code is JoseFault.INVALID_BASE64URL:
            raise JoseError(JoseFault.INVALID_KEY, f"{name} is not base64url", member=name) from error
        raise
