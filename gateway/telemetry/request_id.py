"""The request id: one short name that the client, its log and ours use for the same call."""

import random
import re
from collections.abc import Iterable
from contextvars import ContextVar

HEADER = "x-request-id"

_WELL_FORMED = re.compile(r"[A-Za-z0-9._-]{1,64}")

current_request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the call under way on this task; empty outside a call."""


def generate() -> str:
    """A new id: 16 hexadecimal digits. Unique enough for a log, no secret."""
    return f"{random.getrandbits(64):016x}"


def from_metadata(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """The first well-formed id that the client sent (1 to 64 of ``A-Z a-z 0-9 . _ -``), else a new one."""
    for key, value in metadata:
        if key == HEADER and isinstance(value, str) and _WELL_FORMED.fullmatch(value):
            return value
    return generate()
