"""From the claims of an ID token to the names that a use case knows, by structure and never by text
templates.

A template that pastes claims into JSON lets a quote in a display name write claims of its own. Here a rule
names a path into the token, the type that must be found there, and constant text around a string; nothing is
parsed twice. Wire's two generations are `WIRE_DEVICE_AND_USER` and `WIREAPP_ID`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NoReturn, TypeAlias

from gateway.jose.jwt import MAX_STRING
from gateway.oidc.errors import ClaimMappingError, OidcFault
from gateway.oidc.id_token import IdToken

MAX_PATH: Final = 8  # steps
MAX_RULES: Final = 64
MAX_ITEMS: Final = 256

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")  # RFC 6901 §4

MappedValue: TypeAlias = str | int | bool | tuple[str, ...]


class ClaimKind(StrEnum):
    """What a rule must find: JSON string, integer, boolean or array of strings."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    STRINGS = "strings"


@dataclass(frozen=True, slots=True)
class ClaimPath:
    """Where a claim is: member names, and indexes (0 and up) into arrays."""

    steps: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> "ClaimPath":
        """A JSON Pointer (RFC 6901): ``/preferred_username``, ``/realm_access/roles/0``, ``/https:~1~1x/y``.

        Raises `ValueError` where it is not one, or has more than `MAX_PATH` steps.
        """
        if not text.startswith("/") or "~" in text.replace("~0", "").replace("~1", ""):
            raise ValueError(f"{text!r} is not a JSON Pointer (RFC 6901); write /preferred_username")
        steps = tuple(step.replace("~1", "/").replace("~0", "~") for step in text[1:].split("/"))
        if len(steps) > MAX_PATH:
            raise ValueError(f"{text!r} has more than {MAX_PATH} steps")
        return cls(steps)

    def find(self, members: Mapping[str, object]) -> object:
        """The value at this path; `KeyError` where there is none."""
        value: object = members
        for step in self.steps:
            if isinstance(value, Mapping):
                value = value[step]
            elif isinstance(value, list) and _is_index(step) and int(step) < len(value):
                value = value[int(step)]
            else:
                raise KeyError(step)
        return value


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """One mapped claim.

    `target`: the name in the result. `prefix` and `suffix`: constant text around a string, added as it is.
    `required`: whether a missing claim refuses the token; an optional one is then missing in the result.
    """

    target: str
    path: ClaimPath
    kind: ClaimKind = ClaimKind.STRING
    prefix: str = ""
    suffix: str = ""
    required: bool = True

    def __post_init__(self) -> None:
        if (self.prefix or self.suffix) and self.kind is not ClaimKind.STRING:
            raise ValueError(f"{self.target}: only a string has a prefix or a suffix")


@dataclass(frozen=True, slots=True)
class MappedClaims:
    """What a mapping found, by the names of its rules. Getters raise `ClaimMappingError`."""

    _values: Mapping[str, MappedValue] = field(repr=False)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def string(self, name: str) -> str:
        """A string without control characters, at least one and at most `MAX_STRING` characters of claim."""
        value = self._value(name)
        return value if isinstance(value, str) else _wrong(name)

    def integer(self, name: str) -> int:
        """An integer."""
        value = self._value(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else _wrong(name)

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self._value(name)
        return value if isinstance(value, bool) else _wrong(name)

    def strings(self, name: str) -> tuple[str, ...]:
        """Strings, at most `MAX_ITEMS`, each as `string` describes; maybe none."""
        value = self._value(name)
        return value if isinstance(value, tuple) else _wrong(name)

    def _value(self, name: str) -> MappedValue:
        try:
            return self._values[name]
        except KeyError:
            raise ClaimMappingError(OidcFault.CLAIM_MISSING, f"{name} is missing", member=name) from None


@dataclass(frozen=True, slots=True)
class ClaimMapping:
    """The rules of one use, at most `MAX_RULES`, each with a target of its own."""

    rules: tuple[ClaimRule, ...]

    def __post_init__(self) -> None:
        targets = {rule.target for rule in self.rules}
        if len(targets) != len(self.rules) or len(self.rules) > MAX_RULES:
            raise ValueError(f"a mapping has at most {MAX_RULES} rules, each with another target")

    def apply(self, token: IdToken) -> MappedClaims:
        """The mapped claims of *token*.

        Raises `ClaimMappingError` with `CLAIM_MISSING` or `CLAIM_INVALID`; its member is the rule's target.
        """
        values: dict[str, MappedValue] = {}
        for rule in self.rules:
            try:
                found = rule.path.find(token.members)
            except KeyError:
                if rule.required:
                    message = f"the claim for {rule.target} is missing"
                    raise ClaimMappingError(OidcFault.CLAIM_MISSING, message, member=rule.target) from None
                continue
            values[rule.target] = _typed(rule, found)
        return MappedClaims(MappingProxyType(values))


def _typed(rule: ClaimRule, value: object) -> MappedValue:
    match rule.kind:
        case ClaimKind.STRING:
            if _is_text(value):
                return f"{rule.prefix}{value}{rule.suffix}"
        case ClaimKind.INTEGER:
            if isinstance(value, int) and not isinstance(value, bool):
                return value
        case ClaimKind.BOOLEAN:
            if isinstance(value, bool):
                return value
        case ClaimKind.STRINGS:
            if isinstance(value, list) and len(value) <= MAX_ITEMS and all(map(_is_text, value)):
                return tuple(value)
    return _wrong(rule.target)


def _wrong(name: str) -> NoReturn:
    raise ClaimMappingError(OidcFault.CLAIM_INVALID, f"the claim for {name} has another type", member=name)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_STRING and value.isprintable()


def _is_index(step: str) -> bool:
    return _INDEX.fullmatch(step) is not None


def _rule(target: str, claim: str, prefix: str = "") -> ClaimRule:
    return ClaimRule(target, ClaimPath((claim,)), prefix=prefix)


WIRE_DEVICE_AND_USER: Final = ClaimMapping(
    (
        _rule("name", "name"),
        _rule("handle", "preferred_username", prefix="wireapp://%40"),
        _rule("keyauth", "keyauth"),
        _rule("acme_aud", "acme_aud"),
    )
)
"""Wire today: ``name`` is the display name, ``preferred_username`` the handle, and the token proves the
key."""

WIREAPP_ID: Final = ClaimMapping((_rule("name", "preferred_username"), _rule("handle", "name")))
"""Wire's ``wireapp-id``: ``name`` is the handle's URI and ``preferred_username`` the display name."""
