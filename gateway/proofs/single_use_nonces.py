"""Nonces that work once, over all replicas, with one row per nonce used and none per nonce issued.

A nonce carries its expiry and a tag under a secret, so that one which was never handed out, was handed out to
somebody else, or is over, is refused without asking the database. Only using up a good one writes.
"""

import math
import secrets as random
from collections.abc import Sequence
from typing import Final

from gateway.clock import Clock
from gateway.jose import base64url
from gateway.proofs.nonces import NonceError, NonceFault, NonceKeys, decoded, framed
from gateway.proofs.replay import ReplayRepository

MAX_LIFETIME: Final = 24 * 60 * 60  # seconds

_EXPIRY_SIZE: Final = 5  # octets; seconds since the epoch
_RANDOM_SIZE: Final = 16
_TAG_SIZE: Final = 24
_BODY_SIZE: Final = _EXPIRY_SIZE + _RANDOM_SIZE
_TEXT_SIZE: Final = (_BODY_SIZE + _TAG_SIZE) * 4 // 3


class SingleUseNonces:
    """Nonces of one space (``acme``, ``wire-device``), each for one subject and for one use."""

    def __init__(
        self,
        secrets: Sequence[bytes],
        *,
        space: str,
        lifetime: int,
        replay: ReplayRepository,
        clock: Clock,
        skew: int = 60,
    ) -> None:
        """*secrets* as `NonceKeys` takes them; *lifetime* of a nonce in seconds, up to `MAX_LIFETIME`.

        *skew*: by how many seconds the clocks of replicas may differ; a used nonce is remembered for that
        much longer. Raises `ValueError`.
        """
        if not 0 < lifetime <= MAX_LIFETIME or skew < 0:
            raise ValueError(f"lifetime is 1 to {MAX_LIFETIME} seconds, skew is not negative")
        self._keys = NonceKeys(secrets, construction="single use", space=space)
        self._kind = f"nonce:{space}"
        self._lifetime = lifetime
        self._skew = skew
        self._replay = replay
        self._clock = clock

    def issue(self, *, subject: str) -> str:
        """A new nonce for *subject*, such as a client id: 60 characters of base64url, 128 bits random."""
        expiry = math.ceil(self._clock()) + self._lifetime
        body = expiry.to_bytes(_EXPIRY_SIZE, "big") + random.token_bytes(_RANDOM_SIZE)
        return base64url.encode(body + self._keys.tag(_message(body, subject), _TAG_SIZE))

    def check(self, nonce: str, *, subject: str) -> float:
        """When *nonce*, issued to *subject*, expires, in seconds since the epoch; it is not used up.

        Raises `NonceError` with `UNKNOWN` or `EXPIRED`.
        """
        octets = decoded(nonce, _TEXT_SIZE)
        body, tag = octets[:_BODY_SIZE], octets[_BODY_SIZE:]
        self._keys.require_tag(tag, _message(body, subject))
        expiry = float(int.from_bytes(body[:_EXPIRY_SIZE], "big"))
        if expiry <= self._clock():
            raise NonceError(NonceFault.EXPIRED)
        return expiry

    async def use(self, nonce: str, *, subject: str) -> None:
        """Use up *nonce*, issued to *subject*: exactly one call over all replicas returns.

        Raises `NonceError` with `UNKNOWN`, `EXPIRED` or `USED`; `AvailabilityError`.
        """
        expiry = self.check(nonce, subject=subject)
        # Strict base64url gives a nonce one spelling only, so its text identifies it.
        if not await self._replay.use_once(self._kind, nonce, expire_time=expiry + self._skew):
            raise NonceError(NonceFault.USED)


def _message(body: bytes, subject: str) -> bytes:
    return body + framed(subject)
