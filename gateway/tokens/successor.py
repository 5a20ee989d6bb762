"""The successor of a rotated refresh token, kept so that only who presents the old one can read it.

A client that lost the answer to its rotation asks again and gets the same successor. The key is derived from
the presented token, 256 random bits that the database does not hold (HKDF-SHA256, RFC 5869): a copy of the
database reveals no successor.
"""

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_NONCE_SIZE: Final = 12
_INFO: Final = b"countersign refresh token successor"


class SuccessorUnreadableError(Exception):
    """What was kept was not sealed under this token: the row is corrupt."""


def seal(presented: str, successor: str) -> bytes:
    """*successor*, readable to who holds *presented*: nonce and AES-256-GCM ciphertext."""
    nonce = secrets.token_bytes(_NONCE_SIZE)
    return nonce + AESGCM(_key(presented)).encrypt(nonce, successor.encode("ascii"), None)


def unseal(presented: str, sealed: bytes) -> str:
    """The successor. Raises `SuccessorUnreadableError`."""
    try:
        plain = AESGCM(_key(presented)).decrypt(sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:], None)
    except InvalidTag as error:
        raise SuccessorUnreadableError from error
    return plain.decode("ascii")


def _key(presented: str) -> bytes:
    kdf = HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=_INFO)
    return kdf.derive(presented.encode("ascii"))
