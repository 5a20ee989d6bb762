"""What a request line asks for (RFC 9112 §3.2): path and query."""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

import httptools

_PLAIN: Final = re.compile(rb"/[A-Za-z0-9._~/-]{0,127}")
_MAX_PLAIN: Final = 256


def request_target(url: bytes) -> tuple[str, str, bytes]:
    """The path of a target as it was sent, the same percent-decoded, and the query.

    Raises `ValueError` or `httptools.HttpParserError` for what is no target.
    """
    return _plain_target(url) if _PLAIN.fullmatch(url) else _parsed(url)


@lru_cache(maxsize=_MAX_PLAIN)
def _plain_target(url: bytes) -> tuple[str, str, bytes]:
    """As `_parsed`, for a path that stands for itself. Remembered: most requests have one of a few."""
    path = url.decode("ascii")
    return path, path, b""


def _parsed(url: bytes) -> tuple[str, str, bytes]:
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    return path, unquote(path) if "%" in path else path, parsed.query or b""
