"""gateway.presentations.exchange.json_path: RFC 9535, its functions on RE2, and the budget."""

import contextlib
import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.presentations.exchange import ExchangeError, ExchangeFault
from gateway.presentations.exchange.errors import WorkExceededError
from gateway.presentations.exchange.json_path import parse_query
from gateway.presentations.exchange.work import Budget

# SOURCE: RFC 9535 figure 1, and the table of Presentation Exchange, JSONPath Syntax Definition.
STORE = {
    "store": {
        "book": [
            {
                "category": "reference",
                "author": "Nigel Rees",
                "title": "Sayings of the Century",
                "price": 8.95,
            },
            {"category": "fiction", "author": "Evelyn Waugh", "title": "Sword of Honour", "price": 12.99},
            {"category": "fiction", "author": "Herman Melville", "isbn": "0-553-21311-3", "price": 8.99},
            {"category": "fiction", "author": "J. R. R. Tolkien", "isbn": "0-395-19395-8", "price": 22.99},
        ],
        "bicycle": {"color": "red", "price": 399},
    }
}
BOOKS = STORE["store"]["book"]


def first(query, document):
    node = parse_query(query, path="$").first(document, Budget())
    return None if node is None else node.value


class TestQueries:
    @pytest.mark.parametrize(
        ("query", "value"),
        [
            ("$", STORE),
            ("$.store.book[*].author", "Nigel Rees"),
            ("$..author", "Nigel Rees"),
            ("$.store.*", BOOKS),
            ("$.store..price", 8.95),
            ("$..book[2]", BOOKS[2]),
            ("$..book[-1:]", BOOKS[3]),
            ("$..book[-1]", BOOKS[3]),
            ("$..book[0,1]", BOOKS[0]),
            ("$..book[:2]", BOOKS[0]),
            ("$..book[?(@.isbn)]", BOOKS[2]),
            ("$..book[?(@.price<9.0 && @.price>8.96)]", BOOKS[2]),
            ("$..book[?(@.price==8.95)]", BOOKS[0]),
            ('$..book[?(@.price<30 && @.category=="fiction")]', BOOKS[1]),
            ("$..*", STORE["store"]),
            ("$.store.nothing", None),
            ("$.store.book[9]", None),
            ("$..book[?length(@.author) == 16].price", 22.99),
            ("$..book[?count(@.*) == 3]", None),
            ("$..book[?value(@.isbn) == '0-395-19395-8'].price", 22.99),
        ],
    )
    def test_the_first_node_of_a_query(self, query, value):
        """Each query of the specifications' tables selects what they say."""
        assert first(query, STORE) == value

    @pytest.mark.parametrize("query", ["$.@context", "$['@context']", "$.vc.@context"])
    def test_a_context_may_be_named_as_definitions_do(self, query):
        """``.@context`` is understood, which the RFC would have in brackets."""
        assert first(query, {"@context": "x", "vc": {"@context": "x"}}) == "x"

    @pytest.mark.parametrize(
        "query",
        [
            "",
            " $",
            "$ ",
            "@",
            "store",
            "$.",
            "$[",
            "$..",
            "$.store[(@.length-1)]",
            "$.a | $.b",
            "$.a.~",
            "$[?@.a",
            "^.a",
            "$[?match(@.a)]",
            "$[?match(@.a,'x')==true]",
            "$[?unknown(@)]",
            "$[99999999999999999999]",
        ],
    )
    def test_what_is_no_query_is_refused(self, query):
        """A text outside of RFC 9535 is refused by its code."""
        with pytest.raises(ExchangeError) as caught:
            parse_query(query, path="$.path[0]")
        assert caught.value.code is ExchangeFault.PATH_INVALID
        assert caught.value.path == "$.path[0]"

    def test_a_text_is_not_taken_for_json(self):
        """A document that is a text selects itself by ``$`` and has no members."""
        assert first("$", '{"a": 1}') == '{"a": 1}'
        assert first("$.a", '{"a": 1}') is None

    @pytest.mark.parametrize(("query", "singular"), [("$.a['b'][0][-1]", True), ("$", True), ("$.*", False)])
    def test_singular_queries_are_told(self, query, singular):
        """A query of names and indices alone is singular."""
        assert parse_query(query, path="$").singular is singular


# SOURCE: jsonpath-standard/jsonpath-compliance-test-suite, tests/functions/match.json and search.json, commit
# 01c109e66246fe34cda0e7d32b3e9c7d3e5af2ef; of each result the first node.
MATCH = [
    ("$[?match(@.a, 'a.*')]", [{"a": "ab"}], {"a": "ab"}),
    (
        "$.values[?match(@, $.regex)]",
        {"regex": "b.?b", "values": ["abc", "bcd", "bab", "bbab", True, []]},
        "bab",
    ),
    ("$[?!match(@.a, 'a.*')]", [{"a": "ab"}], None),
    ("$[?!match(@.a, 'a.*')]", [{"a": "bc"}], {"a": "bc"}),
    ("$[?match(1, 'a.*')]", [{"a": "bc"}], None),
    ("$[?match(@.a, 1)]", [{"a": "bc"}], None),
    (r"$[?match(@, '\\p{Lu}')]", ["ж", "Ж", "1", "жЖ", True, [], {}], "Ж"),
    (r"$[?match(@, '\\P{Lu}')]", ["Ж", "ж", True], "ж"),
    ("$[?match(@, 'a.b')]", ["ab", "a\U00010101b"], "a\U00010101b"),
    ("$[?match(@, '.')]", ["\r", "\n", "\u2028"], "\u2028"),
    ("$[0][?match(@.a, value($..['regex']))]", [[{"a": "ba"}, {"a": "ab"}], {"regex": "a.*"}], {"a": "ab"}),
    ("$[?match(@, 'a[.b]c')]", ["axc", "a.c"], "a.c"),
    (r"$[?match(@, 'a\\.c')]", ["abc", "axc", "a.c"], "a.c"),
    (r"$[?match(@, 'a\\\\.c')]", ["abc", "a.c", "a\\\u2028c"], "a\\\u2028c"),
    (r"$[?match(@, 'a\\[.c')]", ["abc", "a.c", "a[\u2028c"], "a[\u2028c"),
    (r"$[?match(@, 'a[\\].]c')]", ["abc", "a\u2028c", "a]c"], "a]c"),
    ("$[?match(@, '^ab.*')]", ["axc", "xab", "ab"], "ab"),
    ("$[?match(@, '.*bc$')]", ["axc", "abcx", "abc"], "abc"),
    ("$[?search(@.a, 'a.*')]", [{"a": "the end is ab"}], {"a": "the end is ab"}),
    ("$.values[?search(@, $.regex)]", {"regex": "b.?b", "values": ["abc", "b", "bbab"]}, "bbab"),
    ("$[?search(@, '.')]", ["\r", "\n", "\r\u2028\n"], "\r\u2028\n"),
    ("$[?search(@, 'a[.b]c')]", ["x axc y", "x a.c y"], "x a.c y"),
]


class TestPatterns:
    @pytest.mark.parametrize(("query", "document", "value"), MATCH)
    def test_match_and_search(self, query, document, value):
        """The functions on RE2 pass the compliance suite's cases."""
        assert first(query, document) == value

    def test_a_pattern_that_needs_backtracking_is_no_match(self):
        """RFC 9535 §2.4.6: a pattern that is no I-Regexp matches nothing."""
        assert first(r"$[?match(@, '(a)\\1')]", ["aa"]) is None


WIDE = {"x": [{"y": list(range(9))} for _ in range(900)]}


class TestBudget:
    @pytest.mark.parametrize(
        "query",
        [
            "$[*,*,*,*][*,*,*,*,*,*][*,*,*,*,*,*,*,*][*]['no']",
            "$..*..*..*..*..no",
            "$..[?$..[?@ == $]]['no']",
            "$..[?$.x == $.z]['no']",
            "$..[?search(@, $.pattern)]['no']",
        ],
    )
    def test_an_expensive_query_is_given_up(self, query):
        """A query whose work multiplies ends by the budget."""
        deep = []
        for _ in range(28):
            deep = [deep, 1, 2, 3]
        texts = ["a" * 2000 + "b"] * 50
        document = {**WIDE, "z": copy.deepcopy(WIDE["x"]), "pattern": "(a+)+$", "texts": texts, "deep": deep}
        with pytest.raises(WorkExceededError):
            parse_query(query, path="$").first(document, Budget())

    def test_long_names_cost_more(self):
        """A path of long names is charged for its text, so that memory is bounded with the steps."""
        document = []
        for _ in range(20):
            document = {"n" * 5000: document, "m": list(range(400))}
        with pytest.raises(WorkExceededError):
            parse_query("$..no", path="$").first(document, Budget())

    @settings(max_examples=300, deadline=None)
    @given(st.text(alphabet="$@.[]*?()'\"ab01:,!&|=<>- ", max_size=40))
    def test_any_text_is_a_query_or_refused(self, text):
        """Whatever text comes as path, it is a query that ends or an ExchangeError."""
        with contextlib.suppress(ExchangeError, WorkExceededError):
            parse_query(f"${text}", path="$").first(STORE, Budget())
