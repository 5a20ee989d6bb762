"""The `Signer` protocol, and the optional abilities that a backend may add."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from signers.algorithms import Algorithm

PublicKey: TypeAlias = EllipticCurvePublicKey | Ed25519PublicKey | RSAPublicKey


class Signer(Protocol):
    """One private key under one algorithm, wherever the key lives.

    A signer is opened by its provider and bound to the event loop that opened it.
    """

    @property
    def key_id(self) -> str:
        """RFC 7638 SHA-256 thumbprint of the public key, base64url without padding."""
        ...

    @property
    def algorithm(self) -> Algorithm:
        """The only algorithm that this signer uses."""
        ...

    @property
    def public_key(self) -> PublicKey:
        """The public half, read once when the signer was opened."""
        ...

    @property
    def instant(self) -> bool:
        """True where `sign_now` may be called: one signature takes microseconds and cannot block."""
        ...

    def sign_now(self, message: bytes) -> bytes:
        """Sign on the calling thread. Only where `instant` is true; else raises `SignerError`."""
        ...

    async def sign(self, message: bytes) -> bytes:
        """Sign *message*, whole (hashing is the signer's business).

        Returns the signature in JOSE form (RFC 7518 §3.4: raw ``r || s`` for ECDSA; RFC 8037 for EdDSA).
        Waits no longer than the ambient `signers.deadline` or its own bound, whichever is earlier.
        Raises `SignerError`.
        """
        ...

    async def sign_many(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Sign each of *messages*, in order. All or nothing: one failure raises `SignerError`."""
        ...
