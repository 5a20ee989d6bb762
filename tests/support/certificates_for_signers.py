"""Certificates to pin a signer's key to, and for a signer to sign."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from signers import Algorithm, PublicKey
from signers.key_files import generate_private_key

_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer test")])


def issued(public_key: PublicKey) -> x509.Certificate:
    """A certificate over *public_key*, valid now, from an issuer that is forgotten at once."""
    return _valid_now(public_key).sign(generate_private_key(Algorithm.ES256), hashes.SHA256())


def named_request() -> x509.CertificateSigningRequestBuilder:
    """A certification request to be signed."""
    return x509.CertificateSigningRequestBuilder().subject_name(_NAME)


def self_issued(public_key: PublicKey) -> x509.CertificateBuilder:
    """A root certificate over *public_key*, to be signed by its own key."""
    return _valid_now(public_key).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), critical=True
    )


def _valid_now(public_key: PublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_NAME)
        .issuer_name(_NAME)
        .public_key(public_key)
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
    )
