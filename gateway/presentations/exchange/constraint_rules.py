"""Reading the constraints of an input descriptor: fields, disclosure, subjects and statuses."""

from types import MappingProxyType
from typing import Any, Final

from gateway.presentations.credential_state import CredentialState
from gateway.presentations.exchange.errors import ExchangeError, ExchangeFault
from gateway.presentations.exchange.filters import Filter, parse_filter
from gateway.presentations.exchange.json_path import MAX_PATH, parse_query
from gateway.presentations.exchange.members import Members
from gateway.presentations.exchange.model import (
    Constraints,
    Field,
    Preference,
    StatusDirective,
    SubjectRule,
    Version,
)

MAX_FIELDS: Final = 64
MAX_PATHS: Final = 16
MAX_RULES: Final = 16

_CONSTRAINTS: Final = frozenset(
    {"fields", "limit_disclosure", "statuses", "subject_is_issuer", "is_holder", "same_subject"}
)
_FIELD_V1: Final = frozenset({"id", "path", "purpose", "filter", "predicate"})
_FIELD_V2: Final = _FIELD_V1 | {"name", "optional", "intent_to_retain"}
_RULE: Final = frozenset({"field_id", "directive"})
_STATES: Final = frozenset(CredentialState)
# What a derived predicate may be made of (1.0.0 §4.2, predicate).
_RANGE: Final = frozenset({"exclusiveMinimum", "exclusiveMaximum", "minimum", "maximum"})
_EQUALITY: Final = frozenset({"const", "enum"})


def parse_constraints(value: Any, path: str, version: Version) -> Constraints:
    """The constraints that *value*, at *path*, holds. Raises `ExchangeError`."""
    members = Members(value, path, _CONSTRAINTS)
    fields: tuple[Field, ...] = ()
    # An empty array of fields is legal and means none.
    if "fields" in members and members.value("fields") != []:
        items = members.items("fields", max_items=MAX_FIELDS)
        fields = tuple(_parse_field(item, item_path, version) for item, item_path in items)
    return Constraints(
        fields=fields,
        limit_disclosure=members.optional_choice("limit_disclosure", Preference),
        subject_is_issuer=members.optional_choice("subject_is_issuer", Preference),
        is_holder=_parse_rules(members, "is_holder"),
        same_subject=_parse_rules(members, "same_subject"),
        statuses=_parse_statuses(members),
    )


def _parse_field(value: Any, path: str, version: Version) -> Field:
    members = Members(value, path, _FIELD_V1 if version is Version.V1 else _FIELD_V2)
    texts = members.texts("path", max_items=MAX_PATHS, max_length=MAX_PATH)
    paths = tuple(
        parse_query(text, path=f"{members.at('path')}[{index}]") for index, text in enumerate(texts)
    )
    accepted = None
    if "filter" in members:
        accepted = parse_filter(members.value("filter"), path=members.at("filter"))
    members.optional_text("purpose")
    members.optional_text("name")
    return Field(
        paths=paths,
        id=members.text("id") if "id" in members else None,
        filter=accepted,
        predicate=_parse_predicate(members, accepted),
        optional=members.boolean("optional"),
        intent_to_retain=members.boolean("intent_to_retain"),
    )


def _parse_predicate(members: Members, accepted: Filter | None) -> Preference | None:
    predicate = members.optional_choice("predicate", Preference)
    if predicate is None:
        return None
    if accepted is None:
        message = "a predicate needs the filter that it is derived from"
        raise ExchangeError(ExchangeFault.PREDICATE_WITHOUT_FILTER, message, path=members.path)
    if not _is_predicate(accepted):
        message = "a predicate is a range, an equality or a membership"
        raise ExchangeError(ExchangeFault.PREDICATE_FILTER_UNSUITABLE, message, path=members.at("filter"))
    return predicate


def _is_predicate(accepted: Filter) -> bool:
    operators = set(accepted.schema) - {"type"}
    if not operators or not operators <= _RANGE | _EQUALITY | {"not"}:
        return False
    negated = accepted.schema.get("not")
    return negated is None or (isinstance(negated, dict) and bool(negated) and _EQUALITY.issuperset(negated))


def _parse_rules(members: Members, name: str) -> tuple[SubjectRule, ...]:
    if name not in members:
        return ()
    rules = []
    for item, path in members.items(name, max_items=MAX_RULES):
        rule = Members(item, path, _RULE)
        field_ids = rule.texts("field_id", max_items=MAX_FIELDS)
        rules.append(SubjectRule(field_ids, rule.choice("directive", Preference)))
    return tuple(rules)


def _parse_statuses(members: Members) -> MappingProxyType[CredentialState, StatusDirective]:
    if "statuses" not in members:
        return MappingProxyType({})
    statuses = Members(members.value("statuses"), members.at("statuses"), _STATES)
    directives = {
        state: Members(statuses.value(state), statuses.at(state), frozenset({"directive"})).choice(
            "directive", StatusDirective
        )
        for state in CredentialState
        if state in statuses
    }
    if not directives:
        raise members.invalid("statuses", "at least one status is expected")
    return MappingProxyType(directives)
