"""Is this the key that the configuration meant? Compared before the key is used, and after every recovery."""

import hmac
import re

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signers.base import PublicKey
from signers.errors import KeyMismatchError, KeyUriError
from signers.jose_form import spki_sha256

_SHA256_HEX = re.compile(r"[0-9A-Fa-f]{64}\Z")


def require_pinned(
    public_key: PublicKey,
    *,
    public_key_sha256: str | None,
    certificate: x509.Certificate | None,
    key: str,
) -> None:
    """Compare *public_key* with what was pinned; None pins nothing.

    *public_key_sha256* is SHA-256 of the DER SubjectPublicKeyInfo, 64 hex digits; *certificate* is the
    certificate that the key is to sign for; *key* is the redacted name. Raises `KeyMismatchError`, or
    `KeyUriError` for a pin that is no SHA-256.
    """
    if public_key_sha256 is not None:
        if not _SHA256_HEX.match(public_key_sha256):
            raise KeyUriError("public_key_sha256 must be 64 hex digits, SHA-256 of the DER SPKI.", key=key)
        found = spki_sha256(public_key)
        if not hmac.compare_digest(found, public_key_sha256.lower()):
            raise KeyMismatchError(f"The key's public half has SHA-256 {found}, not the pinned one.", key=key)
    if certificate is not None and not same_key(public_key, certificate.public_key()):
        raise KeyMismatchError("The key's public half is not the one in the certificate.", key=key)


def same_key(one: PublicKey, other: object) -> bool:
    """Whether two public keys are equal, by their DER SubjectPublicKeyInfo."""
    if type(one) is not type(other):
        return False
    return _spki(one) == _spki(other)


def _spki(public_key: PublicKey) -> bytes:
    return public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
