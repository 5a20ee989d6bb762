"""Nonces for DPoP proofs that need no memory (RFC 9449 §9)."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from typing import Final

from countersign.resource_server._encoding import EncodingError, decode_base64url, encode_base64url

MIN_SECRET_SIZE: Final = 32  # octets

_LABEL: Final = b"countersign resource server nonce"
_STEP_SIZE: Final = 8  # octets
_TAG_SIZE: Final = 16  # octets
_BEFORE: Final = 2  # steps
_AFTER: Final = 1  # step; for replicas whose clock is ahead.


class DpopNonces:
    """Hands out the nonce of the present step, and accepts those of the two before it and of the next.

    All replicas that share a *secret* accept each other's nonces; without one it is drawn at random, and a
    nonce is good in this process only.
    """

    def __init__(
        self, secret: bytes | None = None, *, step: int = 60, clock: Callable[[], float] = time.time
    ) -> None:
        """*secret*: at least 32 random octets; *step*: seconds. Raises `ValueError`."""
        if secret is not None and len(secret) < MIN_SECRET_SIZE:
            raise ValueError(f"A secret has at least {MIN_SECRET_SIZE} octets.")
        if step < 1:
            raise ValueError("A step is at least a second.")
        self._secret = secret or secrets.token_bytes(MIN_SECRET_SIZE)
        self._step = step
        self._clock = clock

    def issue(self) -> str:
        """A nonce for the next proof, 32 characters of base64url."""
        return self._nonce(self._now())

    def accepts(self, nonce: str) -> bool:
        """Whether *nonce* is a recent one of ours."""
        try:
            step = int.from_bytes(decode_base64url(nonce)[:_STEP_SIZE], "big")
        except EncodingError:
            return False
        now = self._now()
        if not now - _BEFORE <= step <= now + _AFTER:
            return False
        return hmac.compare_digest(nonce, self._nonce(step))

    def _now(self) -> int:
        return int(self._clock()) // self._step

    def _nonce(self, step: int) -> str:
        octets = step.to_bytes(_STEP_SIZE, "big")
        tag = hmac.digest(self._secret, _LABEL + octets, hashlib.sha256)[:_TAG_SIZE]
        return encode_base64url(octets + tag)
