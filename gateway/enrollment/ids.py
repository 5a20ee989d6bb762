"""Identifiers and tokens of enrollment: 32 letters and digits, more than 128 random bits."""

import secrets
import string
from typing import Final

_ALPHABET: Final = (string.digits + string.ascii_letters).encode()
_SIZE: Final = 32
_USABLE: Final = 256 // len(_ALPHABET) * len(_ALPHABET)
_TABLE: Final = bytes(_ALPHABET[octet % len(_ALPHABET)] for octet in range(256))
_DROPPED: Final = bytes(range(_USABLE, 256))
"""Octets that would make the first letters more likely than the others."""
_DRAWN: Final = 48


def new_id() -> str:
    """A fresh one. As base64url it decodes to 24 octets, which some clients insist on."""
    while True:
        # One draw for all characters: each costs a system call.
        characters = secrets.token_bytes(_DRAWN).translate(_TABLE, _DROPPED)
        if len(characters) >= _SIZE:
            return characters[:_SIZE].decode("ascii")
