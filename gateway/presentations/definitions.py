"""Presentation definitions as callers send them: read strictly, refused in words, and kept for a while."""

from functools import lru_cache
from typing import Any, Final

from gateway.errors import Reason, RequestError
from gateway.presentations.exchange import (
    ExchangeError,
    PresentationDefinition,
    parse_definition,
    read_json,
)

CACHED: Final = 64
"""Definitions kept; each is at most 64 KB of JSON."""


def definition_of(text: str) -> PresentationDefinition:
    """The definition that *text* is. Raises `RequestError` INVALID_PRESENTATION_DEFINITION."""
    try:
        return _cached(text)
    except ExchangeError as error:
        raise RequestError(
            Reason.INVALID_PRESENTATION_DEFINITION,
            f"The presentation definition is refused: {error.message}.",
            field="presentation_definition",
            metadata={"fault": error.code.value, "path": error.path},
        ) from error


def document_of(text: str) -> dict[str, Any]:
    """The JSON of a definition that `definition_of` accepts."""
    return read_json(text.encode())


@lru_cache(maxsize=CACHED)
def _cached(text: str) -> PresentationDefinition:
    return parse_definition(read_json(text.encode()))
