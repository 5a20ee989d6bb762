"""Values that mean something to the gateway only: 256 random bits behind a prefix that names their kind.

The database keeps a hash. A fast one is sound, and needs no key, because nobody chose the value: to guess one
from its hash is to guess 256 bits.
"""

import hashlib
import re
import secrets
from enum import StrEnum
from typing import Final

_RANDOM: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_RANDOM_BYTES: Final = 32


class OpaqueKind(StrEnum):
    """What a value is; the value of the member is its prefix. No prefix begins with another."""

    ACCESS_TOKEN = "cs_at_"
    REFRESH_TOKEN = "cs_rt_"
    AUTHORIZATION_CODE = "cs_ac_"
    REQUEST_URI = "urn:ietf:params:oauth:request_uri:"


def new_value(kind: OpaqueKind) -> str:
    """A fresh value of *kind*."""
    return kind.value + secrets.token_urlsafe(_RANDOM_BYTES)


def is_kind(kind: OpaqueKind, value: str) -> bool:
    """Whether *value* claims to be of *kind*."""
    return value.startswith(kind.value)


def digest_of(kind: OpaqueKind, value: str) -> bytes | None:
    """What the database keeps of *value*, 32 bytes; None where no value of *kind* looks so."""
    if not is_kind(kind, value) or not _RANDOM.fullmatch(value, len(kind.value)):
        return None
    return hashlib.sha256(value.encode("ascii")).digest()


def digest_of_new(value: str) -> bytes:
    """As `digest_of`, for what `new_value` made."""
    return hashlib.sha256(value.encode("ascii")).digest()
