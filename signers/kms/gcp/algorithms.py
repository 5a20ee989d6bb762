"""The signature algorithms of Cloud KMS by their JOSE names. A key version has exactly one.

SOURCE: Cloud KMS API v1, CryptoKeyVersion.CryptoKeyVersionAlgorithm. RSA keys of 4096 bits exist with SHA-256
and with SHA-512; JOSE's RS256 and PS256 are the former. There is no P-521. secp256k1 is in HSMs only.
"""

from dataclasses import dataclass

from signers.algorithms import Algorithm

MAX_DATA = 64 * 1024
"""Bytes that AsymmetricSign takes as data. SOURCE: Cloud KMS documentation, "Quotas", cryptographic data
size.
"""


@dataclass(frozen=True, slots=True)
class GcpAlgorithm:
    """`names`: those of the API that are this algorithm, the one for new keys first. `digest`: the member of
    the request's digest; None where the service takes the message itself.
    """

    names: tuple[str, ...]
    digest: str | None


def _rsa(padding: str) -> tuple[str, ...]:
    return tuple(f"RSA_SIGN_{padding}_{bits}_SHA256" for bits in (3072, 2048, 4096))


ALGORITHMS = {
    Algorithm.EDDSA: GcpAlgorithm(("EC_SIGN_ED25519",), None),
    Algorithm.ES256: GcpAlgorithm(("EC_SIGN_P256_SHA256",), "sha256"),
    Algorithm.ES384: GcpAlgorithm(("EC_SIGN_P384_SHA384",), "sha384"),
    Algorithm.ES256K: GcpAlgorithm(("EC_SIGN_SECP256K1_SHA256",), "sha256"),
    Algorithm.RS256: GcpAlgorithm(_rsa("PKCS1"), "sha256"),
    Algorithm.PS256: GcpAlgorithm(_rsa("PSS"), "sha256"),
}
