"""One call, before it is made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

Result = TypeVar("Result")

Service = Literal["tokens", "introspection", "keys", "clients"]


@dataclass(frozen=True, slots=True)
class Operation(Generic[Result]):
    """An RPC with its arguments.

    - `service`, `method`: which stub, and which of its methods.
    - `request`: builds the request; called for every attempt, as an assertion is good for one only.
    - `result`: what the caller gets from the response.
    - `repeatable`: whether a second attempt does no harm where the first one took effect.
    """

    service: Service
    method: str
    request: Callable[[], Any]
    result: Callable[[Any], Result]
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Page(Generic[Result]):
    """One page of a list, and the token of the next; empty on the last one."""

    items: tuple[Result, ...]
    next_page_token: str
