"""The closed table of signature algorithms: one row carries everything that depends on the choice."""

from dataclasses import dataclass
from enum import StrEnum

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec


class Algorithm(StrEnum):
    """A signature algorithm by its JOSE name (RFC 7518 §3.1, RFC 8037 §3.1, RFC 8812 §3.2)."""

    EDDSA = "EdDSA"
    ES256 = "ES256"
    ES384 = "ES384"
    ES512 = "ES512"
    ES256K = "ES256K"
    RS256 = "RS256"
    PS256 = "PS256"

    @property
    def spec(self) -> "AlgorithmSpec":
        """The row of the table for this algorithm."""
        return _TABLE[self]


@dataclass(frozen=True, slots=True)
class AlgorithmSpec:
    """What an algorithm fixes.

    `key_type` and `curve` are JWK values (RFC 7517); `signature_size` is in bytes, None where it follows the
    RSA modulus; `x509_oid` is the signatureAlgorithm of a certificate signed with it.
    """

    key_type: str
    curve: str | None
    hash_algorithm: hashes.HashAlgorithm | None
    ec_curve: ec.EllipticCurve | None
    signature_size: int | None
    x509_oid: str


_OID = x509.SignatureAlgorithmOID

_TABLE: dict[Algorithm, AlgorithmSpec] = {
    Algorithm.EDDSA: AlgorithmSpec("OKP", "Ed25519", None, None, 64, _OID.ED25519.dotted_string),
    Algorithm.ES256: AlgorithmSpec(
        "EC", "P-256", hashes.SHA256(), ec.SECP256R1(), 64, _OID.ECDSA_WITH_SHA256.dotted_string
    ),
    Algorithm.ES384: AlgorithmSpec(
        "EC", "P-384", hashes.SHA384(), ec.SECP384R1(), 96, _OID.ECDSA_WITH_SHA384.dotted_string
    ),
    Algorithm.ES512: AlgorithmSpec(
        "EC", "P-521", hashes.SHA512(), ec.SECP521R1(), 132, _OID.ECDSA_WITH_SHA512.dotted_string
    ),
    Algorithm.ES256K: AlgorithmSpec(
        "EC", "secp256k1", hashes.SHA256(), ec.SECP256K1(), 64, _OID.ECDSA_WITH_SHA256.dotted_string
    ),
    Algorithm.RS256: AlgorithmSpec(
        "RSA", None, hashes.SHA256(), None, None, _OID.RSA_WITH_SHA256.dotted_string
    ),
    Algorithm.PS256: AlgorithmSpec("RSA", None, hashes.SHA256(), None, None, _OID.RSASSA_PSS.dotted_string),
}
