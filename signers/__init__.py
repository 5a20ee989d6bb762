"""Signers: "sign these bytes with that key", and nothing about what the bytes mean.

Start at `signers.base`: the `Signer` protocol, the closed table of algorithms, and the error tree.
`signers.registry.SignerRegistry` turns a key URI (``file:``, ``pkcs11:``, ``vault:``) into a signer.
"""

from signers.algorithms import Algorithm
from signers.base import KeyCreator, ProviderHealth, PublicKey, Signer, SignerProvider, VersionedSigner
from signers.errors import (
    AccessDeniedError,
    FaultClass,
    KeyAmbiguousError,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
    PinError,
    SignatureInvalidError,
    SignerBusyError,
    SignerError,
    SignerThrottledError,
    SignerTimeoutError,
    SignerUnavailableError,
)

__all__ = [
    "AccessDeniedError",
    "Algorithm",
    "FaultClass",
    "KeyAmbiguousError",
    "KeyCreator",
    "KeyMismatchError",
    "KeyNotFoundError",
    "KeyUnusableError",
    "KeyUriError",
    "PinError",
    "ProviderHealth",
    "PublicKey",
    "SignatureInvalidError",
    "Signer",
    "SignerBusyError",
    "SignerError",
    "SignerProvider",
    "SignerThrottledError",
    "SignerTimeoutError",
    "SignerUnavailableError",
    "VersionedSigner",
]
