"""A key version at a KMS that signs one message per request, for `signers.remote`."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from signers.algorithms import Algorithm
from signers.base import PublicKey
from signers.errors import SignatureInvalidError
from signers.jose_form import der_to_raw


@dataclass(frozen=True, slots=True, eq=False)
class KmsKey:
    """See `signers.remote.service.RemoteKey`. `request` asks the service for one signature in JOSE form."""

    name: str
    version: str
    pinned_uri: str
    algorithm: Algorithm
    public_key: PublicKey
    request: Callable[[bytes], Awaitable[bytes]]

    @property
    def max_batch(self) -> int:
        return 1

    async def request_signatures(self, messages: Sequence[bytes]) -> Sequence[bytes]:
        return [await self.request(message) for message in messages]


def digest(algorithm: Algorithm, message: bytes) -> bytes:
    """The digest that *algorithm* signs. Raises `ValueError` for EdDSA, which signs the message itself."""
    hash_algorithm = algorithm.spec.hash_algorithm
    if hash_algorithm is None:
        raise ValueError(f"{algorithm} has no digest.")
    return hashlib.new(hash_algorithm.name, message).digest()


def jose_form(algorithm: Algorithm, signature: bytes, *, key: str) -> bytes:
    """*signature* as a service with ASN.1 signatures returns it, in JOSE form (RFC 7518 §3.4).

    Raises `SignatureInvalidError` where an ECDSA signature is no Ecdsa-Sig-Value of the curve's size.
    """
    if algorithm.spec.key_type != "EC" or algorithm.spec.signature_size is None:
        return signature
    try:
        return der_to_raw(signature, algorithm.spec.signature_size)
    except (ValueError, OverflowError):
        raise SignatureInvalidError("The service's signature is not DER of this curve.", key=key) from None
