"""Which JSON Schema a filter may be: the keywords, the kind of value of each, and nothing that refers.

The keywords are those of draft 7, without references, content encodings and unknown ones. A schema that was
checked here can be evaluated without a meta-schema: every value is of the kind its keyword asks for.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.presentations.exchange.errors import ExchangeError, ExchangeFault
from gateway.presentations.exchange.formats import FORMATS
from gateway.presentations.exchange.patterns import compile_pattern

_TYPES: Final = frozenset({"array", "boolean", "integer", "null", "number", "object", "string"})
_REFERENCES: Final = frozenset({"$ref", "$id", "$recursiveRef", "$dynamicRef", "id"})
_DIALECTS: Final = frozenset(
    {
        "http://json-schema.org/draft-07/schema",
        "http://json-schema.org/draft-07/schema#",
        # Presentation Exchange 1.0.0 names this dialect; of the keywords below none differs.
        "https://json-schema.org/draft/2019-09/schema",
    }
)


def _is_schema(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        check_schema(value, path)


def _schemas_by_name(value: Any, path: str) -> None:
    for name, subschema in _object(value, path).items():
        del name  # A stranger's member name stays out of the path.
        _is_schema(subschema, f"{path}.*")


def _schemas_by_pattern(value: Any, path: str) -> None:
    for pattern in _object(value, path):
        compile_pattern(pattern, path=path)
    _schemas_by_name(value, path)


def _schema_list(value: Any, path: str) -> None:
    if not isinstance(value, list) or not value:
        raise _invalid("an array of schemas is expected", path)
    for index, subschema in enumerate(value):
        _is_schema(subschema, f"{path}[{index}]")


def _schema_or_list(value: Any, path: str) -> None:
    (_schema_list if isinstance(value, list) else _is_schema)(value, path)


def _dependencies(value: Any, path: str) -> None:
    for needed in _object(value, path).values():
        (_names if isinstance(needed, list) else _is_schema)(needed, f"{path}.*")


def _object(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _invalid("an object is expected", path)
    return value


def _names(value: Any, path: str) -> None:
    if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
        raise _invalid("an array of names is expected", path)


def _type(value: Any, path: str) -> None:
    names = value if isinstance(value, list) else [value]
    if not names or not all(isinstance(name, str) and name in _TYPES for name in names):
        raise _invalid("a JSON type is expected", path)


def _count(value: Any, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _invalid("a count is expected", path)


def _number(value: Any, path: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _invalid("a number is expected", path)


def _positive(value: Any, path: str) -> None:
    _number(value, path)
    if value <= 0:
        raise _invalid("a number above zero is expected", path)


def _boolean(value: Any, path: str) -> None:
    if not isinstance(value, bool):
        raise _invalid("a boolean is expected", path)


def _text(value: Any, path: str) -> None:
    if not isinstance(value, str):
        raise _invalid("a text is expected", path)


def _regular_expression(value: Any, path: str) -> None:
    _text(value, path)
    compile_pattern(value, path=path)


def _format(value: Any, path: str) -> None:
    if not isinstance(value, str) or value not in FORMATS:
        message = f"the format is none of {', '.join(sorted(FORMATS))}"
        raise ExchangeError(ExchangeFault.FILTER_FORMAT_UNSUPPORTED, message, path=path)


def _dialect(value: Any, path: str) -> None:
    if value not in _DIALECTS:
        raise _invalid("the dialect is not JSON Schema draft 7", path)


def _values(value: Any, path: str) -> None:
    if not isinstance(value, list) or not value:
        raise _invalid("an array of values is expected", path)


def _anything(_value: Any, _path: str) -> None:
    return


KEYWORDS: Final[Mapping[str, Callable[[Any, str], None]]] = {
    # Any type
    "type": _type,
    "enum": _values,
    "const": _anything,
    # Numbers
    "multipleOf": _positive,
    "maximum": _number,
    "exclusiveMaximum": _number,
    "minimum": _number,
    "exclusiveMinimum": _number,
    # Strings
    "maxLength": _count,
    "minLength": _count,
    "pattern": _regular_expression,
    "format": _format,
    # Arrays
    "items": _schema_or_list,
    "additionalItems": _is_schema,
    "maxItems": _count,
    "minItems": _count,
    "uniqueItems": _boolean,
    "contains": _is_schema,
    # Objects
    "maxProperties": _count,
    "minProperties": _count,
    "required": _names,
    "properties": _schemas_by_name,
    "patternProperties": _schemas_by_pattern,
    "additionalProperties": _is_schema,
    "dependencies": _dependencies,
    "propertyNames": _is_schema,
    # Schemas of schemas
    "if": _is_schema,
    "then": _is_schema,
    "else": _is_schema,
    "allOf": _schema_list,
    "anyOf": _schema_list,
    "oneOf": _schema_list,
    "not": _is_schema,
    # Words for readers
    "$schema": _dialect,
    "$comment": _text,
    "title": _text,
    "description": _text,
    "default": _anything,
    "examples": _anything,
}


def check_schema(schema: Any, path: str) -> None:
    """*schema* is one that a filter may be; *path* is where it stands. Raises `ExchangeError`."""
    for keyword, value in _object(schema, path).items():
        if keyword in _REFERENCES:
            raise ExchangeError(ExchangeFault.FILTER_REFERENCE, "a filter refers to no schema", path=path)
        check = KEYWORDS.get(keyword)
        if check is None:
            message = "a keyword is not among those supported"
            raise ExchangeError(ExchangeFault.FILTER_KEYWORD_UNSUPPORTED, message, path=path)
        check(value, f"{path}.{keyword}")


def _invalid(message: str, path: str) -> ExchangeError:
    return ExchangeError(ExchangeFault.FILTER_INVALID, message, path=path)
