"""The call under way on this task, for whatever serves it."""

from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any, Final, TypeAlias, TypeVar

from gateway.principal import Call, call_under_way

Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]

PARSE: Final = "parse_request"
COUNT: Final = "count_request"
"""The attributes that `parsed_by` and `counted_by` leave."""

_Behavior = TypeVar("_Behavior", bound=Callable[..., Any])
current_metadata: Final[ContextVar[Metadata]] = ContextVar("metadata")
"""What the client sent beside the message; asking grpc for it again converts it again."""


def current_call() -> Call:
    """The `Call` under way on this task: who calls, with which certificate. Outside one, `LookupError`."""
    return call_under_way.get()


def parsed_by(parse: Callable[[bytes], Any]) -> Callable[[_Behavior], _Behavior]:
    """Marks a unary method of a servicer that takes what *parse* makes of the message's octets, and not the
    message.
    """

    def mark(behavior: _Behavior) -> _Behavior:
        setattr(behavior, PARSE, parse)
        return behavior

    return mark


def counted_by(count: Callable[[Any], int]) -> Callable[[_Behavior], _Behavior]:
    """Marks a unary method that counts, where its callers are limited, as *count* of its parsed request."""

    def mark(behavior: _Behavior) -> _Behavior:
        setattr(behavior, COUNT, count)
        return behavior

    return mark
