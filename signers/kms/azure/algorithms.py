"""The signature algorithms of Azure Key Vault by their JOSE names, which are its own names as well.

SOURCE: Azure Key Vault REST API 7.4, Sign (JsonWebKeySignatureAlgorithm) and JsonWebKey (crv). There is no
EdDSA.
"""

from dataclasses import dataclass

from signers.algorithms import Algorithm


@dataclass(frozen=True, slots=True)
class AzureAlgorithm:
    """`crv` is Key Vault's name of the curve; `key_size` in bits is what a new RSA key gets."""

    crv: str | None = None
    key_size: int | None = None


ALGORITHMS = {
    Algorithm.ES256: AzureAlgorithm(crv="P-256"),
    Algorithm.ES384: AzureAlgorithm(crv="P-384"),
    Algorithm.ES512: AzureAlgorithm(crv="P-521"),
    # RFC 8812 §3.1 calls the curve secp256k1.
    Algorithm.ES256K: AzureAlgorithm(crv="P-256K"),
    Algorithm.RS256: AzureAlgorithm(key_size=3072),
    Algorithm.PS256: AzureAlgorithm(key_size=3072),
}
