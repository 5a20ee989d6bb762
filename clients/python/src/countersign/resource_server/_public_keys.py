"""Public keys, each bound to one algorithm (RFC 8725 §3.1), from key sets and from proofs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from countersign.resource_server._encoding import EncodingError, decode_base64url, encode_base64url
from countersign.tokens import EcPublicKey, OkpPublicKey, PublicKey, RsaPublicKey

MIN_RSA_BITS: Final = 2048  # RFC 7518 §3.3
MAX_RSA_BITS: Final = 8192  # A larger modulus makes one verification an attack.
MAX_RSA_EXPONENT: Final = 2**32 - 1

_CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
    "secp256k1": ec.SECP256K1(),
}
# The type of key that each algorithm takes, or its curve (RFC 7518 §3.1, RFC 8037 §3.1, RFC 8812 §3.2).
_KEY_OF: Final[Mapping[str, str]] = {
    "EdDSA": "Ed25519",
    "ES256": "P-256",
    "ES384": "P-384",
    "ES512": "P-521",
    "ES256K": "secp256k1",
    "RS256": "RSA",
    "PS256": "RSA",
}
_PRIVATE_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
# Points whose order divides 8: under such a key some signatures verify for any message.
_ED25519_P: Final = 2**255 - 19
_ED25519_ORDER_8_Y: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_ED25519_SMALL_ORDER_Y: Final = frozenset(
    {0, 1, _ED25519_P - 1, _ED25519_ORDER_8_Y, _ED25519_P - _ED25519_ORDER_8_Y}
)

ALGORITHMS: Final = frozenset(_KEY_OF)
"""The algorithms that signatures can be verified for, by their JOSE names; all asymmetric."""

_VERIFIERS: Final = {name: get_default_algorithms()[name] for name in ALGORITHMS}


class KeyUnusableError(ValueError):
    """The key cannot serve the algorithm, or is no key."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key that verifies signatures of `algorithm` and of no other."""

    algorithm: str
    _key: Any

    @classmethod
    def of(cls, key: PublicKey, algorithm: str) -> "VerificationKey":
        """*key* for *algorithm*. Raises `KeyUnusableError` where they do not belong together."""
        kind = "RSA" if isinstance(key, RsaPublicKey) else key.crv
        if _KEY_OF.get(algorithm) != kind:
            raise KeyUnusableError("the key is not one for the algorithm")
        try:
            return cls(algorithm, _loaded(key))
        except ValueError as error:
            raise KeyUnusableError(str(error)) from error

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Whether *signature*, in JOSE form, is one of this key over *message*."""
        # PyJWT's algorithms are exact where it matters: an ECDSA signature has the length of its curve, an
        # RSASSA-PSS one a salt as long as the digest.
        return bool(_VERIFIERS[self.algorithm].verify(message, self._key, signature))


def key_of_members(members: object) -> PublicKey:
    """The public key that the members of a JWK describe (RFC 7518 §6, RFC 8037 §2).

    Refuses private members, and a coordinate that has not the size of its curve. Raises `KeyUnusableError`.
    """
    if not isinstance(members, dict):
        raise KeyUnusableError("the jwk is not an object")
    if not _PRIVATE_MEMBERS.isdisjoint(members):
        raise KeyUnusableError("the jwk holds private members")
    match members.get("kty"):
        case "EC":
            return EcPublicKey(_text(members, "crv"), _octets(members, "x"), _octets(members, "y"))
        case "OKP":
            return OkpPublicKey(_text(members, "crv"), _octets(members, "x"))
        case "RSA":
            return RsaPublicKey(_octets(members, "n"), _octets(members, "e"))
        case _:
            raise KeyUnusableError("the key type is not accepted")


def thumbprint(key: PublicKey) -> bytes:
    """The SHA-256 thumbprint of *key* (RFC 7638 §3), 32 octets."""
    match key:
        case EcPublicKey(crv, x, y):
            members = {"crv": crv, "kty": "EC", "x": encode_base64url(x), "y": encode_base64url(y)}
        case OkpPublicKey(crv, x):
            members = {"crv": crv, "kty": "OKP", "x": encode_base64url(x)}
        case RsaPublicKey(n, e):
            members = {"e": encode_base64url(e), "kty": "RSA", "n": encode_base64url(n)}
    return hashlib.sha256(json.dumps(members, separators=(",", ":")).encode("ascii")).digest()


def _loaded(key: PublicKey) -> Any:
    match key:
        case EcPublicKey(crv, x, y):
            curve = _CURVES[crv]
            size = (curve.key_size + 7) // 8
            if len(x) != size or len(y) != size:
                raise KeyUnusableError("a coordinate has not the size of the curve")
            return ec.EllipticCurvePublicKey.from_encoded_point(curve, b"\x04" + x + y)
        case OkpPublicKey(_, x):
            y_coordinate = int.from_bytes(x, "little") & ((1 << 255) - 1)
            if y_coordinate >= _ED25519_P or y_coordinate in _ED25519_SMALL_ORDER_Y:
                raise KeyUnusableError("the point is not canonical or has a small order")
            return ed25519.Ed25519PublicKey.from_public_bytes(x)
        case RsaPublicKey(n, e):
            return _rsa_key(n, e)


def _rsa_key(n: bytes, e: bytes) -> rsa.RSAPublicKey:
    modulus, exponent = int.from_bytes(n, "big"), int.from_bytes(e, "big")
    if not n or not e or n[0] == 0 or e[0] == 0:
        raise KeyUnusableError("an integer of the key is not in its shortest form")
    if not MIN_RSA_BITS <= modulus.bit_length() <= MAX_RSA_BITS:
        raise KeyUnusableError(f"the modulus has not {MIN_RSA_BITS} to {MAX_RSA_BITS} bits")
    if exponent > MAX_RSA_EXPONENT:
        raise KeyUnusableError("the exponent is too large")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    if not isinstance(value, str):
        raise KeyUnusableError(f"{name} is missing or not a string")
    return value


def _octets(members: Mapping[str, Any], name: str) -> bytes:
    try:
        return decode_base64url(_text(members, name))
    except EncodingError as error:
        raise KeyUnusableError(f"{name} is not base64url") from error
