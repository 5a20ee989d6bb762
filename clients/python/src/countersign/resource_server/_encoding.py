"""Base64url and JSON, read strictly: what two readers could take differently is refused (RFC 8725 §2.4).

PyJWT takes the last of two members with one name, padding, and bits that nobody looks at; so a proxy and a
resource server may see two different tokens in one text.
"""

import base64
import binascii
import json
import math
import re
from typing import Any

_ALPHABET = re.compile(r"[A-Za-z0-9_-]*")


class EncodingError(ValueError):
    """The text is not what it should be, or has another spelling."""


def encode_base64url(octets: bytes) -> str:
    """*octets* in base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """The octets that *text* spells; each octet string has one accepted spelling. Raises `EncodingError`."""
    if not _ALPHABET.fullmatch(text):
        raise EncodingError("a character is outside the alphabet")
    try:
        octets = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise EncodingError("the length is impossible") from error
    if encode_base64url(octets) != text:
        raise EncodingError("unused bits are not zero")
    return octets


def parse_object(octets: bytes) -> dict[str, Any]:
    """The JSON object in *octets*, whose size the caller has bounded.

    Refused: other encodings than UTF-8, a member name that is repeated at any depth, numbers that are not
    finite, half a surrogate pair, and any value but an object. Raises `EncodingError`.
    """
    try:
        text = octets.decode("utf-8")
        value = _DECODER.decode(text)
        if "\\u" in text:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        # The cause would carry the whole text.
        raise EncodingError("the text is not strict JSON") from None
    if not isinstance(value, dict):
        raise EncodingError("the value is not an object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise EncodingError("a member name is repeated")
    return members


def _constant(name: str) -> float:
    raise EncodingError(f"{name} is not JSON")


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise EncodingError("a number is out of range")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)
