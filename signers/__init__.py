"""Signers: "sign these bytes with that key", and nothing about what the bytes mean.

Start at `signers.base`: the `Signer` protocol, the closed table of algorithms, and the error tree.
`signers.registry.SignerRegistry` turns a key URI (``file:``, ``pkcs11:``) into a signer.
"""

from signers.algorithms import Algorithm
from signers.base import KeyCreator, ProviderHealth, PublicKey, Signer, SignerProvider
from signers.errors import (
    KeyAmbiguousError,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
    PinError,
    SignatureInvalidError,
    SignerBusyError,
    SignerError,
    SignerTimeoutError,
    SignerUnavailableError,
)

__all__ = [
    "Algorithm",
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
    "SignerTimeoutError",
    "SignerUnavailableError",
]
