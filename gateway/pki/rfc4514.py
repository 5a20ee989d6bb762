"""The string form of distinguished names (RFC 4514): a strict reader and a writer.

Tolerated beyond the RFC, because tools print it: spaces around ``,``, ``+`` and ``=`` (RFC 2253 §4), short
names outside the RFC's nine, and a leading ``OID.``. Not tolerated: quoted values, ``;`` as a separator, and
an unescaped special character.
"""

import re
from dataclasses import dataclass

from gateway.pki import der
from gateway.pki.attribute_types import oid_of, short_name_of
from gateway.pki.errors import PkiError, PkiFault

MAX_LENGTH = 4096  # characters of the whole string
MAX_RDNS = 64
MAX_ATTRIBUTES = 16  # of one RDN

_TYPE = re.compile(r" *([A-Za-z][A-Za-z0-9-]*|(?:[Oo][Ii][Dd]\.)?[0-9]+(?:\.[0-9]+)+) *=")
_OID = re.compile(r"(?:0|[1-9][0-9]*)(?:\.(?:0|[1-9][0-9]*))+")
_HEX_VALUE = re.compile(r" *#((?:[0-9A-Fa-f]{2})+) *")
# One run of plain characters, one escaped special character, or one escaped octet.
_PIECE = re.compile(r'([^"+,;<>\\\x00]+)|\\([ "#+,;<=>\\])|\\([0-9A-Fa-f]{2})')


@dataclass(frozen=True, slots=True)
class ParsedAttribute:
    """One type and value as written: *value* is text, or BER octets where it was written ``#hex``."""

    oid: str
    value: str | bytes


def parse(text: str) -> tuple[tuple[ParsedAttribute, ...], ...]:
    """The RDNs of *text*, in the order of the string, which is the reverse of a certificate's.

    The empty string has none. Raises `PkiError` with `INVALID_NAME`.
    """
    if len(text) > MAX_LENGTH:
        raise PkiError(PkiFault.INVALID_NAME, f"the name exceeds {MAX_LENGTH} characters")
    if not text.strip(" "):
        return ()
    rdns: list[tuple[ParsedAttribute, ...]] = []
    attributes: list[ParsedAttribute] = []
    position = 0
    while True:
        attribute, position = _attribute(text, position)
        attributes.append(attribute)
        end = position >= len(text)
        if end or text[position] == ",":
            rdns.append(tuple(attributes))
            attributes = []
        if len(rdns) > MAX_RDNS or len(attributes) >= MAX_ATTRIBUTES:
            raise PkiError(PkiFault.INVALID_NAME, "the name has too many parts")
        if end:
            return tuple(rdns)
        position += 1  # Past "," or "+".


def escape(value: str) -> str:
    """*value* with its special characters escaped (RFC 4514 §2.4)."""
    escaped = "".join(
        f"\\{char}" if char in '"+,;<>\\' else "\\00" if char == "\0" else char for char in value
    )
    if escaped.endswith(" "):
        escaped = escaped[:-1] + "\\ "
    if escaped.startswith((" ", "#")):
        escaped = "\\" + escaped
    return escaped


def write_attribute(oid: str, value: str | bytes) -> str:
    """``type=value``: text where the type has a short name, else ``#hex`` (RFC 4514 §2.4)."""
    name = short_name_of(oid)
    if name is not None and isinstance(value, str):
        return f"{name}={escape(value)}"
    ber = der.encode(der.UTF8_STRING, value.encode()) if isinstance(value, str) else value
    return f"{name or oid}=#{ber.hex()}"


def _attribute(text: str, position: int) -> tuple[ParsedAttribute, int]:
    match = _TYPE.match(text, position)
    if match is None:
        raise PkiError(PkiFault.INVALID_NAME, f"no attribute type at character {position}")
    oid = _oid(match[1])
    position = match.end()
    hexadecimal = _HEX_VALUE.match(text, position)
    if hexadecimal is not None:
        value: str | bytes = bytes.fromhex(hexadecimal[1])
        position = hexadecimal.end()
    else:
        value, position = _text_value(text, position)
    if position < len(text) and text[position] not in ",+":
        raise PkiError(PkiFault.INVALID_NAME, f"an unescaped special character at {position}")
    return ParsedAttribute(oid, value), position


def _oid(name: str) -> str:
    dotted = name[4:] if name[:4].upper() == "OID." else name
    if dotted[0].isdigit():
        if _OID.fullmatch(dotted) is None:
            raise PkiError(PkiFault.INVALID_NAME, f"{name} is not an object identifier")
        return dotted
    oid = oid_of(dotted)
    if oid is None:
        raise PkiError(PkiFault.INVALID_NAME, f"the attribute type {name} is unknown; write its OID")
    return oid


def _text_value(text: str, position: int) -> tuple[str, int]:
    octets = bytearray()
    kept = 0  # Octets up to the last one that trailing space may not eat.
    while (piece := _PIECE.match(text, position)) is not None:
        plain, special, octet = piece.groups()
        if plain is not None:
            encoded = _encode(plain if octets else plain.lstrip(" "))
            if not octets and encoded.startswith(b"#"):
                raise PkiError(PkiFault.INVALID_NAME, "a value that starts with # is not hexadecimal")
            octets += encoded
            kept = max(kept, len(octets.rstrip(b" ")))
        else:
            octets += special.encode("ascii") if special is not None else bytes.fromhex(octet)
            kept = len(octets)
        position = piece.end()
    try:
        return octets[:kept].decode("utf-8"), position
    except UnicodeDecodeError as error:
        raise PkiError(PkiFault.INVALID_NAME, "escaped octets are not UTF-8") from error


def _encode(plain: str) -> bytes:
    try:
        return plain.encode("utf-8")
    except UnicodeEncodeError as error:
        raise PkiError(PkiFault.INVALID_NAME, "the name holds half of a surrogate pair") from error
