"""Base64url without padding (RFC 7515 §2), strict: one octet string has exactly one accepted spelling."""

import binascii

from gateway.jose.errors import JoseError, JoseFault

# The standard alphabet's two characters and the padding sign become "!", which the strict decoder refuses.
_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")
_TO_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_PADDING = (b"", b"", b"==", b"=")
# Last characters whose unused low bits are zero, by length modulo 4 (RFC 4648 §3.5).
_LAST_OF_TWO = frozenset("AQgw")
_LAST_OF_THREE = frozenset("AEIMQUYcgkosw048")


def encode(data: bytes) -> str:
    """*data* in base64url without padding."""
    text = binascii.b2a_base64(data, newline=False)
    return text.rstrip(b"=").translate(_TO_URL_SAFE).decode("ascii")


def decode(text: str) -> bytes:
    """The octets that *text* spells; the empty string spells none.

    Refuses padding, line breaks, foreign characters, impossible lengths and non-zero unused bits, so no two
    texts decode to the same octets. Raises `JoseError` with `JoseFault.INVALID_BASE64URL`.
    """
    remainder = len(text) & 3
    if remainder and not _last_character_is_canonical(text[-1], remainder):
        raise JoseError(JoseFault.INVALID_BASE64URL, "the length or the unused bits are wrong")
    try:
        standard = text.encode("ascii").translate(_TO_STANDARD)
        return binascii.a2b_base64(standard + _PADDING[remainder], strict_mode=True)
    except ValueError as error:  # binascii.Error and UnicodeEncodeError are both ValueErrors.
        raise JoseError(JoseFault.INVALID_BASE64URL, "a character is outside the alphabet") from error


def _last_character_is_canonical(character: str, remainder: int) -> bool:
    if remainder == 2:  # noqa: PLR2004 - two characters carry one octet.
        return character in _LAST_OF_TWO
    return remainder == 3 and character in _LAST_OF_THREE  # noqa: PLR2004 - three characters carry two octets.
