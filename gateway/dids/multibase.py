"""Multibase texts and the multicodec keys in them: base58btc, base64url, and the four key types used here.

SOURCE of the prefixes: github.com/multiformats/multibase and multicodec, tables multibase.csv and table.csv.
"""

from collections.abc import Mapping
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256K1,
    SECP256R1,
    SECP384R1,
    EllipticCurve,
    EllipticCurvePublicKey,
)

from gateway.dids.errors import DidError, DidFault
from gateway.jose import JoseError, base64url, parse_jwk
from signers import PublicKey
from signers.jose_form import public_jwk

MAX_TEXT: Final = 256  # characters: decoding base58 costs the square of the length

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES: Final = {character: value for value, character in enumerate(_BASE58)}

_ED25519: Final = b"\xed\x01"
# A multicodec is an unsigned varint; the points are compressed (SEC 1 §2.3.3), so their size is fixed.
_CURVES: Final[Mapping[bytes, EllipticCurve]] = {
    b"\xe7\x01": SECP256K1(),
    b"\x80\x24": SECP256R1(),
    b"\x81\x24": SECP384R1(),
}


def decode_multibase(text: str) -> bytes:
    """The octets of a multibase text of at most `MAX_TEXT` characters: ``z`` base58btc or ``u`` base64url.

    Raises `DidError` with `INVALID_MULTIBASE`.
    """
    if len(text) > MAX_TEXT:
        raise DidError(DidFault.INVALID_MULTIBASE, f"the text exceeds {MAX_TEXT} characters")
    if text.startswith("z"):
        return decode_base58(text[1:])
    if text.startswith("u"):
        try:
            return base64url.decode(text[1:])
        except JoseError as error:
            raise DidError(DidFault.INVALID_MULTIBASE, "not base64url") from error
    raise DidError(DidFault.INVALID_MULTIBASE, "the base is neither base58btc nor base64url")


def decode_base58(text: str) -> bytes:
    """The octets of a base58btc text of at most `MAX_TEXT` characters.

    Raises `DidError` with `INVALID_MULTIBASE`.
    """
    if not text or len(text) > MAX_TEXT:
        raise DidError(DidFault.INVALID_MULTIBASE, f"the text is empty or exceeds {MAX_TEXT} characters")
    number = 0
    for character in text:
        value = _VALUES.get(character)
        if value is None:
            raise DidError(DidFault.INVALID_MULTIBASE, "a character is outside the base58 alphabet")
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip("1"))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def encode_base58(data: bytes) -> str:
    """*data* in base58btc."""
    number = int.from_bytes(data, "big")
    digits = []
    while number:
        number, value = divmod(number, 58)
        digits.append(_BASE58[value])
    zeros = len(data) - len(data.lstrip(b"\x00"))
    return "1" * zeros + "".join(reversed(digits))


def decode_multikey(data: bytes) -> PublicKey:
    """The public key behind a multicodec prefix: Ed25519, secp256k1, P-256 or P-384.

    An Ed25519 point is checked as `gateway.jose` checks one: canonical, on the curve, of large order. Raises
    `DidError` with `KEY_TYPE_UNSUPPORTED` or `INVALID_KEY`.
    """
    prefix, key = data[:2], data[2:]
    if prefix == _ED25519:
        return ed25519_key(key)
    curve = _CURVES.get(prefix)
    if curve is None:
        raise DidError(DidFault.KEY_TYPE_UNSUPPORTED, "the multicodec names no supported key")
    if len(key) != 1 + (curve.key_size + 7) // 8:
        raise DidError(DidFault.INVALID_KEY, "the point is not compressed or has the wrong size")
    try:
        return EllipticCurvePublicKey.from_encoded_point(curve, key)
    except ValueError as error:
        raise DidError(DidFault.INVALID_KEY, "the point is not on the curve") from error


def ed25519_key(raw: bytes) -> PublicKey:
    """The Ed25519 key of 32 octets, checked by the rules for JWKs. Raises `DidError` with `INVALID_KEY`."""
    try:
        return parse_jwk({"kty": "OKP", "crv": "Ed25519", "x": base64url.encode(raw)}).public_key
    except JoseError as error:
        raise DidError(DidFault.INVALID_KEY, "not a usable Ed25519 point") from error


def encode_multikey(public_key: PublicKey) -> str:
    """The base58btc multibase text of a key that `decode_multikey` reads.

    Raises `DidError` with `KEY_TYPE_UNSUPPORTED` for any other.
    """
    members = public_jwk(public_key)
    if members.get("crv") == "Ed25519":
        return "z" + encode_base58(_ED25519 + base64url.decode(members["x"]))
    for prefix, curve in _CURVES.items():
        if isinstance(public_key, EllipticCurvePublicKey) and public_key.curve.name == curve.name:
            y = base64url.decode(members["y"])
            sign = b"\x03" if y[-1] & 1 else b"\x02"
            return "z" + encode_base58(prefix + sign + base64url.decode(members["x"]))
    raise DidError(DidFault.KEY_TYPE_UNSUPPORTED, "the key has no multicodec here")
