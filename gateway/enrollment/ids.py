"""Identifiers and tokens of enrollment: 32 letters and digits, more than 128 random bits."""

import secrets
import string
from typing import Final

_ALPHABET: Final = string.digits + string.ascii_letters
_SIZE: Final = 32
_COUNT: Final = len(_ALPHABET) ** _SIZE


def new_id() -> str:
    """A fresh one. As base64url it decodes to 24 octets, which some clients insist on."""
    number = secrets.randbelow(_COUNT)  # One draw; one for each character costs a system call each.
    characters = []
    for _ in range(_SIZE):
        number, digit = divmod(number, len(_ALPHABET))
        characters.append(_ALPHABET[digit])
    return "".join(characters)
