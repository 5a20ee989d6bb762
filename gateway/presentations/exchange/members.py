"""Reading the members of one JSON object, each of its type and within its bound, or refused by a code."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

from gateway.presentations.exchange.errors import ExchangeError, ExchangeFault

MAX_TEXT: Final = 2048  # characters
MAX_ID: Final = 256  # characters

Choice = TypeVar("Choice", bound=StrEnum)


class Members:
    """The members of the object *value*, which stands at *path*.

    With *known*, a member by any other name is refused: what its author wrote must not be ignored. Raises
    `ExchangeError`: `INVALID_MEMBER`, `MISSING_MEMBER`, `UNKNOWN_MEMBER`, `TOO_MANY_ITEMS`.
    """

    def __init__(self, value: Any, path: str, known: frozenset[str] | None = None) -> None:
        if not isinstance(value, Mapping):
            raise ExchangeError(ExchangeFault.INVALID_MEMBER, "an object is expected", path=path)
        self._members = value
        self.path = path
        if known is not None and not known.issuperset(value):
            raise ExchangeError(ExchangeFault.UNKNOWN_MEMBER, "a member is not known here", path=path)

    def __contains__(self, name: str) -> bool:
        return name in self._members

    def at(self, name: str) -> str:
        """The path of member *name*."""
        return f"{self.path}.{name}"

    def value(self, name: str) -> Any:
        """Member *name*, whatever it is; it must be there."""
        if name not in self._members:
            raise ExchangeError(ExchangeFault.MISSING_MEMBER, f"{name} is missing", path=self.path)
        return self._members[name]

    def text(self, name: str, *, max_length: int = MAX_ID) -> str:
        """A string of 1 to *max_length* characters."""
        return self._text(self.value(name), self.at(name), max_length)

    def optional_text(self, name: str, *, max_length: int = MAX_TEXT) -> str | None:
        """A string of up to *max_length* characters, or None where absent."""
        if name not in self._members:
            return None
        value = self._members[name]
        return "" if value == "" else self._text(value, self.at(name), max_length)

    def boolean(self, name: str) -> bool:
        """A boolean, False where absent."""
        value = self._members.get(name, False)
        if not isinstance(value, bool):
            raise self.invalid(name, "a boolean is expected")
        return value

    def optional_number(self, name: str, *, minimum: int) -> int | None:
        """An integer of at least *minimum*, or None where absent."""
        if name not in self._members:
            return None
        value = self._members[name]
        if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
            raise self.invalid(name, f"an integer of at least {minimum} is expected")
        return value

    def choice(self, name: str, choices: type[Choice]) -> Choice:
        """One of *choices*."""
        value = self.value(name)
        try:
            return choices(value)
        except ValueError as error:
            raise self.invalid(name, f"one of {', '.join(choices)} is expected") from error

    def optional_choice(self, name: str, choices: type[Choice]) -> Choice | None:
        """One of *choices*, or None where absent."""
        return self.choice(name, choices) if name in self._members else None

    def items(self, name: str, *, max_items: int) -> Sequence[tuple[Any, str]]:
        """An array of 1 to *max_items* items, each with its path."""
        value = self.value(name)
        if not isinstance(value, list) or not value:
            raise self.invalid(name, "an array of at least one item is expected")
        if len(value) > max_items:
            message = f"more than {max_items} items"
            raise ExchangeError(ExchangeFault.TOO_MANY_ITEMS, message, path=self.at(name))
        return [(item, f"{self.at(name)}[{index}]") for index, item in enumerate(value)]

    def texts(self, name: str, *, max_items: int, max_length: int = MAX_ID) -> tuple[str, ...]:
        """An array of 1 to *max_items* strings."""
        return tuple(
            self._text(item, path, max_length) for item, path in self.items(name, max_items=max_items)
        )

    def invalid(self, name: str, message: str) -> ExchangeError:
        """The refusal of member *name*."""
        return ExchangeError(ExchangeFault.INVALID_MEMBER, message, path=self.at(name))

    def _text(self, value: object, path: str, max_length: int) -> str:
        if not isinstance(value, str) or not 1 <= len(value) <= max_length:
            message = f"a string of 1 to {max_length} characters is expected"
            raise ExchangeError(ExchangeFault.INVALID_MEMBER, message, path=path)
        return value
