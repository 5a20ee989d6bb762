"""The certificate that a TLS peer presented, as what a token is bound to (RFC 8705 §3.1)."""

import hashlib
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

MAX_SIZE: Final = 32 * 1024  # octets of PEM or DER


class CertificateUnreadableError(ValueError):
    """The text is not one certificate."""


def certificate_of_pem(pem: bytes) -> bytes:
    """The DER of the first certificate of *pem*. Raises `CertificateUnreadableError`."""
    if len(pem) > MAX_SIZE:
        raise CertificateUnreadableError("the certificate is too large")
    return _der_of_pem(pem)


def certificate_of_der(der: bytes) -> bytes:
    """*der*, which is one certificate and nothing else. Raises `CertificateUnreadableError`."""
    if len(der) > MAX_SIZE:
        raise CertificateUnreadableError("the certificate is too large")
    return _der_of_der(der)


def certificate_thumbprint(der: bytes) -> bytes:
    """``x5t#S256``: SHA-256 of the DER, 32 octets."""
    return hashlib.sha256(der).digest()


# A connection's certificate comes with each of its calls.
@lru_cache(maxsize=1024)
def _der_of_pem(pem: bytes) -> bytes:
    try:
        return x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    except ValueError as error:
        raise CertificateUnreadableError("the text is not a PEM certificate") from error


@lru_cache(maxsize=1024)
def _der_of_der(der: bytes) -> bytes:
    try:
        return x509.load_der_x509_certificate(der).public_bytes(Encoding.DER)
    except ValueError as error:
        raise CertificateUnreadableError("the octets are not a certificate") from error
