"""The signature algorithms of AWS KMS by their JOSE names.

SOURCE: AWS KMS API reference, Sign (SigningAlgorithm, MessageType) and CreateKey (KeySpec); the service model
of botocore 1.44.5, which has ECC_NIST_EDWARDS25519.
"""

from dataclasses import dataclass
from typing import Literal

from signers.algorithms import Algorithm

MAX_RAW_MESSAGE = 4096
"""Bytes that Sign takes with MessageType RAW."""


@dataclass(frozen=True, slots=True)
class AwsAlgorithm:
    """`key_spec` is the one that `create` asks for; RSA keys of other sizes sign as well."""

    signing_algorithm: str
    message_type: Literal["RAW", "DIGEST"]
    key_spec: str


ALGORITHMS = {
    # ED25519_SHA_512 is Ed25519 itself and takes the message; ED25519_PH_SHA_512 is Ed25519ph, not in JOSE.
    Algorithm.EDDSA: AwsAlgorithm("ED25519_SHA_512", "RAW", "ECC_NIST_EDWARDS25519"),
    Algorithm.ES256: AwsAlgorithm("ECDSA_SHA_256", "DIGEST", "ECC_NIST_P256"),
    Algorithm.ES384: AwsAlgorithm("ECDSA_SHA_384", "DIGEST", "ECC_NIST_P384"),
    Algorithm.ES512: AwsAlgorithm("ECDSA_SHA_512", "DIGEST", "ECC_NIST_P521"),
    Algorithm.ES256K: AwsAlgorithm("ECDSA_SHA_256", "DIGEST", "ECC_SECG_P256K1"),
    Algorithm.RS256: AwsAlgorithm("RSASSA_PKCS1_V1_5_SHA_256", "DIGEST", "RSA_3072"),
    Algorithm.PS256: AwsAlgorithm("RSASSA_PSS_SHA_256", "DIGEST", "RSA_3072"),
}
