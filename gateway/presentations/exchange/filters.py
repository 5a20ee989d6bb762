"""Filters: JSON Schema draft 7 on one value, without references and without anything that could be slow.

A schema is checked once, when its definition is read: only the keywords of `KEYWORDS`, each with a value of
its kind, and ``format`` only with a format that is really asserted. ``$ref`` and ``$id`` are refused, so no
schema refers to another one or to itself, and each of its parts is applied to a value at most once. The
jsonschema library evaluates; every keyword it applies is charged to a budget, and ``pattern`` and
``patternProperties`` run on RE2.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, TypeAlias, cast

from jsonschema import Draft7Validator, FormatChecker, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend

from gateway.presentations.exchange.errors import ExchangeError, ExchangeFault
from gateway.presentations.exchange.filter_schema import KEYWORDS, check_schema
from gateway.presentations.exchange.formats import FORMATS
from gateway.presentations.exchange.patterns import CompiledPattern, charge_search, compile_pattern
from gateway.presentations.exchange.work import Budget, require_bounded

MAX_SCHEMA_NODES: Final = 512  # values of one filter
MAX_SCHEMA_DEPTH: Final = 16

KeywordFunction: TypeAlias = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]


@dataclass(frozen=True, slots=True)
class Filter:
    """A checked schema. Made by `parse_filter` only."""

    schema: Mapping[str, Any]
    _validator: Validator = field(repr=False, compare=False)

    def accepts(self, value: Any, budget: Budget) -> bool:
        """Whether *value* satisfies the schema. Raises `WorkExceededError`."""
        validator = self._validator.evolve(format_checker=_Charged(budget))
        return bool(validator.is_valid(value))


def parse_filter(schema: Any, *, path: str) -> Filter:
    """The filter that *schema* is. *path* is where it stands.

    Raises `ExchangeError`: `FILTER_REFERENCE`, `FILTER_KEYWORD_UNSUPPORTED`, `FILTER_FORMAT_UNSUPPORTED`,
    `PATTERN_UNSUPPORTED`, or `FILTER_INVALID`, also for a schema that is too large or too deep.
    """
    try:
        require_bounded(schema, max_nodes=MAX_SCHEMA_NODES, max_depth=MAX_SCHEMA_DEPTH)
    except ExchangeError as error:
        raise ExchangeError(ExchangeFault.FILTER_INVALID, error.message, path=path) from error
    if not isinstance(schema, dict):
        raise ExchangeError(ExchangeFault.FILTER_INVALID, "a filter is an object", path=path)
    check_schema(schema, path)
    return Filter(schema, cast("Validator", _FilterValidator(schema)))


class _Charged(FormatChecker):
    """The formats that are asserted. The validator hands it to every subschema, so the budget rides along."""

    checkers = dict(FORMATS)  # noqa: RUF012 - the library's own declaration.

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.budget = budget


def _charged(keyword: KeywordFunction) -> KeywordFunction:
    def apply(validator: Any, value: Any, instance: Any, schema: Any) -> Iterator[ValidationError]:
        size = sum(len(each) for each in (value, instance) if isinstance(each, dict | list))
        validator.format_checker.budget.charge(_KEYWORD_STEPS + size)
        yield from keyword(validator, value, instance, schema) or ()

    return apply


_CANONICAL_STEPS: Final = 8
_KEYWORD_STEPS: Final = 4  # A keyword of the library costs about as much as a few visits.


def _pattern(validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    if isinstance(instance, str) and not _found(validator, pattern, instance):
        yield ValidationError("the text does not match the pattern")


def _pattern_properties(
    validator: Any, schemas: Mapping[str, Any], instance: Any, _schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    for pattern, subschema in schemas.items():
        for name, value in instance.items():
            if _found(validator, pattern, name):
                yield from validator.descend(value, subschema, path=name, schema_path=pattern)


def _found(validator: Any, pattern: str, text: str) -> bool:
    charge_search(text, validator.format_checker.budget)
    # RE2 keeps the compiled pattern; the definition it came from was refused unless it compiles.
    compiled: CompiledPattern = compile_pattern(pattern, path="$")
    return compiled.search(text) is not None


def _additional_properties(
    validator: Any, rule: Any, instance: Any, schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    for name, value in instance.items():
        if name in named or any(_found(validator, pattern, name) for pattern in patterns):
            continue
        yield from validator.descend(value, rule, path=name)


def _multiple_of(_validator: Any, divisor: float, instance: Any, _schema: Any) -> Iterator[ValidationError]:
    # The library divides in floating point, which a large integer overflows and a small divisor blurs.
    number = isinstance(instance, int | float) and not isinstance(instance, bool)
    if number and Fraction(str(instance)) % Fraction(str(divisor)):
        yield ValidationError("the number is not a multiple")


def _unique_items(validator: Any, unique: bool, instance: Any, _schema: Any) -> Iterator[ValidationError]:  # noqa: FBT001 - the library calls it so.
    # The library compares each item with each other one; canonical texts need one pass.
    if unique and isinstance(instance, list):
        texts = set()
        for item in instance:
            text = _canonical(item)
            validator.format_checker.budget.charge(_CANONICAL_STEPS + len(text) // 4)
            texts.add(text)
        if len(texts) != len(instance):
            yield ValidationError("two items are equal")


def _canonical(value: Any) -> str:
    return json.dumps(_with_one_number_form(value), sort_keys=True)


def _with_one_number_form(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, dict):
        return {name: _with_one_number_form(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_with_one_number_form(item) for item in value]
    return value


def _validator_class() -> Any:
    own: dict[str, KeywordFunction] = {
        "pattern": _pattern,
        "patternProperties": _pattern_properties,
        "additionalProperties": _additional_properties,
        "multipleOf": _multiple_of,
        "uniqueItems": _unique_items,
    }
    functions = {**Draft7Validator.VALIDATORS, **own}
    # jsonschema leaves this one function without types.
    return extend(  # type: ignore[no-untyped-call]
        Draft7Validator, {name: _charged(functions[name]) for name in KEYWORDS if name in functions}
    )


_FilterValidator: Final = _validator_class()
