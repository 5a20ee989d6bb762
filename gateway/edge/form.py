"""Form bodies, read strictly: every parameter once, in UTF-8, and bounded."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from gateway.edge.oauth_errors import HttpError
from gateway.errors import Reason, RequestError

MEDIA_TYPE: Final = "application/x-www-form-urlencoded"
MAX_PARAMETERS: Final = 128
REPEATABLE: Final = frozenset({"resource", "audience"})
"""RFC 8707 §2 and RFC 8693 §2.1; all others appear once (RFC 6749 §3.2)."""

_STRAY_PERCENT: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Form:
    """The parameters of a request. One without a value counts as left out (RFC 6749 §3.2)."""

    values: Mapping[str, Sequence[str]]

    def get(self, name: str) -> str | None:
        """The value of *name*, None where it was not sent."""
        values = self.values.get(name)
        return values[0] if values else None

    def require(self, name: str) -> str:
        """The value of *name*. Raises `RequestError` MISSING_FIELD."""
        value = self.get(name)
        if value is None:
            raise RequestError(Reason.MISSING_FIELD, f"Send {name}.", field=name)
        return value

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a repeatable parameter, in order."""
        return tuple(self.values.get(name, ()))

    @classmethod
    def parse(cls, body: bytes) -> "Form":
        """Read a body of `MEDIA_TYPE`. Raises `RequestError` INVALID_REQUEST."""
        values: dict[str, list[str]] = {}
        pairs = body.split(b"&") if body else []
        if len(pairs) > MAX_PARAMETERS:
            raise _invalid(f"At most {MAX_PARAMETERS} parameters.", "too_many_parameters")
        for pair in pairs:
            if not pair:
                continue
            name, _, value = pair.partition(b"=")
            decoded, text = form_decoded(name), form_decoded(value)
            present = values.get(decoded)
            if present is None:
                values[decoded] = [text] if text else []
            elif decoded not in REPEATABLE:
                raise _invalid("A parameter is sent more than once.", "parameter_repeated")
            elif text:
                present.append(text)
        return cls(values)


def form_decoded(encoded: bytes) -> str:
    """One name or value: plus for space, percent-encoded UTF-8. Raises `RequestError` INVALID_REQUEST."""
    octets = encoded.replace(b"+", b" ")
    if b"%" in octets:
        if _STRAY_PERCENT.search(octets):
            raise _invalid("A percent sign encodes nothing.", "stray_percent")
        octets = unquote_to_bytes(octets)
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _invalid("A parameter is not UTF-8.", "not_utf8") from error


def require_form(content_types: Sequence[str], encodings: Sequence[str]) -> None:
    """The body is a form, and travels as it is. Raises `HttpError` 415."""
    if not encodings and [*content_types] == [MEDIA_TYPE]:
        return  # As nearly everybody writes it.
    if any(encoding.strip().lower() != "identity" for encoding in encodings):
        raise HttpError(415, "Send the body without a content encoding.", cause="content_encoding")
    if len(content_types) == 1:
        media_type, _, parameter = content_types[0].partition(";")
        charset = parameter.strip().lower().replace('"', "")
        if media_type.strip().lower() == MEDIA_TYPE and charset in {"", "charset=utf-8"}:
            return
    raise HttpError(
        415,
        f"Send one content-type header: {MEDIA_TYPE}.",
        headers={"accept": MEDIA_TYPE},
        cause="media_type",
    )


def _invalid(message: str, cause: str) -> RequestError:
    return RequestError(Reason.INVALID_REQUEST, message, cause=cause)
