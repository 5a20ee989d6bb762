"""The `Signer` protocol, and the optional abilities that a backend may add."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

from cryptography import x509
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

    async def sign(self, message: bytes) -> bytes:
        """Sign *message*, whole (hashing is the signer's business).

        Returns the signature in JOSE form (RFC 7518 §3.4: raw ``r || s`` for ECDSA; RFC 8037 for EdDSA).
        Where a signature takes microseconds it is computed on the calling thread, without suspending;
        elsewhere the loop stays free. The caller's deadline is its cancellation (`asyncio.timeout`); the
        signer adds a bound of its own, so that no call waits for ever. Raises `SignerError`.
        """
        ...

    async def sign_many(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        """Sign each of *messages*, in order. All or nothing: one failure raises `SignerError`."""
        ...

    async def check(self) -> None:
        """Sign a probe and verify it. Returns nothing; raises the `SignerError` that a caller would meet."""
        ...


class SignerProvider(Protocol):
    """One opened backend: a folder of key files, a PKCS#11 token, a KMS account.

    Opened and closed by its owner; closing waits for signatures under way, within the owner's deadline.
    """

    async def signer(
        self,
        uri: str,
        algorithm: Algorithm,
        *,
        public_key_sha256: str | None = None,
        certificate: x509.Certificate | None = None,
    ) -> Signer:
        """Find the one key that *uri* names and bind it to *algorithm*.

        *public_key_sha256* (SHA-256 of the DER SubjectPublicKeyInfo, hex) and *certificate* pin the public
        half: another one raises `KeyMismatchError`. Raises `SignerError`.
        """
        ...

    def health(self) -> "ProviderHealth":
        """What is known now, without a call to the device."""
        ...

    async def aclose(self) -> None:
        """Release sessions, threads and handles. Idempotent."""
        ...


class KeyCreator(Protocol):
    """An optional ability: a provider that can generate keys."""

    async def create(self, uri: str, algorithm: Algorithm) -> Signer:
        """Generate the key that *uri* will name; refuses a name that is taken (`KeyAmbiguousError`)."""
        ...


@runtime_checkable
class VersionedSigner(Protocol):
    """An optional ability: a signer whose key has versions at its service. It signs with this one only."""

    @property
    def key_version(self) -> str:
        """The version, as the service names it; resolved once where the URI left it open."""
        ...

    @property
    def pinned_uri(self) -> str:
        """The key's URI with the version in it."""
        ...


@dataclass(frozen=True, slots=True)
class ProviderHealth:
    """A backend's state: `available` now; `stuck_threads` that wait in a call past its deadline; `queued`
    signatures that wait; `detail` for an operator, free of secrets; `budget_left`, the requests that may be
    made now, None where there is no budget.
    """

    available: bool
    stuck_threads: int = 0
    queued: int = 0
    detail: str = ""
    budget_left: float | None = None
