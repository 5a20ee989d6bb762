"""Bounds: how many steps an evaluation may take, and how large a document may be.

Paths and filters come from whoever may create a request, credentials from whoever may answer it. Each step
that either of them can cause is charged to one budget, so that no combination of the two is expensive.
"""

from typing import Any, Final

from gateway.presentations.exchange.errors import ExchangeError, ExchangeFault, WorkExceededError

MAX_DEPTH: Final = 32  # levels of objects and arrays
MAX_NODES: Final = 10_000  # values of one document, at all levels together
MAX_INTEGER_BITS: Final = 1024  # more than any double has
MAX_STEPS: Final = 100_000  # of one evaluation: well below a second, whatever the steps are


class Budget:
    """How many more steps an evaluation may take. One step is about a visit to one JSON value."""

    __slots__ = ("remaining",)

    def __init__(self, steps: int = MAX_STEPS) -> None:
        self.remaining = steps

    def charge(self, steps: int) -> None:
        """Take *steps* off. Raises `WorkExceededError` where they are not left, then and ever after."""
        self.remaining -= steps
        if self.remaining < 0:
            raise WorkExceededError("the evaluation takes too many steps")


def require_bounded(document: Any, *, max_nodes: int = MAX_NODES, max_depth: int = MAX_DEPTH) -> None:
    """*document* is JSON of at most *max_nodes* values nested at most *max_depth* levels deep.

    Looks at no more than that, without recursion. Raises `ExchangeError`: `TOO_LARGE`, `TOO_DEEP`, or
    `INVALID_JSON` for a value that JSON cannot carry.
    """
    level, seen = [document], 0
    for _ in range(max_depth + 1):
        seen += len(level)
        if seen > max_nodes:
            raise ExchangeError(ExchangeFault.TOO_LARGE, f"more than {max_nodes} values")
        children: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                _require_names(value)
                children.extend(value.values())
            elif isinstance(value, list):
                children.extend(value)
            elif not isinstance(value, str) or not value.isascii():
                _require_scalar(value)
            if seen + len(children) > max_nodes:
                raise ExchangeError(ExchangeFault.TOO_LARGE, f"more than {max_nodes} values")
        if not children:
            return
        level = children
    raise ExchangeError(ExchangeFault.TOO_DEEP, f"more than {max_depth} levels")


def _require_names(members: dict[Any, Any]) -> None:
    for name in members:
        if not isinstance(name, str):
            raise ExchangeError(ExchangeFault.INVALID_JSON, "a member name is not a string")
        if not name.isascii():
            _require_scalar(name)


def _require_scalar(value: object) -> None:
    if isinstance(value, str):
        try:
            value.encode("utf-8")
        except UnicodeEncodeError as error:
            raise ExchangeError(ExchangeFault.INVALID_JSON, "a string is not Unicode text") from error
    elif isinstance(value, float):
        if value - value != 0.0:
            raise ExchangeError(ExchangeFault.INVALID_JSON, "a number is not finite")
    elif isinstance(value, int):
        # A number of thousands of digits is slow to print, to compare and to divide.
        if value.bit_length() > MAX_INTEGER_BITS:
            raise ExchangeError(ExchangeFault.TOO_LARGE, "a number is too large")
    elif value is not None:
        raise ExchangeError(ExchangeFault.INVALID_JSON, "a value has no JSON type")
