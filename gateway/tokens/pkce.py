"""Proof Key for Code Exchange (RFC 7636), S256 only."""

import hashlib
import hmac
import re
from typing import Final

from gateway.errors import Reason, RequestError
from gateway.jose import base64url
from gateway.jose.errors import JoseError

METHOD: Final = "S256"
_VERIFIER: Final = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
_CHALLENGE_SIZE: Final = 32


def require_challenge(challenge: str) -> str:
    """*challenge* as sent; an S256 challenge is a SHA-256 value (RFC 7636 §4.2).

    Raises `RequestError` INVALID_REQUEST, where it is missing too.
    """
    try:
        size = len(base64url.decode(challenge))
    except JoseError:
        size = 0
    if size != _CHALLENGE_SIZE:
        raise RequestError(
            Reason.INVALID_REQUEST,
            "A code needs a PKCE challenge with the method S256: 43 characters of base64url.",
            field="code_challenge",
        )
    return challenge


def matches(verifier: str, challenge: str) -> bool:
    """Whether *verifier* is what the S256 *challenge* was made of (RFC 7636 §4.6)."""
    if not _VERIFIER.fullmatch(verifier):
        return False
    made = base64url.encode(hashlib.sha256(verifier.encode("ascii")).digest())
    return hmac.compare_digest(made, challenge)
