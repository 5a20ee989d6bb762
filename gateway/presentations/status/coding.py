"""The text form of a packed list, both ways: gzip in base64 for W3C lists, zlib in base64url for tokens.

Decompression stops at a bound, so a bomb costs no more than an honest list; it must end where the data ends.
"""

import base64
import binascii
import gzip
import re
import zlib
from typing import Final

from gateway.jose import JoseError, base64url
from gateway.presentations.status.rules import StatusCheck, StatusError

MAX_TEXT: Final = 8 * 1024 * 1024  # characters of an encoded list

_GZIP: Final = 16 + zlib.MAX_WBITS
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_TO_STANDARD: Final = str.maketrans("-_", "+/")
_BEST: Final = 9


def decode_bitstring(text: str, *, max_inflated: int) -> bytes:
    """The octets of a W3C ``encodedList``.

    Status List 2021 says base64 and shows base64url, Bitstring Status List adds the multibase prefix ``u``;
    all of them are understood, with padding or without. No gzip stream starts with that letter. Raises
    `StatusError`: `LIST_ENCODING`, `LIST_COMPRESSION`, `LIST_SIZE`.
    """
    body = _bounded(text).removeprefix("u")
    unpadded = body.rstrip("=").translate(_TO_STANDARD)
    if not _BASE64.fullmatch(body):
        raise StatusError(StatusCheck.LIST_ENCODING, "a character is outside of the base64 alphabets")
    try:
        compressed = base64.b64decode(unpadded + "=" * (-len(unpadded) % 4), validate=True)
    except binascii.Error as error:
        raise StatusError(StatusCheck.LIST_ENCODING, "the text is not base64") from error
    return _inflate(compressed, _GZIP, max_inflated)


def decode_token_list(text: str, *, max_inflated: int) -> bytes:
    """The octets of a Token Status List's ``lst`` (§4.2): zlib in base64url without padding.

    Raises `StatusError` as `decode_bitstring`.
    """
    try:
        compressed = base64url.decode(_bounded(text))
    except JoseError as error:
        raise StatusError(StatusCheck.LIST_ENCODING, "the text is not base64url") from error
    return _inflate(compressed, zlib.MAX_WBITS, max_inflated)


def encode_bitstring(packed: bytes | bytearray, *, multibase: bool) -> str:
    """The ``encodedList`` of *packed*: the same text for the same list; *multibase* for Bitstring lists."""
    text = base64url.encode(gzip.compress(bytes(packed), _BEST, mtime=0))
    return f"u{text}" if multibase else text


def encode_token_list(packed: bytes | bytearray) -> str:
    """The ``lst`` of *packed*."""
    return base64url.encode(zlib.compress(bytes(packed), _BEST))


def _bounded(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise StatusError(StatusCheck.LIST_SIZE, f"the encoded list exceeds {MAX_TEXT} characters")
    return text


def _inflate(compressed: bytes, window: int, max_inflated: int) -> bytes:
    stream = zlib.decompressobj(window)
    try:
        inflated = stream.decompress(compressed, max_inflated + 1)
    except zlib.error as error:
        raise StatusError(StatusCheck.LIST_COMPRESSION, "the list does not decompress") from error
    if len(inflated) > max_inflated:
        raise StatusError(StatusCheck.LIST_SIZE, f"the list exceeds {max_inflated} octets")
    if not stream.eof or stream.unused_data:
        raise StatusError(StatusCheck.LIST_COMPRESSION, "the compressed data ends too early or too late")
    return inflated
