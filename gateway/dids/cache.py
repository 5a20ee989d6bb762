"""Resolutions kept for a while: least recently used first out, bounded in entries and in octets."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Generic, TypeVar

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Value]):
    value: Value
    stored: float
    expires: float
    size: int


class BoundedCache(Generic[Value]):
    """At most *max_entries* values of at most *max_size* octets together. Times are seconds of one clock."""

    def __init__(self, *, max_entries: int, max_size: int) -> None:
        self._max_entries = max_entries
        self._max_size = max_size
        self._entries: OrderedDict[str, _Entry[Value]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def size(self) -> int:
        """Octets held, as their owners counted them."""
        return self._size

    def get(self, key: str, now: float) -> Value | None:
        """The value of *key*, if it is still to be used at *now*."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        # A clock that was set back must not make a value live for longer than its lifetime.
        if not entry.stored <= now < entry.expires:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        return entry.value

    def put(self, key: str, value: Value, *, now: float, lifetime: float, size: int) -> None:
        """Keep *value* for *lifetime* seconds from *now*; one larger than the whole cache is not kept."""
        self._drop(key)
        if lifetime <= 0 or size > self._max_size:
            return
        self._entries[key] = _Entry(value, now, now + lifetime, size)
        self._size += size
        while len(self._entries) > self._max_entries or self._size > self._max_size:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry.size
