"""The formats of JSON Schema draft 7 §7.3 that a filter may assert: pure checks of bounded texts.

A format that is not listed is refused when a definition is read: JSON Schema would ignore it, and a filter
that is ignored accepts what its author meant to refuse.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from ipaddress import IPv4Address, IPv6Address
from types import MappingProxyType
from typing import Final, TypeAlias

MAX_TEXT: Final = 4096  # characters

FormatCheck: TypeAlias = tuple[Callable[[object], bool], tuple[type[Exception], ...]]

# Each pattern is without nested repetition, so that backtracking stays linear.
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DATE_TIME: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}):([0-9]{2})(?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
)
_EMAIL: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}")
_HOSTNAME: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(?:\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*")
_URI: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LEAP_SECOND: Final = 60


def _date(text: str) -> bool:
    return _DATE.fullmatch(text) is not None and bool(date.fromisoformat(text))


def _date_time(text: str) -> bool:
    match = _DATE_TIME.fullmatch(text)
    if match is None or int(match[3]) > _LEAP_SECOND:
        return False
    return bool(datetime.fromisoformat(f"{match[1]}T{match[2]}"))


def _matches(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lambda text: pattern.fullmatch(text) is not None


def _parses(parse: Callable[[str], object]) -> Callable[[str], bool]:
    return lambda text: parse(text) is not None


def _check(rule: Callable[[str], bool]) -> FormatCheck:
    def check(value: object) -> bool:
        # A format says something about texts only (draft 7 validation §7.1).
        return not isinstance(value, str) or (len(value) <= MAX_TEXT and rule(value))

    return check, (ValueError,)


FORMATS: Final[Mapping[str, FormatCheck]] = MappingProxyType(
    {
        "date": _check(_date),
        "date-time": _check(_date_time),
        "email": _check(_matches(_EMAIL)),
        "hostname": _check(_matches(_HOSTNAME)),
        "ipv4": _check(_parses(IPv4Address)),
        "ipv6": _check(_parses(IPv6Address)),
        "uri": _check(_matches(_URI)),
        "uuid": _check(_matches(_UUID)),
    }
)
