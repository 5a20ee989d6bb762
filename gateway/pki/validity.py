"""The validity period of a certificate (RFC 5280 §4.1.2.5)."""

from cryptography import x509

from gateway.pki.errors import PkiError, PkiFault


def require_valid_at(certificate: x509.Certificate, now: float) -> None:
    """*now*, in seconds since the epoch, lies within the period, whose both ends belong to it.

    Raises `PkiError` with `NOT_YET_VALID` or `EXPIRED`.
    """
    if now < certificate.not_valid_before_utc.timestamp():
        raise PkiError(PkiFault.NOT_YET_VALID, "the certificate is not valid yet")
    if now > certificate.not_valid_after_utc.timestamp():
        raise PkiError(PkiFault.EXPIRED, "the certificate has expired")
