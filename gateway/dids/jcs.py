"""The JSON Canonicalization Scheme (RFC 8785): one JSON value, one sequence of octets."""

import json
import math
from typing import Any, Final

MAX_DEPTH: Final = 64

_MAX_INTEGRAL_DIGITS: Final = 21  # ECMAScript writes larger numbers with an exponent.
_MIN_POINT: Final = -6


class CanonicalizationError(ValueError):
    """The value has no canonical form: a number or a text that RFC 7493 (I-JSON) does not allow."""


def canonicalize(value: Any) -> bytes:
    """The canonical form of a value of JSON's types, as UTF-8.

    Refused: integers that no IEEE 754 double holds or is spelled as, NaN and infinities, lone surrogates,
    member names that are not strings, other types, and nesting deeper than `MAX_DEPTH`. Raises
    `CanonicalizationError`.
    """
    try:
        return _text(value, 0).encode("utf-8")
    except UnicodeEncodeError as error:
        raise CanonicalizationError("a text holds half of a surrogate pair") from error


def _text(value: Any, depth: int) -> str:
    if depth > MAX_DEPTH:
        raise CanonicalizationError(f"the nesting exceeds {MAX_DEPTH} levels")
    match value:
        case None | bool():
            return {None: "null", True: "true", False: "false"}[value]
        case str():
            # Python's escapes are those of RFC 8785 §3.2.2.2: two-character ones and lower-case \u00xx.
            return json.dumps(value, ensure_ascii=False)
        case int():
            return _integer(value)
        case float():
            return _number(value)
        case list() | tuple():
            return f"[{','.join(_text(item, depth + 1) for item in value)}]"
        case dict():
            return f"{{{','.join(_members(value, depth + 1))}}}"
        case _:
            raise CanonicalizationError(f"{type(value).__name__} is not a type of JSON")


def _members(value: dict[Any, Any], depth: int) -> list[str]:
    if not all(isinstance(name, str) for name in value):
        raise CanonicalizationError("a member name is not a string")
    # RFC 8785 §3.2.3: by UTF-16 code units, which is not the order of code points.
    names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    return [f"{json.dumps(name, ensure_ascii=False)}:{_text(value[name], depth)}" for name in names]


def _integer(value: int) -> str:
    try:
        number = float(value)
    except OverflowError as error:
        raise CanonicalizationError("an integer is out of range") from error
    text = _number(number)
    # Beyond 2**53 a double's own spelling need not be its exact value, and is canonical nevertheless.
    if number != value and text != str(value):
        raise CanonicalizationError("no double is spelled as the integer is")
    return text


def _number(value: float) -> str:
    """ECMAScript's Number::toString (RFC 8785 §3.2.2.3), from the shortest digits that round-trip."""
    if not math.isfinite(value):
        raise CanonicalizationError("a number is not finite")
    if value == 0:
        return "0"  # Also for negative zero.
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The decimal point stands before the digit of index `point`.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= _MAX_INTEGRAL_DIGITS:
        return sign + digits + "0" * (point - count)
    if 0 < point <= _MAX_INTEGRAL_DIGITS:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if _MIN_POINT < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"
