"""What a server answers: its JSON as typed values, and its refusals as errors of ours."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from signers.errors import (
    AccessDeniedError,
    KeyNotFoundError,
    KeyUnusableError,
    SignatureInvalidError,
    SignerError,
    SignerThrottledError,
    SignerUnavailableError,
)
from signers.remote.http import HttpReply

MAX_TEXT = 200
"""Characters of a server's own words in our errors."""

MAX_RETRY_AFTER = 60.0
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")
_SIGNATURE = re.compile(r"vault:v([1-9][0-9]*):([A-Za-z0-9+/]+={0,2})\Z")


@dataclass(frozen=True, slots=True)
class TransitKey:
    """A key as the server describes it. `public_keys` by version, of whatever type they are."""

    key_type: str
    latest_version: int
    min_encryption_version: int
    signs: bool
    derived: bool
    soft_deleted: bool
    public_keys: Mapping[int, object]


@dataclass(frozen=True, slots=True)
class Token:
    """A client token. `ttl` in seconds; 0 where it does not expire."""

    value: str
    ttl: float
    renewable: bool

    def __repr__(self) -> str:
        return f"Token(ttl={self.ttl}, renewable={self.renewable})"


def reply_data(reply: HttpReply, key: str) -> Mapping[str, Any]:
    """The JSON object of a reply that succeeded. Raises `SignerError` for any other."""
    if reply.status == 204:  # noqa: PLR2004  # No Content.
        return {}
    members = _object(reply.body)
    # A batch whose items all failed may be a 400; its items say why.
    batch = isinstance(members.get("data"), dict) and "batch_results" in members["data"]
    if reply.status == 200 or batch:  # noqa: PLR2004  # OK.
        return members
    raise _refusal(reply, members, key)


def parse_key(members: Mapping[str, Any], key: str) -> TransitKey:
    """The reply to `GET transit/keys/NAME`. Raises `SignerUnavailableError` for anything else."""
    try:
        data = members["data"]
        key_type = _text(data["type"])
        public_keys = {
            int(version): _public_key(key_type, entry["public_key"])
            for version, entry in data["keys"].items()
            if isinstance(entry, dict) and entry.get("public_key")
        }
        return TransitKey(
            key_type=key_type,
            latest_version=int(data["latest_version"]),
            min_encryption_version=int(data.get("min_encryption_version", 0)),
            signs=data.get("supports_signing") is True,
            derived=data.get("derived") is True,
            soft_deleted=data.get("soft_deleted") is True,
            public_keys=public_keys,
        )
    except (KeyError, TypeError, ValueError, AttributeError, UnsupportedAlgorithm) as error:
        raise SignerUnavailableError("The server describes the key in no form we know.", key=key) from error


def parse_login(members: Mapping[str, Any], key: str) -> Token:
    """The reply to a login or a renewal. Raises `SignerUnavailableError` for anything else."""
    try:
        auth = members["auth"]
        return Token(
            _text(auth["client_token"]), float(auth["lease_duration"]), auth.get("renewable") is True
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SignerUnavailableError("The server's reply to the login holds no token.", key=key) from None


def parse_lookup(value: str, members: Mapping[str, Any], key: str) -> Token:
    """The reply to `auth/token/lookup-self` for the token *value*. Raises `SignerUnavailableError`."""
    try:
        data = members["data"]
        return Token(value, float(data["ttl"]), data.get("renewable") is True)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise SignerUnavailableError("The server does not describe the token.", key=key) from None


def parse_signatures(
    members: Mapping[str, Any], count: int, version: int, key: str
) -> list[bytes | SignerError]:
    """The items of `batch_results`, in order: signatures by *version* as the server encoded them, or errors.

    Raises `SignatureInvalidError` where there are not *count* items.
    """
    data = members.get("data")
    results = data.get("batch_results") if isinstance(data, dict) else None
    if not isinstance(results, list) or len(results) != count:
        raise SignatureInvalidError("The server's reply holds another number of signatures.", key=key)
    return [_item(result, version, key) for result in results]


def _item(result: object, version: int, key: str) -> bytes | SignerError:
    if not isinstance(result, dict):
        return SignatureInvalidError("The server's reply holds no signature.", key=key)
    if result.get("error"):
        return _permanent(_shown(result["error"]), key)
    match = _SIGNATURE.match(str(result.get("signature")))
    if match is None:
        return SignatureInvalidError("The server's reply holds no signature of a known form.", key=key)
    if int(match[1]) != version:
        return SignatureInvalidError(f"Version {match[1]} signed, not version {version}.", key=key)
    try:
        return base64.b64decode(match[2], validate=True)
    except binascii.Error:
        return SignatureInvalidError("The server's signature is not base64.", key=key)


def _refusal(reply: HttpReply, members: Mapping[str, Any], key: str) -> SignerError:
    errors = members.get("errors")
    text = _shown("; ".join(str(error) for error in errors) if isinstance(errors, list) else "")
    status = reply.status
    if status == 429:  # noqa: PLR2004  # Too Many Requests: a rate limit quota, or a standby's health.
        return SignerThrottledError(
            f"The server limits the rate: {text}", key=key, retry_after=_retry_after(reply)
        )
    if status == 503:  # noqa: PLR2004  # Sealed, or no active node.
        return SignerUnavailableError(f"The server is sealed or in standby: {text}", key=key)
    # 412 is a replica that has not caught up; 472 and 473 are standbys of a replicated cluster.
    if status >= 500 or status in (307, 308, 412, 472, 473):  # noqa: PLR2004  # Server errors.
        return SignerUnavailableError(f"The server cannot answer now (HTTP {status}): {text}", key=key)
    if status in (401, 403):
        return AccessDeniedError(f"The server refuses the token or its use of this path: {text}", key=key)
    if status == 404:  # noqa: PLR2004  # Not Found.
        return KeyNotFoundError(f"The server has no such key or mount. {text}".rstrip(), key=key)
    return _permanent(text or f"HTTP {status}", key)


def _permanent(text: str, key: str) -> SignerError:
    """An error by the server's own words, where its status says no more than "bad request"."""
    if "key not found" in text:
        return KeyNotFoundError("The server has no such key; it may have been deleted.", key=key)
    if "minimum encryption key version" in text:
        return KeyUnusableError(
            "This version is below the key's min_encryption_version: the server signs with none such.",
            key=key,
        )
    return KeyUnusableError(f"The server refuses: {text}", key=key)


def _retry_after(reply: HttpReply) -> float | None:
    text = reply.headers.get("retry-after", "")
    return min(float(text), MAX_RETRY_AFTER) if re.fullmatch(r"[0-9]{1,6}", text) else None


def _object(body: bytes) -> dict[str, Any]:
    try:
        members = json.loads(body) if body else {}
    except (ValueError, RecursionError):
        return {}
    return members if isinstance(members, dict) else {}


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise TypeError
    return value


def _public_key(key_type: str, text: str) -> object:
    if key_type == "ed25519" and not text.startswith("-----"):
        return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))
    return load_pem_public_key(text.encode())


def _shown(text: object) -> str:
    return _UNPRINTABLE.sub(" ", str(text)).strip()[:MAX_TEXT]
