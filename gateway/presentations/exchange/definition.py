"""Reading a presentation definition (Presentation Exchange 1.0.0 §4 and 2.1.1 §Presentation Definition).

A definition is our own verifier's. A member that is not known is refused, although 2.x would have a *wallet*
ignore it: what a verifier wrote and what would be ignored could accept what was meant to be refused.
"""

import re
from typing import Any, Final

from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.strict_json import parse_object
from gateway.presentations.exchange.constraint_rules import parse_constraints
from gateway.presentations.exchange.errors import ExchangeError, ExchangeFault
from gateway.presentations.exchange.members import MAX_TEXT, Members
from gateway.presentations.exchange.model import (
    Constraints,
    Formats,
    InputDescriptor,
    PresentationDefinition,
    SchemaReference,
    Version,
)
from gateway.presentations.exchange.requirements import parse_requirements
from gateway.presentations.exchange.work import MAX_DEPTH, require_bounded

MAX_SIZE: Final = 64 * 1024  # octets of a definition's text
MAX_DESCRIPTORS: Final = 32
MAX_SCHEMAS: Final = 16
MAX_GROUPS: Final = 16
MAX_FORMATS: Final = 16
MAX_ALGORITHMS: Final = 32

_DEFINITION: Final = frozenset(
    {"id", "name", "purpose", "format", "input_descriptors", "submission_requirements"}
)
_DESCRIPTOR_V1: Final = frozenset({"id", "name", "purpose", "metadata", "group", "schema", "constraints"})
_DESCRIPTOR_V2: Final = frozenset({"id", "name", "purpose", "group", "format", "constraints"})
_SCHEMA: Final = frozenset({"uri", "required"})
_FORMAT: Final = frozenset({"alg", "proof_type", "sd-jwt_alg_values", "kb-jwt_alg_values"})
_DESIGNATION: Final = re.compile(r"[A-Za-z0-9_+.\-]{1,64}")


def read_json(data: bytes, *, max_size: int = MAX_SIZE) -> dict[str, Any]:
    """The object that *data*, strict JSON of at most *max_size* octets, holds. Raises `ExchangeError`."""
    try:
        return parse_object(data, max_size=max_size, max_depth=MAX_DEPTH)
    except JoseError as error:
        codes = {
            JoseFault.JSON_TOO_LARGE: ExchangeFault.TOO_LARGE,
            JoseFault.JSON_TOO_DEEP: ExchangeFault.TOO_DEEP,
        }
        code = codes.get(error.code, ExchangeFault.INVALID_JSON)
        raise ExchangeError(code, "the text is not one bounded JSON object") from error


def parse_definition(document: Any) -> PresentationDefinition:
    """The definition that *document*, a JSON object, is.

    It speaks 1.0.0 where an input descriptor has ``schema``, else 2.x. Raises `ExchangeError`.
    """
    require_bounded(document)
    members = Members(document, "$", _DEFINITION)
    items = members.items("input_descriptors", max_items=MAX_DESCRIPTORS)
    first = any(isinstance(item, dict) and "schema" in item for item, _ in items)
    version = Version.V1 if first else Version.V2
    descriptors = tuple(_parse_descriptor(item, path, version) for item, path in items)
    _check_identifiers(descriptors)
    return PresentationDefinition(
        id=members.text("id"),
        version=version,
        input_descriptors=descriptors,
        requirements=parse_requirements(members, descriptors),
        format=_parse_formats(members),
        name=members.optional_text("name"),
        purpose=members.optional_text("purpose"),
    )


def _parse_descriptor(value: Any, path: str, version: Version) -> InputDescriptor:
    members = Members(value, path, _DESCRIPTOR_V1 if version is Version.V1 else _DESCRIPTOR_V2)
    groups = members.texts("group", max_items=MAX_GROUPS) if "group" in members else ()
    # 2.x makes the constraints mandatory, 1.0.0 does not: its schema alone may be the question.
    constraints = Constraints()
    if "constraints" in members or version is Version.V2:
        constraints = parse_constraints(members.value("constraints"), members.at("constraints"), version)
    return InputDescriptor(
        id=members.text("id"),
        schema=_parse_schemas(members) if version is Version.V1 else (),
        constraints=constraints,
        groups=frozenset(groups),
        format=_parse_formats(members),
        name=members.optional_text("name"),
        purpose=members.optional_text("purpose"),
    )


def _parse_schemas(members: Members) -> tuple[SchemaReference, ...]:
    references = []
    for item, path in members.items("schema", max_items=MAX_SCHEMAS):
        reference = Members(item, path, _SCHEMA)
        references.append(
            SchemaReference(reference.text("uri", max_length=MAX_TEXT), reference.boolean("required"))
        )
    return tuple(references)


def _parse_formats(members: Members) -> Formats | None:
    if "format" not in members:
        return None
    value, path = members.value("format"), members.at("format")
    if not isinstance(value, dict) or not 1 <= len(value) <= MAX_FORMATS:
        raise members.invalid("format", f"an object of 1 to {MAX_FORMATS} formats is expected")
    return parse_format_table(value, path)


def parse_format_table(value: dict[str, Any], path: str = "$") -> Formats:
    """A table of formats: a definition's ``format``, or a verifier's ``vp_formats``. Raises `ExchangeError`.

    An entry that lists no algorithms accepts each.
    """
    table: dict[str, frozenset[str]] = {}
    for designation, entry in value.items():
        if not _DESIGNATION.fullmatch(designation):
            raise ExchangeError(ExchangeFault.INVALID_MEMBER, "not a claim format designation", path=path)
        members = Members(entry, f"{path}.{designation}", _FORMAT)
        # What signs a credential is in the first three; the last is about the holder's key binding.
        names = [name for name in ("alg", "proof_type", "sd-jwt_alg_values") if name in members]
        lists = [members.texts(name, max_items=MAX_ALGORITHMS) for name in names]
        table[designation] = frozenset(algorithm for each in lists for algorithm in each)
    return table


def _check_identifiers(descriptors: tuple[InputDescriptor, ...]) -> None:
    identifiers: set[str] = set()
    field_ids: set[str] = set()
    for index, descriptor in enumerate(descriptors):
        path = f"$.input_descriptors[{index}]"
        if descriptor.id in identifiers:
            raise ExchangeError(ExchangeFault.DUPLICATE_DESCRIPTOR, "the id is used twice", path=path)
        identifiers.add(descriptor.id)
        for field in descriptor.constraints.fields:
            if field.id is not None and field.id in field_ids:
                raise ExchangeError(ExchangeFault.DUPLICATE_FIELD_ID, "a field's id is used twice", path=path)
            field_ids |= {field.id} if field.id is not None else set()
    for index, descriptor in enumerate(descriptors):
        own = {field.id for field in descriptor.constraints.fields}
        path = f"$.input_descriptors[{index}].constraints"
        for rule in descriptor.constraints.is_holder:
            # The subject of another credential's field is that descriptor's affair.
            _require_known(rule.field_ids, own, path)
        for rule in descriptor.constraints.same_subject:
            _require_known(rule.field_ids, field_ids, path)


def _require_known(field_ids: tuple[str, ...], known: set[str] | set[str | None], path: str) -> None:
    if not known.issuperset(field_ids):
        raise ExchangeError(
            ExchangeFault.UNKNOWN_FIELD_ID, "a rule names a field that is not there", path=path
        )
