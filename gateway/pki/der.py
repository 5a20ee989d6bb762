"""The little DER (X.690) that attribute values need: one element with a low tag number."""

from gateway.pki.errors import PkiError, PkiFault

BIT_STRING = 0x03
UTF8_STRING = 0x0C

_SHORT_FORM_LIMIT = 0x80  # X.690 §8.1.3.4: a smaller length is its own octet.
_HIGH_TAG_NUMBER = 0x1F  # X.690 §8.1.2.4: the tag continues in further octets.


def encode(tag: int, content: bytes) -> bytes:
    """The element of *tag* and *content*."""
    return bytes([tag]) + _length(len(content)) + content


def decode(octets: bytes) -> tuple[int, bytes]:
    """The tag and content of *octets*, which hold exactly one element in its only DER form.

    Raises `PkiError` with `INVALID_NAME`.
    """
    for header in range(2, min(len(octets), 6) + 1):
        content = octets[header:]
        if octets[0] & _HIGH_TAG_NUMBER != _HIGH_TAG_NUMBER and octets[1:header] == _length(len(content)):
            return octets[0], content
    raise PkiError(PkiFault.INVALID_NAME, "a hexadecimal value is not one DER element")


def _length(size: int) -> bytes:
    if size < _SHORT_FORM_LIMIT:
        return bytes([size])
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([0x80 | len(length)]) + length
