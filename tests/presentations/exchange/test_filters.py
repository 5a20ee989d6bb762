"""gateway.presentations.exchange.filters: JSON Schema on one value, bounded and without references."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.presentations.exchange import ExchangeError, ExchangeFault
from gateway.presentations.exchange.errors import WorkExceededError
from gateway.presentations.exchange.filters import parse_filter
from gateway.presentations.exchange.patterns import charge_search
from gateway.presentations.exchange.work import Budget


def accepts(schema, value):
    return parse_filter(schema, path="$").accepts(value, Budget())


class TestKeywords:
    @pytest.mark.parametrize(
        ("schema", "good", "bad"),
        [
            ({"type": "string"}, "x", 1),
            ({"type": "integer"}, 1, True),
            ({"type": ["null", "number"]}, None, "x"),
            ({"enum": ["a", "b"]}, "a", "c"),
            ({"const": 1}, 1, True),
            ({"const": {"a": [1]}}, {"a": [1]}, {"a": [2]}),
            ({"multipleOf": 0.5}, 1.5, 1.3),
            ({"multipleOf": 0.01}, 19.99, 19.999),
            ({"multipleOf": 0.5}, 10**400, 0.75),
            ({"multipleOf": 3}, 3 * 10**300, 10**300),
            ({"maximum": 5}, 5, 6),
            ({"exclusiveMaximum": 5}, 4, 5),
            ({"minimum": 5}, 5, 4),
            ({"exclusiveMinimum": 5}, 6, 5),
            ({"maxLength": 2}, "é€", "abc"),
            ({"minLength": 2}, "ab", "a"),
            ({"pattern": "^a+$"}, "aa", "ab"),
            ({"pattern": "b"}, "abc", "ac"),
            ({"format": "date"}, "2024-02-29", "2023-02-29"),
            ({"format": "date-time"}, "2024-02-29T23:59:60Z", "2024-02-29 23:59:59"),
            ({"format": "email"}, "pat@example.com", "pat"),
            ({"format": "uri"}, "did:web:x", "//x"),
            ({"format": "uuid"}, "32f54163-7166-48f1-93d8-ff217bdb0653", "32f54163"),
            ({"format": "ipv4"}, "192.0.2.1", "192.0.2.256"),
            ({"format": "ipv6"}, "2001:db8::1", "2001:db8:::1"),
            ({"format": "hostname"}, "a.example", "-a.example"),
            ({"items": {"type": "number"}}, [1, 2], [1, "x"]),
            ({"items": [{"type": "number"}], "additionalItems": False}, [1], [1, 2]),
            ({"maxItems": 1}, [1], [1, 2]),
            ({"minItems": 1}, [1], []),
            ({"uniqueItems": True}, [1, True, "1"], [1, 1.0]),
            ({"uniqueItems": True}, [{"a": 1}, {"a": 2}], [{"a": 1, "b": 2}, {"b": 2, "a": 1.0}]),
            ({"contains": {"const": "Employee"}}, ["x", "Employee"], ["x"]),
            ({"maxProperties": 1}, {"a": 1}, {"a": 1, "b": 2}),
            ({"minProperties": 1}, {"a": 1}, {}),
            ({"required": ["a"]}, {"a": 1}, {"b": 1}),
            ({"properties": {"a": {"type": "number"}}}, {"a": 1}, {"a": "x"}),
            ({"patternProperties": {"^a": {"type": "number"}}}, {"ab": 1, "b": "x"}, {"ab": "x"}),
            ({"patternProperties": {"^b": {}}, "additionalProperties": False}, {"b1": 1}, {"c": 1}),
            (
                {"properties": {"a": True}, "additionalProperties": {"type": "null"}},
                {"a": 1, "b": None},
                {"b": 1},
            ),
            ({"dependencies": {"a": ["b"]}}, {"a": 1, "b": 1}, {"a": 1}),
            ({"dependencies": {"a": {"required": ["c"]}}}, {"a": 1, "c": 1}, {"a": 1}),
            ({"propertyNames": {"maxLength": 1}}, {"a": 1}, {"ab": 1}),
            ({"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"minimum": 5}}, 5, "x"),
            ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, 2, 4),
            ({"anyOf": [{"const": 1}, {"const": 2}]}, 2, 3),
            ({"oneOf": [{"minimum": 2}, {"maximum": 3}]}, 1, 2.5),
            ({"not": {"const": "Karen"}}, "Chad", "Karen"),
        ],
    )
    def test_each_keyword_accepts_and_refuses(self, schema, good, bad):
        """Each keyword accepts a value that satisfies it and refuses one that does not."""
        assert accepts(schema, good)
        assert not accepts(schema, bad)

    @pytest.mark.parametrize(
        "schema", [{"pattern": "x"}, {"format": "date"}, {"minimum": 5}, {"minItems": 1}]
    )
    def test_a_keyword_says_nothing_of_other_types(self, schema):
        """A keyword for another type does not apply."""
        assert accepts(schema, None)

    def test_words_for_readers_are_accepted(self):
        """Annotations and the dialect's name do not decide."""
        schema = {"$schema": "http://json-schema.org/draft-07/schema#", "title": "x", "description": "y"}
        assert accepts({**schema, "$comment": "z", "default": 1, "examples": [1]}, 5)


FAULT = ExchangeFault


class TestRefused:
    @pytest.mark.parametrize(
        ("schema", "code"),
        [
            ({"$ref": "https://example.com/schema"}, FAULT.FILTER_REFERENCE),
            ({"$ref": "#"}, FAULT.FILTER_REFERENCE),
            ({"$id": "https://example.com/schema"}, FAULT.FILTER_REFERENCE),
            ({"properties": {"a": {"items": {"$ref": "#"}}}}, FAULT.FILTER_REFERENCE),
            ({"if": {"not": {"$ref": "#"}}}, FAULT.FILTER_REFERENCE),
            ({"definitions": {}}, FAULT.FILTER_KEYWORD_UNSUPPORTED),
            ({"formatMinimum": "2020-01-01"}, FAULT.FILTER_KEYWORD_UNSUPPORTED),
            ({"contentEncoding": "base64"}, FAULT.FILTER_KEYWORD_UNSUPPORTED),
            ({"format": "regex"}, FAULT.FILTER_FORMAT_UNSUPPORTED),
            ({"format": "json-pointer"}, FAULT.FILTER_FORMAT_UNSUPPORTED),
            ({"pattern": "(?=a)b"}, FAULT.PATTERN_UNSUPPORTED),
            ({"pattern": r"(a)\1"}, FAULT.PATTERN_UNSUPPORTED),
            ({"pattern": "("}, FAULT.PATTERN_UNSUPPORTED),
            ({"pattern": "x" * 1025}, FAULT.PATTERN_UNSUPPORTED),
            ({"pattern": "((a{1,100}){1,100}){1,100}"}, FAULT.PATTERN_UNSUPPORTED),
            ({"patternProperties": {"(": {}}}, FAULT.PATTERN_UNSUPPORTED),
            ({"$schema": "https://example.com/"}, FAULT.FILTER_INVALID),
            ({"type": "text"}, FAULT.FILTER_INVALID),
            ({"type": []}, FAULT.FILTER_INVALID),
            ({"minimum": "5"}, FAULT.FILTER_INVALID),
            ({"minimum": True}, FAULT.FILTER_INVALID),
            ({"multipleOf": 0}, FAULT.FILTER_INVALID),
            ({"maxLength": -1}, FAULT.FILTER_INVALID),
            ({"enum": []}, FAULT.FILTER_INVALID),
            ({"required": "a"}, FAULT.FILTER_INVALID),
            ({"allOf": []}, FAULT.FILTER_INVALID),
            ({"items": 1}, FAULT.FILTER_INVALID),
            ({"properties": []}, FAULT.FILTER_INVALID),
            ({"uniqueItems": 1}, FAULT.FILTER_INVALID),
            (True, FAULT.FILTER_INVALID),
            ({"enum": list(range(1000))}, FAULT.FILTER_INVALID),
        ],
    )
    def test_a_schema_that_is_not_supported_is_refused(self, schema, code):
        """A schema is refused when it is read, by its code."""
        with pytest.raises(ExchangeError) as caught:
            parse_filter(schema, path="$.filter")
        assert caught.value.code is code
        assert caught.value.path.startswith("$.filter")

    def test_depth_is_bounded(self):
        """A schema nests at most sixteen levels."""
        schema = {}
        for _ in range(20):
            schema = {"not": schema}
        with pytest.raises(ExchangeError) as caught:
            parse_filter(schema, path="$")
        assert caught.value.code is FAULT.FILTER_INVALID


class TestBudget:
    @pytest.mark.parametrize(
        ("schema", "value"),
        [
            ({"items": {"allOf": [{"type": "integer"}] * 100}}, list(range(9000))),
            ({"items": {"items": {"enum": [*range(100), {}]}}}, [[{}] * 90] * 90),
            ({"patternProperties": {f"{n}+": {} for n in range(100)}}, {str(n): 1 for n in range(900)}),
            ({"items": {"pattern": "(a+)+b$"}}, ["a" * 4000 + "b"] * 50),
            ({"pattern": "a"}, "a" * 10_000_000),
        ],
    )
    def test_an_expensive_filter_is_given_up(self, schema, value):
        """A schema and a value that multiply end by the budget."""
        with pytest.raises(WorkExceededError):
            accepts(schema, value)

    def test_a_text_is_bounded_whatever_the_budget(self):
        """A pattern is applied to 4,096 characters at most, since a search cannot be interrupted."""
        charge_search("a" * 4096, Budget(10**9))
        with pytest.raises(WorkExceededError):
            charge_search("a" * 4097, Budget(10**9))

    @settings(max_examples=200, deadline=None)
    @given(
        st.dictionaries(
            st.sampled_from(["type", "minimum", "items", "not", "enum", "pattern", "format", "required"]),
            st.one_of(
                st.text(max_size=6), st.integers(), st.just({}), st.lists(st.text(max_size=3), max_size=3)
            ),
            max_size=4,
        ),
        st.one_of(
            st.text(max_size=6), st.integers(), st.floats(allow_nan=False), st.lists(st.none(), max_size=3)
        ),
    )
    def test_any_schema_is_evaluated_or_refused(self, schema, value):
        """Whatever schema comes, it answers or is refused by an ExchangeError."""
        with contextlib.suppress(ExchangeError):
            assert accepts(schema, value) in (True, False)
