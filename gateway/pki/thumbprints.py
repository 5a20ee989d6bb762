"""Certificate thumbprints."""

import base64
import hashlib


def x5t_s256(der: bytes) -> str:
    """``x5t#S256`` of a certificate: base64url without padding of SHA-256 over its DER (RFC 8705 §3.1).

    Always 43 characters.
    """
    return base64.urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode("ascii")
