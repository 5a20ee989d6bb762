"""Identifiers and tokens of enrollment: 32 letters and digits, more than 128 random bits."""

import secrets
import string
from typing import Final

_ALPHABET: Final = string.ascii_letters + string.digits
_SIZE: Final = 32


def new_id() -> str:
    """A fresh one. As base64url it decodes to 24 octets, which some clients insist on."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_SIZE))
