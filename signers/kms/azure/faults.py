"""The errors of Azure Key Vault as ours.

SOURCE: Azure Key Vault documentation, "REST API error codes" and "Throttling guidance".
"""

import json

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

_FAULTS: dict[int, type[SignerError]] = {
    401: AccessDeniedError,
    403: AccessDeniedError,
    404: KeyNotFoundError,
    408: SignerUnavailableError,
    409: KeyAmbiguousError,
}
_THROTTLED = 429
_FORBIDDEN = 403
_SERVER_ERROR = 500


def fault_of(reply: HttpReply, key: str) -> SignerError:
    """The error that *reply* is; *key* is the redacted name."""
    code, inner, message = _details(reply)
    text = f"Azure Key Vault answered {inner or code or reply.status}: {message}"
    if reply.status == _THROTTLED:
        return SignerThrottledError(text, key=key, retry_after=_retry_after(reply))
    if reply.status >= _SERVER_ERROR:
        return SignerUnavailableError(text, key=key, retry_after=_retry_after(reply))
    if reply.status == _FORBIDDEN and inner.startswith("Key"):
        # KeyDisabled, KeyExpired and the like: it is the key's state, not the caller's permission.
        return KeyUnusableError(text, key=key)
    return _FAULTS.get(reply.status, KeyUnusableError)(text, key=key)


def _details(reply: HttpReply) -> tuple[str, str, str]:
    try:
        body = json.loads(reply.body)
    except ValueError:
        body = None
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict):
        return "", "", ""
    inner = error.get("innererror")
    inner_code = inner.get("code") if isinstance(inner, dict) else ""
    return str(error.get("code") or ""), str(inner_code or ""), str(error.get("message") or "")[:300]


def _retry_after(reply: HttpReply) -> float | None:
    # RFC 9110 §10.2.3 also allows a date, which the service does not use.
    value = reply.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else None
