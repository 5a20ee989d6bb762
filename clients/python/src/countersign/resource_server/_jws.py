"""A compact JWS (RFC 7515 §7.1) and its claims, parsed strictly and read through typed getters."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from countersign.resource_server._encoding import EncodingError, decode_base64url, parse_object
from countersign.resource_server.errors import AccessRefusedError, Fault

MAX_SIZE: Final = 16 * 1024  # characters
MAX_STRING: Final = 2048  # characters of one claim
MAX_NUMERIC_DATE: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, in seconds
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
# RFC 7515 §4.1.11 and what changes how the rest is read: none of it is understood here.
_REFUSED: Final = ("crit", "b64", "zip")


@dataclass(frozen=True, slots=True)
class Members:
    """A JSON object, read once into a typed value. *refusal* is what a getter raises, with its fault."""

    _values: Mapping[str, Any] = field(repr=False)
    _refusal: type[AccessRefusedError] = field(repr=False)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def string(self, name: str, *, max_length: int = MAX_STRING) -> str:
        """A string of 1 to *max_length* characters, none of them a control character."""
        return self._text(self.value(name), name, max_length)

    def optional_string(self, name: str, *, max_length: int = MAX_STRING) -> str | None:
        """As `string`, or None where the member is absent."""
        return self.string(name, max_length=max_length) if name in self._values else None

    def strings(self, name: str, *, max_items: int = 100) -> tuple[str, ...]:
        """An array of 1 to *max_items* strings."""
        value = self.value(name)
        if not isinstance(value, list) or not 1 <= len(value) <= max_items:
            raise self._refusal(Fault.CLAIM_INVALID, f"{name} is not an array of 1 to {max_items}.")
        return tuple(self._text(each, name, MAX_STRING) for each in value)

    def numeric_date(self, name: str) -> int:
        """Whole seconds since the epoch (RFC 7519 §2); a fraction, a string and a boolean are refused."""
        value = self.value(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise self._refusal(Fault.CLAIM_INVALID, f"{name} is not a whole number.")
        if not 0 <= value <= MAX_NUMERIC_DATE:
            raise self._refusal(Fault.CLAIM_INVALID, f"{name} is out of range.")
        return int(value)

    def optional_numeric_date(self, name: str) -> int | None:
        """As `numeric_date`, or None where the member is absent."""
        return self.numeric_date(name) if name in self._values else None

    def nested(self, name: str) -> "Members":
        """A member that is an object itself."""
        value = self.value(name)
        if not isinstance(value, dict):
            raise self._refusal(Fault.CLAIM_INVALID, f"{name} is not an object.")
        return Members(value, self._refusal)

    def value(self, name: str) -> Any:
        """Any value, as it was sent."""
        if name not in self._values:
            raise self._refusal(Fault.CLAIM_MISSING, f"{name} is missing.")
        return self._values[name]

    def without(self, names: frozenset[str]) -> dict[str, Any]:
        """All members but those of *names*."""
        return {name: value for name, value in self._values.items() if name not in names}

    def names(self) -> frozenset[str]:
        """The names of all members."""
        return frozenset(self._values)

    def _text(self, value: object, name: str, max_length: int) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= max_length or _CONTROL.search(value):
            raise self._refusal(Fault.CLAIM_INVALID, f"{name} is not a string of 1 to {max_length}.")
        return value


@dataclass(frozen=True, slots=True)
class CompactJws:
    """A well-formed JWS of the wanted type, whose signature nobody has verified yet."""

    algorithm: str
    header: Members
    claims: Members
    message: bytes = field(repr=False)
    signature: bytes = field(repr=False)


def parse_jws(
    text: str, *, typ: str, algorithms: frozenset[str], refusal: type[AccessRefusedError]
) -> CompactJws:
    """Parse *text*, whose ``typ`` must be *typ* and whose ``alg`` one of *algorithms*; else raise *refusal*.

    ``jku``, ``x5u``, ``x5c`` and ``x5t`` are never read.
    """
    if len(text) > MAX_SIZE:
        raise refusal(Fault.TOO_LARGE, f"The JWS exceeds {MAX_SIZE} characters.")
    parts = text.split(".")
    if len(parts) != 3 or not all(parts):  # noqa: PLR2004 - header, payload and signature.
        raise refusal(Fault.MALFORMED, "The text is not a compact JWS.")
    try:
        header = Members(parse_object(decode_base64url(parts[0])), refusal)
        claims = Members(parse_object(decode_base64url(parts[1])), refusal)
        signature = decode_base64url(parts[2])
    except EncodingError as error:
        raise refusal(Fault.MALFORMED, "The text is not a strict compact JWS.") from error
    if any(name in header for name in _REFUSED):
        raise refusal(Fault.PARAMETER_REFUSED, "The header has a parameter that is not supported.")
    if not _is_media_type(header.optional_string("typ"), typ):
        raise refusal(Fault.TYP_MISMATCH, f"The typ is not {typ}.")
    algorithm = header.string("alg")
    if algorithm not in algorithms:
        raise refusal(Fault.ALG_NOT_ACCEPTED, "The algorithm is not accepted.")
    return CompactJws(algorithm, header, claims, f"{parts[0]}.{parts[1]}".encode("ascii"), signature)


def _is_media_type(value: str | None, subtype: str) -> bool:
    # RFC 7515 §4.1.9: case does not matter, and the prefix may be left out.
    return value is not None and value.lower().removeprefix("application/") == subtype
