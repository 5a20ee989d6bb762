"""A signature made only to see whether the signer works."""

import secrets

from signers.base import Signer
from signers.verification import verify

_PREFIX = b"countersign signer check\0"


async def probe(signer: Signer) -> None:
    """Sign a fresh probe and verify it. Raises the `SignerError` that a caller would meet.

    The probe holds a NUL, so it can be neither a JWS signing input nor, starting as it does, DER.
    """
    message = _PREFIX + secrets.token_bytes(16)
    verify(signer.public_key, signer.algorithm, message, await signer.sign(message))
