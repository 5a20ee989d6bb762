"""Nonces without memory: every replica that holds the secret knows which ones are current.

A nonce names its time step and carries HKDF-SHA256 (RFC 5869) of a secret over that step, so that checking
takes one HMAC and no database. It may be used many times while it is current (RFC 9449 §8); for one that
works once see `gateway.proofs.single_use_nonces`.
"""

import hmac
import math
from collections.abc import Sequence
from enum import StrEnum
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.clock import Clock
from gateway.jose import base64url
from gateway.jose.errors import JoseError

MIN_SECRET_SIZE: Final = 32  # octets

_STEPS_BEFORE: Final = 2
_STEPS_AFTER: Final = 1
_STEP_SIZE: Final = 4  # octets; in steps of a minute enough for 8,000 years
_TAG_SIZE: Final = 20  # octets
_TEXT_SIZE: Final = (_STEP_SIZE + _TAG_SIZE) * 4 // 3


class NonceFault(StrEnum):
    """Why a nonce was refused."""

    UNKNOWN = (
        "nonce_unknown"  # not ours, not for this use, or not for this subject: they cannot be told apart
    )
    EXPIRED = "nonce_expired"
    USED = "nonce_used"


class NonceError(Exception):
    """The nonce was refused. *fault* is stable."""

    def __init__(self, fault: NonceFault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class NonceKeys:
    """The keys of one space of nonces, derived from the secrets; its nonces mean nothing in another space.

    The first secret issues, all verify. To rotate without refusing anybody: append the new secret on every
    replica, then move it to the front, then drop the old one when its last nonce has expired.
    """

    def __init__(self, secrets: Sequence[bytes], *, construction: str, space: str) -> None:
        """*secrets*: at least one, each `MIN_SECRET_SIZE` random octets or more. Raises `ValueError`."""
        if not secrets:
            raise ValueError("nonces need a secret")
        if any(len(secret) < MIN_SECRET_SIZE for secret in secrets):
            raise ValueError(f"a secret of nonces has at least {MIN_SECRET_SIZE} octets")
        if not space:
            raise ValueError("a space of nonces needs a name")
        info = framed("countersign nonces", construction, space)
        self._keys = tuple(
            HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=info).derive(secret)
            for secret in secrets
        )

    def tag(self, message: bytes, size: int) -> bytes:
        """HKDF-Expand under the issuing key over *message*; *size* octets."""
        return _expand(self._keys[0], message, size)

    def require_tag(self, tag: bytes, message: bytes) -> None:
        """*tag* is that of *message* under one of the keys; constant-time. Raises `NonceError`."""
        if not any(hmac.compare_digest(tag, _expand(key, message, len(tag))) for key in self._keys):
            raise NonceError(NonceFault.UNKNOWN)


class ServerNonces:
    """The DPoP nonces of one server (RFC 9449 §8 for an authorization server, §9 for a resource server).

    The nonce of the present step is handed out; accepted are those of the two steps before it and of the one
    after it, which a replica whose clock is ahead hands out. So a nonce lives for two to three steps.
    """

    def __init__(self, secrets: Sequence[bytes], *, space: str, clock: Clock, step: int = 60) -> None:
        """*space* names the use (``as``, ``rs``); *step* is in seconds. Raises `ValueError`."""
        if step <= 0:
            raise ValueError("a step is at least a second")
        self._keys = NonceKeys(secrets, construction="steps", space=space)
        self._clock = clock
        self._step = step

    def issue(self, *, subject: str = "") -> str:
        """A nonce for *subject*, such as a client id, or for anybody: 32 characters of base64url."""
        step = self._current().to_bytes(_STEP_SIZE, "big")
        return base64url.encode(step + self._keys.tag(_message(step, subject), _TAG_SIZE))

    def check(self, nonce: str, *, subject: str = "") -> float:
        """When *nonce*, issued for *subject*, stops being accepted, in seconds since the epoch.

        Raises `NonceError` with `UNKNOWN` or `EXPIRED`.
        """
        octets = decoded(nonce, _TEXT_SIZE)
        step, tag = octets[:_STEP_SIZE], octets[_STEP_SIZE:]
        number, current = int.from_bytes(step, "big"), self._current()
        if number > current + _STEPS_AFTER:
            raise NonceError(NonceFault.UNKNOWN)
        if number < current - _STEPS_BEFORE:
            raise NonceError(NonceFault.EXPIRED)
        self._keys.require_tag(tag, _message(step, subject))
        return float((number + _STEPS_BEFORE + 1) * self._step)

    def _current(self) -> int:
        return math.floor(self._clock() / self._step)


def framed(*parts: str) -> bytes:
    """The parts, each after its length, so that no two lists of parts give the same octets."""
    encoded = [part.encode("utf-8", "surrogatepass") for part in parts]
    return b"".join(len(part).to_bytes(4, "big") + part for part in encoded)


def decoded(nonce: str, size: int) -> bytes:
    """The octets of *nonce*, base64url of exactly *size* characters. Raises `NonceError` with `UNKNOWN`."""
    if len(nonce) != size:
        raise NonceError(NonceFault.UNKNOWN)
    try:
        return base64url.decode(nonce)
    except JoseError as error:
        raise NonceError(NonceFault.UNKNOWN) from error


def _message(step: bytes, subject: str) -> bytes:
    return step + framed(subject)


def _expand(key: bytes, message: bytes, size: int) -> bytes:
    """HKDF-Expand (RFC 5869 §2.3) of at most one block, which is T(1): a single HMAC."""
    return hmac.digest(key, message + b"\x01", "sha256")[:size]
