"""What may stand in a log line.

Fields are let through by name, so that whatever is added to a log call later is hidden until somebody lists
it here. Texts are scrubbed besides: the messages of other people's exceptions may quote what they were given.
"""

import re
from typing import Final, TypeAlias

FIELDS: Final = frozenset(
    {
        "algorithm",
        "caller",
        "cause",
        "certificate_x5t_s256",
        "checkpoint",
        "client_id",
        "count",
        "duration_ms",
        "exit_code",
        "issuer_key_id",
        "key",
        "key_id",
        "key_name",
        "pid",
        "port",
        "probe",
        "purpose",
        "reason",
        "sequence_number",
        "signal",
        "signature",
        "state",
        "stuck_threads",
        "worker",
    }
)
"""Names of ``extra`` fields that are written."""

MAX_FIELD: Final = 1024
MAX_TEXT: Final = 16 * 1024
"""Characters; what is longer is cut."""

Scalar: TypeAlias = str | int | float | bool | None

_SECRETS: Final = (
    # A compact JWS or JWE: its header is base64url of a JSON object.
    (re.compile(r"eyJ[A-Za-z0-9_-]{5,}(?:\.[A-Za-z0-9_-]*){1,4}"), "<redacted token>"),
    # What is handed out and is no JWT: opaque tokens, refresh tokens, codes.
    (re.compile(r"\bcs_[a-z]{2,4}_[A-Za-z0-9_-]{16,}"), "<redacted token>"),
    (re.compile(r"(?i)\b(bearer|dpop|basic)\s+[A-Za-z0-9._~+/=-]{8,}"), r"\1 <redacted>"),
    (
        re.compile(r"(?i)\b(pin-value|pin|passphrase|password|secret|client_secret)=[^\s&;,'\"]+"),
        r"\1=<redacted>",
    ),
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
        ),
        "<redacted private key>",
    ),
    (re.compile(r"(?<=://)[^/\s@]+(?=@)"), "<redacted>"),
)


def scrub(text: str, limit: int = MAX_TEXT) -> str:
    """*text*, cut at *limit* characters, without tokens, private keys, PINs, passwords, user information."""
    cut = text if len(text) <= limit else f"{text[:limit]}…"
    for pattern, replacement in _SECRETS:
        cut = pattern.sub(replacement, cut)
    return cut


def field(value: object) -> Scalar:
    """The value of a listed field as it is written: a number, or a scrubbed text; else only its type."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return scrub(str(value), MAX_FIELD)
    return f"<{type(value).__name__}>"
