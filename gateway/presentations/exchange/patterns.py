"""Regular expressions in time linear in the text: RE2 instead of a backtracking engine.

Patterns are those of JSON Schema (ECMA-262) as far as RE2 has them. Look-around and back references need
backtracking and are refused when a definition is read, not when a wallet answers.
"""

from functools import lru_cache
from typing import Any, Final, Protocol, cast

import re2  # type: ignore[import-untyped]  # google-re2 comes without types.

from gateway.presentations.exchange.errors import ExchangeError, ExchangeFault, WorkExceededError
from gateway.presentations.exchange.work import Budget

MAX_PATTERN: Final = 1024  # characters
MAX_SUBJECT: Final = 4096  # characters of a text that a pattern is applied to

COMPILED_ENTRIES: Final = 256

_BASE_STEPS: Final = 64
_STEPS_PER_CHARACTER: Final = 4


class CompiledPattern(Protocol):
    """What is used of RE2's compiled pattern."""

    def search(self, text: str) -> object | None:
        """A match anywhere in *text*, or None."""

    def fullmatch(self, text: str) -> object | None:
        """A match of the whole of *text*, or None."""


def _options() -> Any:
    options = re2.Options()
    # Bounds the compiled program: what a search may cost for each character of its text.
    options.max_mem = 64 * 1024
    options.log_errors = False
    return options


_OPTIONS: Final = _options()


def compile_pattern(pattern: str, *, path: str) -> CompiledPattern:
    """*pattern*, compiled. Raises `ExchangeError` with `PATTERN_UNSUPPORTED`."""
    if len(pattern) > MAX_PATTERN:
        message = f"the pattern exceeds {MAX_PATTERN} characters"
        raise ExchangeError(ExchangeFault.PATTERN_UNSUPPORTED, message, path=path)
    try:
        return _compiled(pattern)
    except (re2.error, UnicodeEncodeError) as error:
        message = "the pattern is no regular expression that RE2 knows"
        raise ExchangeError(ExchangeFault.PATTERN_UNSUPPORTED, message, path=path) from error


@lru_cache(maxsize=COMPILED_ENTRIES)
def _compiled(pattern: str) -> CompiledPattern:
    return cast("CompiledPattern", re2.compile(pattern, _OPTIONS))


def charge_search(text: str, budget: Budget) -> None:
    """Charge one search in *text* to *budget*. Raises `WorkExceededError`, also for too long a text."""
    if len(text) > MAX_SUBJECT:
        raise WorkExceededError(f"a pattern is not applied to more than {MAX_SUBJECT} characters")
    budget.charge(_BASE_STEPS + _STEPS_PER_CHARACTER * len(text))
