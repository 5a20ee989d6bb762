"""A presentation definition as frozen values (Presentation Exchange 1.0.0 and 2.x, one model for both)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from gateway.presentations.credential_state import CredentialState
from gateway.presentations.exchange.filters import Filter
from gateway.presentations.exchange.json_path import Query


class Version(StrEnum):
    """Which Presentation Exchange a definition speaks. They differ in `schema` and in reading of fields."""

    V1 = "1.0.0"
    V2 = "2.x"


class Preference(StrEnum):
    """``required`` decides; ``preferred`` is reported and decides nothing."""

    REQUIRED = "required"
    PREFERRED = "preferred"


class StatusDirective(StrEnum):
    """What a definition says of one state that a credential may be in."""

    REQUIRED = "required"
    ALLOWED = "allowed"
    DISALLOWED = "disallowed"


Formats: TypeAlias = Mapping[str, frozenset[str]]
"""Claim format designations, each with the algorithms or proof types accepted; the empty set is any."""


@dataclass(frozen=True, slots=True)
class SchemaReference:
    """One entry of a descriptor's ``schema`` (1.0.0); *required* must be among the candidate's schemas."""

    uri: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Field:
    """One field: where to look, in order, and what must be found there."""

    paths: tuple[Query, ...]
    id: str | None = None
    filter: Filter | None = None
    predicate: Preference | None = None
    optional: bool = False
    intent_to_retain: bool = False


@dataclass(frozen=True, slots=True)
class SubjectRule:
    """One entry of ``is_holder`` or ``same_subject``: the ids of fields, and whether it decides."""

    field_ids: tuple[str, ...]
    directive: Preference


@dataclass(frozen=True, slots=True)
class Constraints:
    """What a descriptor asks of a credential."""

    fields: tuple[Field, ...] = ()
    limit_disclosure: Preference | None = None
    subject_is_issuer: Preference | None = None
    is_holder: tuple[SubjectRule, ...] = ()
    same_subject: tuple[SubjectRule, ...] = ()
    statuses: Mapping[CredentialState, StatusDirective] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class InputDescriptor:
    """One input that the verifier asks for. `format` is None where every format will do."""

    id: str
    schema: tuple[SchemaReference, ...] = ()
    constraints: Constraints = field(default_factory=Constraints)
    groups: frozenset[str] = frozenset()
    format: Formats | None = None
    name: str | None = None
    purpose: str | None = None


@dataclass(frozen=True, slots=True)
class FromGroup:
    """The descriptors of one group."""

    group: str


@dataclass(frozen=True, slots=True)
class FromNested:
    """Further requirements."""

    requirements: tuple["Requirement", ...]


@dataclass(frozen=True, slots=True)
class Requirement:
    """One submission requirement: ``all`` of its source, or a number of it.

    With rule ``all`` the three numbers are None. With ``pick`` at least one is a number: exactly *count*, at
    least *minimum*, at most *maximum*.
    """

    source: FromGroup | FromNested
    pick: bool
    count: int | None = None
    minimum: int | None = None
    maximum: int | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class PresentationDefinition:
    """What a verifier asks for. Made by `parse_definition`; whatever exists was checked.

    `requirements` is empty where every descriptor is required.
    """

    id: str
    version: Version
    input_descriptors: tuple[InputDescriptor, ...]
    requirements: tuple[Requirement, ...] = ()
    format: Formats | None = None
    name: str | None = None
    purpose: str | None = None
