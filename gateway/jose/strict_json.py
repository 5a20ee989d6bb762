"""Strict JSON: what two parsers could read differently is refused (RFC 8725 §2.4, RFC 7493)."""

import json
import math
import re
from collections.abc import Iterable
from typing import Any, TypeAlias

from gateway.jose.errors import JoseError, JoseFault

JsonObject: TypeAlias = dict[str, Any]

MAX_DEPTH = 16
MAX_SIZE = 64 * 1024  # octets

_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_object(data: bytes, *, max_size: int = MAX_SIZE, max_depth: int = MAX_DEPTH) -> JsonObject:
    """The JSON object that *data*, UTF-8 text of at most *max_size* octets, holds.

    Refused: octets that are not UTF-8, a byte-order mark, a repeated member name at any depth, NaN and
    Infinity (also as an overflowing number), an escaped lone surrogate, anything after the value, objects and
    arrays nested more than *max_depth* deep, and any value other than an object. Raises `JoseError`.
    """
    if len(data) > max_size:
        raise JoseError(JoseFault.JSON_TOO_LARGE, f"the text exceeds {max_size} octets")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise JoseError(JoseFault.INVALID_UTF8, "the text is not UTF-8") from error
    try:
        value = _DECODER.decode(text)
    except RecursionError as error:
        raise JoseError(JoseFault.JSON_TOO_DEEP, "the nesting is too deep") from error
    except ValueError as error:
        # JSONDecodeError keeps the whole document; only its position may reach a log.
        raise JoseError(JoseFault.INVALID_JSON, "the text is not JSON") from _without_document(error)
    # Counting brackets bounds the depth from above for nothing; only a text with many is walked.
    if text.count("{") + text.count("[") > max_depth:
        _check_depth(value, max_depth)
    if not isinstance(value, dict):
        raise JoseError(JoseFault.NOT_AN_OBJECT, "the value is not an object")
    if "\\u" in text and _SURROGATE_ESCAPE.search(text):
        _check_encodable(value)
    return value


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JoseError(JoseFault.DUPLICATE_MEMBER, "a member name is repeated")
    return members


def _constant(name: str) -> float:
    raise JoseError(JoseFault.INVALID_JSON, f"{name} is not JSON")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise JoseError(JoseFault.INVALID_JSON, "a number is out of range")
    return value


def _check_depth(value: Any, max_depth: int) -> None:
    containers = [value] if isinstance(value, dict | list) else []
    for _ in range(max_depth):
        containers = [
            child for node in containers for child in _children(node) if isinstance(child, dict | list)
        ]
        if not containers:
            return
    raise JoseError(JoseFault.JSON_TOO_DEEP, f"the nesting exceeds {max_depth} levels")


def _children(container: Any) -> Iterable[Any]:
    return container.values() if isinstance(container, dict) else container


def _check_encodable(value: JsonObject) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise JoseError(JoseFault.INVALID_JSON, "an escape is half of a surrogate pair") from error


def _without_document(error: ValueError) -> ValueError:
    return ValueError(f"at character {error.pos}") if isinstance(error, json.JSONDecodeError) else error


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)
