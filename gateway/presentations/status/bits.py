"""Packed statuses of 1, 2, 4 or 8 bits, in the bit order of each kind of list.

    W3C lists           index 0 is the left-most bit: the most significant one of the first octet
    Token Status List   index 0 is in the least significant bits of the first octet (§4.1)

Entries of 1, 2, 4 or 8 bits never straddle an octet.
"""

from enum import StrEnum
from typing import Final

SIZES: Final = frozenset({1, 2, 4, 8})
_OCTET: Final = 8


class BitOrder(StrEnum):
    """Where in an octet the first entry is."""

    MOST_SIGNIFICANT_FIRST = "most_significant_first"
    LEAST_SIGNIFICANT_FIRST = "least_significant_first"


def capacity(packed: bytes | bytearray, size: int) -> int:
    """How many entries of *size* bits *packed* has."""
    return len(packed) * _OCTET // size


def read(packed: bytes | bytearray, index: int, size: int, order: BitOrder) -> int:
    """The entry at *index*, from 0. Raises `IndexError` outside of *packed*, also below 0."""
    octet, shift = _place(packed, index, size, order)
    return (packed[octet] >> shift) & ((1 << size) - 1)


def write(packed: bytearray, index: int, value: int, size: int, order: BitOrder) -> None:
    """Set the entry at *index* to *value*.

    Raises `IndexError` as `read`, and `ValueError` for a value that does not fit.
    """
    if not 0 <= value < 1 << size:
        raise ValueError(f"the value does not fit into {size} bits")
    octet, shift = _place(packed, index, size, order)
    mask = ((1 << size) - 1) << shift
    packed[octet] = (packed[octet] & ~mask) | (value << shift)


def _place(packed: bytes | bytearray, index: int, size: int, order: BitOrder) -> tuple[int, int]:
    """The octet of the entry at *index*, and how far to shift it right."""
    if not 0 <= index < capacity(packed, size):
        raise IndexError("the index is outside of the list")
    octet, offset = divmod(index * size, _OCTET)
    return octet, offset if order is BitOrder.LEAST_SIGNIFICANT_FIRST else _OCTET - size - offset
