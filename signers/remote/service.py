"""What a backend writes: a service that finds keys, and a key that asks for signatures."""

from collections.abc import Sequence
from typing import Protocol

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.errors import SignerError


class RemoteKey(Protocol):
    """One version of one key under one algorithm, at a service. Immutable."""

    @property
    def name(self) -> str:
        """The redacted name for logs and errors, with the version."""
        ...

    @property
    def version(self) -> str:
        """The version as the service names it; every signature is by this one."""
        ...

    @property
    def pinned_uri(self) -> str:
        """The key's URI with the version in it: what names this very key pair at any time."""
        ...

    @property
    def algorithm(self) -> Algorithm: ...

    @property
    def public_key(self) -> PublicKey: ...

    @property
    def max_batch(self) -> int:
        """Messages that one request signs; 1 where the service has no batches."""
        ...

    async def request_signatures(self, messages: Sequence[bytes]) -> Sequence[bytes | SignerError]:
        """Make one request for the signatures over *messages* (1 to `max_batch` of them).

        Returns one outcome per message, in order: the signature in JOSE form, not verified yet, or the error
        of this item alone. Raises `SignerError` where the request failed as a whole:
        `SignerUnavailableError` and `SignerTimeoutError` are tried again and open the circuit,
        `SignerThrottledError` pauses the budget for its `retry_after`, others are final.
        """
        ...


class RemoteService(Protocol):
    """One service under one set of credentials."""

    @property
    def name(self) -> str:
        """The redacted name for logs and errors."""
        ...

    async def find(self, uri: str, algorithm: Algorithm, public_key_sha256: str | None) -> RemoteKey:
        """The key that *uri* names, with its public half.

        A URI without a version means the version whose public half has the pinned *public_key_sha256*, and
        without a pin the latest; it is resolved here, once. Raises `SignerError`.
        """
        ...

    async def create(self, uri: str, algorithm: Algorithm) -> None:
        """Generate the key that *uri* will name. Raises `KeyAmbiguousError` for a name that is taken, and
        `KeyUriError` where the service cannot generate keys.
        """
        ...

    async def aclose(self) -> None:
        """Close connections and end the renewal of credentials. Idempotent."""
        ...
