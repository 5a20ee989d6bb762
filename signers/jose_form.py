"""The JOSE forms of signatures and public keys, each conversion written once.

ECDSA signatures are raw ``r || s`` in JOSE (RFC 7518 §3.4) and a DER SEQUENCE elsewhere; a key's identity is
its RFC 7638 thumbprint.
"""

import binascii
import hashlib

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signers.base import PublicKey

_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
# JWK curve names (RFC 7518 §6.2.1.1, RFC 8812 §3.1) by the library's names.
_JWK_CURVES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521", "secp256k1": "secp256k1"}


def base64url(data: bytes) -> str:
    """Base64url without padding (RFC 7515 §2)."""
    text = binascii.b2a_base64(data, newline=False)
    return text.rstrip(b"=").translate(_TO_URL_SAFE).decode()


def raw_to_der(raw: bytes) -> bytes:
    """A raw ``r || s`` signature of even length as DER Ecdsa-Sig-Value (RFC 3279 §2.2.3)."""
    half = len(raw) // 2
    return encode_dss_signature(int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big"))


def der_to_raw(der: bytes, size: int) -> bytes:
    """A DER Ecdsa-Sig-Value as raw ``r || s`` of *size* bytes, each half padded with zeros on the left.

    Raises `ValueError` for malformed DER, and `OverflowError` for numbers that do not fit.
    """
    r, s = decode_dss_signature(der)
    return r.to_bytes(size // 2, "big") + s.to_bytes(size // 2, "big")


def curve_name(public_key: EllipticCurvePublicKey) -> str:
    """The JWK name of the key's curve; the library's own name where JOSE has none."""
    return _JWK_CURVES.get(public_key.curve.name, public_key.curve.name)


def public_jwk(public_key: PublicKey) -> dict[str, str]:
    """The required members of the public JWK (RFC 7517 §4, RFC 7518 §6, RFC 8037 §2) and nothing else.

    In the order of their names, as RFC 7638 §3.3 wants them.
    """
    if isinstance(public_key, Ed25519PublicKey):
        raw = public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"crv": "Ed25519", "kty": "OKP", "x": base64url(raw)}
    if isinstance(public_key, EllipticCurvePublicKey):
        point = public_key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        half = len(point) // 2
        return {
            "crv": curve_name(public_key),
            "kty": "EC",
            "x": base64url(point[1 : 1 + half]),
            "y": base64url(point[1 + half :]),
        }
    numbers = public_key.public_numbers()
    return {"e": _base64url_uint(numbers.e), "kty": "RSA", "n": _base64url_uint(numbers.n)}


def thumbprint(public_key: PublicKey) -> str:
    """The RFC 7638 SHA-256 thumbprint of *public_key*, base64url without padding (43 characters)."""
    # Names of curves and base64url need no escapes in JSON.
    members = ",".join([f'"{name}":"{value}"' for name, value in public_jwk(public_key).items()])
    return base64url(hashlib.sha256(f"{{{members}}}".encode()).digest())


def spki_sha256(public_key: PublicKey) -> str:
    """SHA-256 of the DER SubjectPublicKeyInfo, in lower-case hex: the form in which keys are pinned."""
    der = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(der).hexdigest()


def _base64url_uint(number: int) -> str:
    return base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))
