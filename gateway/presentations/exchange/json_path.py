"""JSONPath (RFC 9535), strictly, with every step charged to a budget.

The queries are those of python-jsonpath in strict mode. What is added: visits, comparisons and searches count
against a `Budget`, ``match`` and ``search`` run on RE2, and a query is bounded in length. The Goessner script
expression ``[(@.length-1)]`` is no RFC 9535 and is refused. One spelling outside the RFC is understood,
because definitions in use have it: ``.@context`` stands for ``['@context']``.
"""

import re
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, TypeAlias

from jsonpath import JSONPathEnvironment, JSONPathError
from jsonpath.function_extensions import ExpressionType, FilterFunction
from jsonpath.match import JSONPathMatch, NodeList
from jsonpath.parse import Parser
from jsonpath.path import JSONPath
from jsonpath.segments import (
    JSONPathChildSegment,
    JSONPathRecursiveDescentSegment,
    JSONPathSegment,
)
from jsonpath.selectors import IndexSelector, NameSelector
from jsonpath.stream import TokenStream

from gateway.presentations.exchange.errors import ExchangeError, ExchangeFault, WorkExceededError
from gateway.presentations.exchange.patterns import CompiledPattern, charge_search, compile_pattern
from gateway.presentations.exchange.work import MAX_DEPTH, Budget

Location: TypeAlias = tuple[str | int, ...]
"""Where a value is: member names and array indices from the root."""

MAX_PATH: Final = 1024  # characters of a query
COMPILED_ENTRIES: Final = 512

_PATH_CHARACTERS_PER_STEP: Final = 64
_CONTEXT_MEMBER: Final = re.compile(r"\.@context(?![A-Za-z0-9_])")
# The library gives its hooks no place for an argument, so the budget of the running query travels beside it.
_budget: ContextVar[Budget] = ContextVar("jsonpath_budget")


@dataclass(frozen=True, slots=True)
class Node:
    """One value that a query selected, and where."""

    location: Location
    value: Any


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed query; `text` is as written.

    `singular`: made of names and indices only (RFC 9535 §2.3.5.1), so that it selects one node or none.
    """

    text: str
    singular: bool
    _compiled: JSONPath = field(repr=False, compare=False)
    _steps: Location = field(default=(), repr=False, compare=False)

    def first(self, document: Any, budget: Budget) -> Node | None:
        """The first node that the query selects in *document*, or None. Raises `WorkExceededError`."""
        if self.singular:
            return self._walk(document, budget)
        if not isinstance(document, dict | list):
            # The library would parse a text as JSON; a scalar has no children, only itself.
            return Node((), document) if self._compiled.empty() else None
        token = _budget.set(budget)
        try:
            match = next(iter(self._compiled.finditer(document)), None)
        except JSONPathError as error:
            # It was a query when it was read; that it fails on this document is no answer.
            raise WorkExceededError("a query cannot be evaluated") from error
        finally:
            _budget.reset(token)
        return Node(tuple(match.parts), match.obj) if match is not None else None

    def _walk(self, document: Any, budget: Budget) -> Node | None:
        """Names and indices need no interpreter: one step each (RFC 9535 §2.3.1 and §2.3.3)."""
        budget.charge(1 + len(self._steps))
        value, location = document, list[str | int]()
        for step in self._steps:
            if isinstance(step, str):
                if not isinstance(value, dict) or step not in value:
                    return None
                location.append(step)
                value = value[step]
            else:
                index = step + len(value) if step < 0 and isinstance(value, list) else step
                if not isinstance(value, list) or not 0 <= index < len(value):
                    return None
                location.append(index)
                value = value[index]
        return Node(tuple(location), value)


def parse_query(text: str, *, path: str) -> Query:
    """The query that *text* spells. *path* is where it stands. Raises `ExchangeError` with `PATH_INVALID`."""
    if len(text) > MAX_PATH:
        raise ExchangeError(ExchangeFault.PATH_INVALID, f"the query exceeds {MAX_PATH} characters", path=path)
    try:
        return _compiled_query(text)
    except (JSONPathError, RecursionError, ValueError) as error:
        message = "the text is no JSONPath query of RFC 9535"
        raise ExchangeError(ExchangeFault.PATH_INVALID, message, path=path) from error


@lru_cache(maxsize=COMPILED_ENTRIES)
def _compiled_query(text: str) -> Query:
    compiled = _ENVIRONMENT.compile(_CONTEXT_MEMBER.sub("['@context']", text))
    if not isinstance(compiled, JSONPath):
        raise ValueError("a compound query is outside RFC 9535")  # noqa: TRY004 - the text is wrong, not a type.
    singular = compiled.singular_query()
    return Query(text, singular, compiled, _steps_of(compiled) if singular else ())


def _steps_of(compiled: JSONPath) -> Location:
    """The names and indices of a singular query."""
    steps: list[str | int] = []
    for segment in compiled.segments:
        (selector,) = segment.selectors
        if isinstance(selector, NameSelector):
            steps.append(selector.name)
        elif isinstance(selector, IndexSelector):
            steps.append(selector.index)
        else:
            raise ValueError("a singular query is made of names and indices")  # noqa: TRY004 - not a type.
    return tuple(steps)


class _ChargedChild(JSONPathChildSegment):
    __slots__ = ()

    def resolve(self, nodes: Iterable[JSONPathMatch]) -> Iterable[JSONPathMatch]:
        for node in nodes:
            _charge_visit(node, len(self.selectors))
            yield from super().resolve((node,))


class _ChargedDescent(JSONPathRecursiveDescentSegment):
    __slots__ = ()

    def _visit(self, node: JSONPathMatch, depth: int = 1) -> Iterable[JSONPathMatch]:
        _charge_visit(node, len(self.selectors))
        yield from super()._visit(node, depth)


def _charge_visit(node: JSONPathMatch, selectors: int) -> None:
    width = len(node.obj) if isinstance(node.obj, dict | list) else 0
    # The library writes the path of every child out in full, so a long path makes each child dearer.
    cost = 1 + len(node.path) // _PATH_CHARACTERS_PER_STEP
    _budget.get().charge(cost * selectors * (1 + width))


class _ChargedParser(Parser):
    def parse_query(self, stream: TokenStream) -> Iterable[JSONPathSegment]:
        for segment in super().parse_query(stream):
            kind = _ChargedDescent if isinstance(segment, JSONPathRecursiveDescentSegment) else _ChargedChild
            yield kind(env=segment.env, token=segment.token, selectors=segment.selectors)


class _Pattern(FilterFunction):
    """``match`` (RFC 9535 §2.4.6) and ``search`` (§2.4.7), on RE2; a pattern it cannot run is no match."""

    arg_types = [ExpressionType.VALUE, ExpressionType.VALUE]  # noqa: RUF012 - the library's own declaration.
    return_type = ExpressionType.LOGICAL

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole

    def __call__(self, text: object, pattern: object) -> bool:
        if not isinstance(text, str) or not isinstance(pattern, str):
            return False
        budget = _budget.get()
        budget.charge(_PATTERN_STEPS)
        charge_search(text, budget)
        compiled = _i_regexp(pattern)
        if compiled is None:
            return False
        return (compiled.fullmatch(text) if self._whole else compiled.search(text)) is not None


_PATTERN_STEPS: Final = 256  # A pattern may come from the credential and be new at every node.


@lru_cache(maxsize=COMPILED_ENTRIES)
def _i_regexp(pattern: str) -> CompiledPattern | None:
    """An I-Regexp (RFC 9485) in RE2: they differ in what a dot outside brackets means (§5.3)."""
    try:
        return compile_pattern(_with_explicit_dots(pattern), path="$")
    except ExchangeError:
        return None


def _with_explicit_dots(pattern: str) -> str:
    parts, escaped, in_class = [], False, False
    for character in pattern:
        if escaped or character not in ".[]\\":
            parts.append(character)
            escaped = False
            continue
        parts.append(r"[^\n\r]" if character == "." and not in_class else character)
        escaped = character == "\\"
        in_class = character == "[" or (in_class and character != "]")
    return "".join(parts)


class _Environment(JSONPathEnvironment):
    parser_class = _ChargedParser
    max_recursion_depth = 2 * MAX_DEPTH

    def setup_function_extensions(self) -> None:
        super().setup_function_extensions()
        self.function_extensions["match"] = _Pattern(whole=True)
        self.function_extensions["search"] = _Pattern(whole=False)

    def compare(self, left: object, operator: str, right: object) -> bool:
        if operator not in ("&&", "||"):
            _budget.get().charge(1 + _size(left) + _size(right))
        return super().compare(left, operator, right)


def _size(operand: object) -> int:
    """About how many values a comparison of *operand* may look at."""
    stack: list[Any] = [each.obj for each in operand] if isinstance(operand, NodeList) else [operand]
    size = 0
    while stack:
        value = stack.pop()
        if isinstance(value, dict | list):
            size += len(value)
            stack.extend(value.values() if isinstance(value, dict) else value)
    return size


_ENVIRONMENT: Final = _Environment(strict=True)
