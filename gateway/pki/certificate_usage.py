"""What a certificate may be used for: as a configured CA, and as a TLS client's own (RFC 5280 §4.2.1)."""

from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.pki.errors import PkiError, PkiFault

MIN_RSA_BITS = 2048

_CA_CURVES = frozenset({"secp256r1", "secp384r1", "secp521r1"})
_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


def require_ca(certificate: x509.Certificate, code: PkiFault) -> None:
    """*certificate* can issue: a critical ``cA``, ``keyCertSign`` where key usage is stated, a supported key.

    Raises `PkiError` with *code*, at configuration time rather than as a refusal of every client later.
    """
    try:
        constraints = _extension(certificate, x509.BasicConstraints)
        usage = _extension(certificate, x509.KeyUsage)
    except PkiError as error:
        raise PkiError(code, "the certificate cannot be read") from error
    if constraints is None or not constraints.critical or not constraints.value.ca:
        raise PkiError(code, "the certificate is not a CA by a critical basicConstraints")
    if usage is not None and not usage.value.key_cert_sign:
        raise PkiError(code, "the key usage does not allow to sign certificates")
    if not _has_ca_key(certificate):
        raise PkiError(code, "the CA key is neither RSA of 2048 bits or more nor P-256, P-384 or P-521")


def require_client_usage(leaf: x509.Certificate) -> None:
    """*leaf* is an end entity that may authenticate a TLS client.

    Not a CA; digitalSignature where key usage is stated (RFC 8446 §4.4.2.4); clientAuth where extended key
    usage is stated; no RSA key below 2048 bits. Raises `PkiError` with `WRONG_USAGE`.
    """
    constraints = _extension(leaf, x509.BasicConstraints)
    if constraints is not None and constraints.value.ca:
        raise PkiError(PkiFault.WRONG_USAGE, "the certificate is a CA")
    usage = _extension(leaf, x509.KeyUsage)
    if usage is not None and (usage.value.key_cert_sign or not usage.value.digital_signature):
        raise PkiError(PkiFault.WRONG_USAGE, "the key usage is not that of a TLS client")
    extended = _extension(leaf, x509.ExtendedKeyUsage)
    if extended is not None and ExtendedKeyUsageOID.CLIENT_AUTH not in extended.value:
        raise PkiError(PkiFault.WRONG_USAGE, "the extended key usage lacks clientAuth")
    key = _public_key(leaf)
    if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA_BITS:
        raise PkiError(PkiFault.WRONG_USAGE, f"the RSA key has fewer than {MIN_RSA_BITS} bits")


def _has_ca_key(certificate: x509.Certificate) -> bool:
    key = _public_key(certificate)
    if isinstance(key, RSAPublicKey):
        return key.key_size >= MIN_RSA_BITS
    return isinstance(key, EllipticCurvePublicKey) and key.curve.name in _CA_CURVES


def _public_key(certificate: x509.Certificate) -> object:
    """The key, or None where it is of a kind that cannot be read; only RSA and EC keys are looked at."""
    try:
        return certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _extension(certificate: x509.Certificate, kind: type[_Extension]) -> x509.Extension[_Extension] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise PkiError(PkiFault.MALFORMED_CERTIFICATE, "the extensions cannot be read") from error
