"""The errors of Cloud KMS as ours.

SOURCE: AIP-193 and google.rpc.Code for the form and the codes; Cloud KMS documentation, "Troubleshooting" and
"Quotas" for what they mean here.
"""

import json
import re

from signers.errors import (
    AccessDeniedError,
    KeyAmbiguousError,
    KeyNotFoundError,
    KeyUnusableError,
    SignerError,
    SignerThrottledError,
    SignerUnavailableError,
)
from signers.remote.http import HttpReply

_SERVER_ERROR = 500
_FAULTS: dict[str, type[SignerError]] = {
    "ABORTED": SignerUnavailableError,
    "ALREADY_EXISTS": KeyAmbiguousError,
    "CANCELLED": SignerUnavailableError,
    "DEADLINE_EXCEEDED": SignerUnavailableError,
    "FAILED_PRECONDITION": KeyUnusableError,
    "INTERNAL": SignerUnavailableError,
    "INVALID_ARGUMENT": KeyUnusableError,
    "NOT_FOUND": KeyNotFoundError,
    "PERMISSION_DENIED": AccessDeniedError,
    "UNAUTHENTICATED": AccessDeniedError,
    "UNAVAILABLE": SignerUnavailableError,
    "UNKNOWN": SignerUnavailableError,
}
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)s\Z")


def fault_of(reply: HttpReply, key: str) -> SignerError:
    """The error that *reply* is; *key* is the redacted name."""
    error = _error(reply)
    status, message = str(error.get("status") or ""), str(error.get("message") or "")[:300]
    text = f"Cloud KMS answered {status or reply.status}: {message}"
    if status == "RESOURCE_EXHAUSTED" or reply.status == 429:  # noqa: PLR2004  # RFC 6585 §4.
        return SignerThrottledError(text, key=key, retry_after=_retry_delay(error))
    if status == "INVALID_ARGUMENT" and "crc32c" in message.lower():
        # What was sent arrived damaged; the documentation asks for a few retries.
        return SignerUnavailableError(text, key=key)
    fallback = SignerUnavailableError if reply.status >= _SERVER_ERROR else KeyUnusableError
    return _FAULTS.get(status, fallback)(text, key=key)


def _error(reply: HttpReply) -> dict[str, object]:
    try:
        body = json.loads(reply.body)
    except ValueError:
        return {}
    error = body.get("error") if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def _retry_delay(error: dict[str, object]) -> float | None:
    details = error.get("details")
    for detail in details if isinstance(details, list) else ():
        if isinstance(detail, dict) and detail.get("@type") == _RETRY_INFO:
            found = _DURATION.match(str(detail.get("retryDelay")))
            return None if found is None else float(found[1])
    return None
