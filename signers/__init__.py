"""Signers: "sign these bytes with that key", and nothing about what the bytes mean.

Start at `signers.base`: the `Signer` protocol, the closed table of algorithms, and the error tree.
`signers.registry.open_provider` turns a key URI (``file:``, ``pkcs11:``) into a signer.
"""

from signers.algorithms import Algorithm
from signers.base import PublicKey, Signer
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
    "KeyMismatchError",
    "KeyNotFoundError",
    "KeyUnusableError",
    "KeyUriError",
    "PinError",
    "PublicKey",
    "SignatureInvalidError",
    "Signer",
    "SignerBusyError",
    "SignerError",
    "SignerTimeoutError",
    "SignerUnavailableError",
]
