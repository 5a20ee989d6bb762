"""Certificates to pin a signer's key to."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from signers import Algorithm, PublicKey
from signers.key_files import generate_private_key


def issued(public_key: PublicKey) -> x509.Certificate:
    """A certificate over *public_key*, valid now, from an issuer that is forgotten at once."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "signer test")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(1)
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .sign(generate_private_key(Algorithm.ES256), hashes.SHA256())
    )
