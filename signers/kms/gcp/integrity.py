"""The CRC32C fields of Cloud KMS: of what was sent, and of what came back.

SOURCE: Cloud KMS documentation, "Verifying end-to-end data integrity", and API v1, AsymmetricSignResponse: a
response whose checksum does not match is discarded, and the request made again a few times.
"""

import google_crc32c

from signers.errors import SignerUnavailableError


def crc32c(data: bytes) -> int:
    """CRC32C (RFC 3720 §12.1), as an unsigned number of 32 bits."""
    checksum: int = google_crc32c.value(data)
    return checksum


def require_intact(data: bytes, checksum: int | None, what: str, *, key: str) -> None:
    """Compare *data* with the *checksum* that came with it. Raises `SignerUnavailableError`, which is tried
    again: a reply that was damaged on its way says nothing about the next.
    """
    if checksum != crc32c(data):
        raise SignerUnavailableError(
            f"The {what} was damaged on its way: its CRC32C does not match.", key=key
        )
