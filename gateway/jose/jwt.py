"""JWT claims (RFC 7519 §4) read through typed getters, and the comparison of ``typ`` (RFC 7515 §4.1.9)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.jws import JwsHeader
from gateway.jose.strict_json import parse_object

MAX_STRING = 2048  # characters of one claim
MAX_AUDIENCES = 32
MAX_NUMERIC_DATE = 253_402_300_799  # 9999-12-31T23:59:59Z, in seconds

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Claims:
    """A parsed claims set, read once by a caller into that caller's own typed value.

    A getter returns a value of its type or raises `JoseError` with `CLAIM_MISSING` or `CLAIM_INVALID`;
    ``optional_`` ones return None where the claim is absent. JSON ``null`` is a value, and an invalid one.
    """

    # What a token says is not for logs.
    _members: Mapping[str, Any] = field(repr=False)

    @classmethod
    def parse(cls, payload: bytes) -> "Claims":
        """The claims of a JWS payload: strict JSON, one object. Raises `JoseError`."""
        return cls(parse_object(payload))

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def string(self, name: str, *, max_length: int = MAX_STRING) -> str:
        """A string of 1 to *max_length* characters without control characters."""
        return _string(self._required(name), name, max_length)

    def optional_string(self, name: str, *, max_length: int = MAX_STRING) -> str | None:
        """As `string`, or None where the claim is absent."""
        return self.string(name, max_length=max_length) if name in self._members else None

    def numeric_date(self, name: str) -> int:
        """Seconds since 1970-01-01T00:00:00Z (RFC 7519 §2), from 0 to `MAX_NUMERIC_DATE`.

        The JSON number must be integral, in whatever notation (``1.7e9`` is); a fraction, a string and a
        boolean are refused.
        """
        value = self._required(name)
        if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value):
            raise JoseError(JoseFault.CLAIM_INVALID, f"{name} is not an integral number", member=name)
        if not 0 <= value <= MAX_NUMERIC_DATE:
            raise JoseError(JoseFault.CLAIM_INVALID, f"{name} is out of range", member=name)
        return int(value)

    def optional_numeric_date(self, name: str) -> int | None:
        """As `numeric_date`, or None where the claim is absent."""
        return self.numeric_date(name) if name in self._members else None

    def boolean(self, name: str) -> bool:
        """True or false, not a number or a string that looks like one."""
        value = self._required(name)
        if not isinstance(value, bool):
            raise JoseError(JoseFault.CLAIM_INVALID, f"{name} is not a boolean", member=name)
        return value

    def strings(self, name: str, *, max_items: int = MAX_AUDIENCES) -> tuple[str, ...]:
        """An array of 1 to *max_items* strings, each bounded as `string` is."""
        value = self._required(name)
        if not isinstance(value, list) or not 1 <= len(value) <= max_items:
            raise JoseError(
                JoseFault.CLAIM_INVALID, f"{name} is not an array of 1 to {max_items}", member=name
            )
        return tuple(_string(item, name, MAX_STRING) for item in value)

    def audience(self) -> tuple[str, ...]:
        """``aud`` (RFC 7519 §4.1.3): one string or an array of them, as a tuple in the order sent."""
        return (self.string("aud"),) if isinstance(self._members.get("aud"), str) else self.strings("aud")

    def single_audience(self) -> str:
        """``aud`` as one string; an array is refused, even one of a single element (FAPI 2.0)."""
        return self.string("aud")

    def nested(self, name: str) -> "Claims":
        """A claim that is an object itself, such as ``cnf`` (RFC 7800 §3.1) or ``act`` (RFC 8693 §4.1)."""
        value = self._required(name)
        if not isinstance(value, dict):
            raise JoseError(JoseFault.CLAIM_INVALID, f"{name} is not an object", member=name)
        return Claims(value)

    def names(self) -> frozenset[str]:
        """The names of all claims present."""
        return frozenset(self._members)

    def require_issuer(self, expected: str) -> None:
        """``iss`` is *expected*, octet for octet. Raises `JoseError` with `ISSUER_MISMATCH`."""
        if self.string("iss") != expected:
            raise JoseError(JoseFault.ISSUER_MISMATCH, "the issuer is another one", member="iss")

    def require_audience(self, expected: str) -> None:
        """``aud`` names *expected*. Raises `JoseError` with `AUDIENCE_MISMATCH`."""
        if expected not in self.audience():
            raise JoseError(JoseFault.AUDIENCE_MISMATCH, "the token is meant for others", member="aud")

    def require_current(self, now: int, *, leeway: int) -> None:
        """``exp`` is required and ahead of *now*; ``nbf`` and ``iat``, where present, are not ahead of it.

        *now* is in seconds since the epoch, *leeway* in seconds of clock difference forgiven each way. Raises
        `JoseError` with `EXPIRED`, `NOT_YET_VALID` or `ISSUED_IN_FUTURE`.
        """
        # RFC 7519 §4.1.4: on or after the expiration time the token is not accepted.
        if now - leeway >= self.numeric_date("exp"):
            raise JoseError(JoseFault.EXPIRED, "the token has expired", member="exp")
        not_before = self.optional_numeric_date("nbf")
        if not_before is not None and not_before > now + leeway:
            raise JoseError(JoseFault.NOT_YET_VALID, "the token is not valid yet", member="nbf")
        issued_at = self.optional_numeric_date("iat")
        if issued_at is not None and issued_at > now + leeway:
            raise JoseError(JoseFault.ISSUED_IN_FUTURE, "the token was issued in the future", member="iat")

    def _required(self, name: str) -> Any:
        try:
            return self._members[name]
        except KeyError:
            raise JoseError(JoseFault.CLAIM_MISSING, f"{name} is missing", member=name) from None


def media_type_matches(typ: str, expected: str) -> bool:
    """Whether *typ* is the media type *expected*, given as its subtype (``at+jwt``).

    Case is ignored, and a value without a slash stands for ``application/`` and that value (RFC 7515 §4.1.9).
    """
    return _media_type(typ) == _media_type(expected)


def require_typ(header: JwsHeader, *expected: str) -> None:
    """The header's ``typ`` is one of *expected* (RFC 8725 §3.11). Raises `JoseError` with `TYP_MISMATCH`."""
    if header.typ is None or not any(media_type_matches(header.typ, name) for name in expected):
        raise JoseError(JoseFault.TYP_MISMATCH, f"typ is not {' or '.join(expected)}", member="typ")


def _media_type(value: str) -> str:
    folded = value.lower()
    return folded if "/" in folded else f"application/{folded}"


def _string(value: object, name: str, max_length: int) -> str:
    if not isinstance(value, str) or not value:
        raise JoseError(JoseFault.CLAIM_INVALID, f"{name} is not a string or is empty", member=name)
    if len(value) > max_length:
        raise JoseError(JoseFault.CLAIM_INVALID, f"{name} exceeds {max_length} characters", member=name)
    if _CONTROL.search(value):
        raise JoseError(JoseFault.CLAIM_INVALID, f"{name} holds a control character", member=name)
    return value
