"""Reading a service's JSON: typed, and refused where it is not what its reference says."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_public_key

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.errors import KeyUnusableError, SignerUnavailableError
from signers.verification import require_fit

T = TypeVar("T")


class JsonReply:
    """A JSON object from a service. Every method raises `SignerUnavailableError` for a member of another
    kind: whatever damaged the reply may have passed by the next one.
    """

    def __init__(self, members: Mapping[str, Any], key: str) -> None:
        """*key* is the redacted name for errors."""
        self._members = members
        self._key = key

    @classmethod
    def parse(cls, body: bytes, key: str) -> "JsonReply":
        """Parse *body*."""
        try:
            members = json.loads(body)
        except (ValueError, RecursionError):
            members = None
        if not isinstance(members, dict):
            raise SignerUnavailableError("The service's reply is not a JSON object.", key=key)
        return cls(members, key)

    def text(self, name: str) -> str:
        """A string that is there."""
        return self._typed(name, str)

    def flag(self, name: str) -> bool:
        """A boolean; absent is false, as in proto3 JSON."""
        return False if name not in self._members else self._typed(name, bool)

    def number(self, name: str) -> int | None:
        """A whole number, in JSON or, as proto3 writes 64 bits, in a string; None where absent or null."""
        value = self._members.get(name)
        if value is None:
            return None
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return int(value)
        return self._typed(name, int)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; absent is empty."""
        values = self._members.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise self._misfit(name)
        return tuple(values)

    def base64(self, name: str) -> bytes:
        """Standard base64, with padding."""
        try:
            return base64.b64decode(self.text(name), validate=True)
        except binascii.Error:
            raise self._misfit(name) from None

    def base64url(self, name: str) -> bytes:
        """Base64url, without padding."""
        text = self.text(name)
        if "+" in text or "/" in text:  # The decoder takes both alphabets.
            raise self._misfit(name)
        try:
            return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            raise self._misfit(name) from None

    def object(self, name: str) -> "JsonReply":
        """An object; absent is empty."""
        return JsonReply(self._typed(name, dict) if name in self._members else {}, self._key)

    def objects(self, name: str) -> tuple["JsonReply", ...]:
        """A list of objects; absent is empty."""
        values = self._members.get(name, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self._misfit(name)
        return tuple(JsonReply(value, self._key) for value in values)

    def text_or(self, name: str, default: str) -> str:
        """A string, or *default* where absent or null."""
        return default if self._members.get(name) is None else self.text(name)

    def _typed(self, name: str, kind: type[T]) -> T:
        value = self._members.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise self._misfit(name)
        return value

    def _misfit(self, name: str) -> SignerUnavailableError:
        return SignerUnavailableError(f"The service's reply has no usable '{name}'.", key=self._key)


def public_key_of(encoded: bytes, algorithm: Algorithm, *, key: str) -> PublicKey:
    """A SubjectPublicKeyInfo, DER or PEM, that fits *algorithm*. Raises `KeyUnusableError`."""
    try:
        load = load_pem_public_key if encoded.startswith(b"-----") else load_der_public_key
        return require_fit(load(encoded), algorithm, key=key)
    except (ValueError, UnsupportedAlgorithm):
        raise KeyUnusableError(
            "The service's public key is of a kind that is not known here.", key=key
        ) from None
