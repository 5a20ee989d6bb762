"""What Transit calls our algorithms.

SOURCE: OpenBao 2.7 and Vault API documentation, /transit/sign and /transit/keys; each row was tried against
OpenBao 2.7.2. ES256K has no key type there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from signers.algorithms import Algorithm


@dataclass(frozen=True, slots=True)
class TransitAlgorithm:
    """How Transit signs with an algorithm.

    `key_types` that do, the one for new keys first; `parameters` of a request to sign, nothing that matters
    being left to a default; `max_batch`, so that a batch takes the server well under a second.
    """

    key_types: tuple[str, ...]
    parameters: Mapping[str, str | bool]
    max_batch: int

    @property
    def prehashed(self) -> bool:
        """Whether the digest is sent, and not the message."""
        return bool(self.parameters["prehashed"])


def _ecdsa(key_type: str, digest: str) -> TransitAlgorithm:
    # marshaling_algorithm "jws" is documented for P-256 only; ASN.1 is the same for every curve.
    parameters: dict[str, str | bool] = {
        "prehashed": True,
        "hash_algorithm": digest,
        "marshaling_algorithm": "asn1",
    }
    return TransitAlgorithm((key_type,), MappingProxyType(parameters), 128)


def _rsa(**scheme: str) -> TransitAlgorithm:
    parameters: dict[str, str | bool] = {"prehashed": True, "hash_algorithm": "sha2-256", **scheme}
    return TransitAlgorithm(("rsa-3072", "rsa-2048", "rsa-4096"), MappingProxyType(parameters), 16)


TRANSIT: Mapping[Algorithm, TransitAlgorithm] = MappingProxyType(
    {
        # RFC 8032 §5.1: Ed25519 itself, over the message; a digest would make it another algorithm.
        Algorithm.EDDSA: TransitAlgorithm(("ed25519",), MappingProxyType({"prehashed": False}), 128),
        Algorithm.ES256: _ecdsa("ecdsa-p256", "sha2-256"),
        Algorithm.ES384: _ecdsa("ecdsa-p384", "sha2-384"),
        Algorithm.ES512: _ecdsa("ecdsa-p521", "sha2-512"),
        Algorithm.RS256: _rsa(signature_algorithm="pkcs1v15"),
        # RFC 7518 §3.5: the salt is as long as the digest.
        Algorithm.PS256: _rsa(signature_algorithm="pss", salt_length="hash"),
    }
)
