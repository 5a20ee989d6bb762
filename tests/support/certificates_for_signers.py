"""A certificate to pin a signer's key to."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from signers.key_files import PrivateKey


def self_signed(private_key: PrivateKey) -> x509.Certificate:
    """A certificate over *private_key*'s public half, valid now; EC and RSA."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer test")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private_key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .sign(private_key, hashes.SHA256())
    )
