"""The errors of AWS KMS as ours.

SOURCE: AWS KMS API reference, Sign and GetPublicKey (Errors) and Common Errors; AWS JSON 1.1 protocol, where
the error's shape is in the ``x-amzn-errortype`` header or the body's ``__type``, with a namespace or a URL
around it.
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

_SERVER_ERROR = 500

_FAULTS: dict[str, type[SignerError]] = {
    "NotFoundException": KeyNotFoundError,
    "InvalidArnException": KeyNotFoundError,
    "AlreadyExistsException": KeyAmbiguousError,
    "DisabledException": KeyUnusableError,
    "KMSInvalidStateException": KeyUnusableError,
    "InvalidKeyUsageException": KeyUnusableError,
    "UnsupportedOperationException": KeyUnusableError,
    "ValidationException": KeyUnusableError,
    "AccessDeniedException": AccessDeniedError,
    "IncompleteSignature": AccessDeniedError,
    "IncompleteSignatureException": AccessDeniedError,
    "InvalidClientTokenId": AccessDeniedError,
    "InvalidSignatureException": AccessDeniedError,
    "MissingAuthenticationToken": AccessDeniedError,
    "MissingAuthenticationTokenException": AccessDeniedError,
    "NotAuthorized": AccessDeniedError,
    "OptInRequired": AccessDeniedError,
    "RequestTimeTooSkewed": AccessDeniedError,
    "SignatureDoesNotMatch": AccessDeniedError,
    "ThrottlingException": SignerThrottledError,
    "Throttling": SignerThrottledError,
    "RequestLimitExceeded": SignerThrottledError,
    "TooManyRequestsException": SignerThrottledError,
    "KMSInternalException": SignerUnavailableError,
    "DependencyTimeoutException": SignerUnavailableError,
    "KeyUnavailableException": SignerUnavailableError,
    "InternalFailure": SignerUnavailableError,
    "ServiceUnavailable": SignerUnavailableError,
}
# A request is signed with the time, and refused a few minutes before or after it.
_SKEWED = frozenset({"InvalidSignatureException", "RequestTimeTooSkewed", "SignatureDoesNotMatch"})
EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "UnrecognizedClientException",
        "InvalidClientTokenId",
    }
)
"""The credentials are over, or withdrawn: others may do."""


def fault_name(reply: HttpReply) -> str:
    """The shape's name of an error reply, empty where it has none."""
    return _details(reply)[0]


def fault_of(reply: HttpReply, key: str) -> SignerError:
    """The error that *reply* is; *key* is the redacted name."""
    name, message = _details(reply)
    text = f"AWS KMS answered {name or reply.status}: {message or 'without a message'}"
    if name in _SKEWED:
        text += " (A clock that is wrong has this effect as well.)"
    if name in EXPIRED:
        return AccessDeniedError(text, key=key)
    fallback = SignerUnavailableError if reply.status >= _SERVER_ERROR else KeyUnusableError
    return _FAULTS.get(name, fallback)(text, key=key)


def _details(reply: HttpReply) -> tuple[str, str]:
    try:
        body = json.loads(reply.body)
    except ValueError:
        body = None
    members = body if isinstance(body, dict) else {}
    name = str(reply.headers.get("x-amzn-errortype") or members.get("__type") or "")
    # "com.amazonaws.kms#NotFoundException" or "NotFoundException:http://internal.amazon.com/...".
    name = name.partition(":")[0].rpartition("#")[2]
    message = str(members.get("message") or members.get("Message") or "")
    return name, message[:300]
