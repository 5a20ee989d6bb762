"""Certificates of the gateway's own keys: imported, requested, published."""

from base64 import b64encode
from datetime import datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from gateway.clock import to_datetime
from gateway.keys.model import KeyPurpose, KeyRecord
from gateway.pki.issuance_errors import IssuingError, IssuingFault
from gateway.pki.issuing_ca import extension, load_chain, require_issued_by
from gateway.pki.serials import new_serial
from gateway.pki.signing import sign_certificate, sign_request
from signers import Signer

_CERTIFIES: Final = frozenset({KeyPurpose.CERTIFICATES, KeyPurpose.DELEGATION})


def checked_chain(chain_pem: bytes, record: KeyRecord, now: datetime) -> bytes:
    """*chain_pem* in normal form: PEM of certificates and nothing else, the key's own first.

    Each is issued by the next and valid at *now*; a key that certifies others has a CA's certificate
    (RFC 5280 §4.2.1.9). Raises `IssuingError`.
    """
    chain = load_chain(chain_pem)
    own = chain[0].public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if own != record.public_key_der:
        raise IssuingError(IssuingFault.KEY_MISMATCH, "the first certificate is for another key")
    for certificate, issuer in pairwise(chain):
        require_issued_by(certificate, issuer)
    for certificate in chain:
        if now > certificate.not_valid_after_utc:
            raise IssuingError(IssuingFault.EXPIRED, "a certificate of the chain has expired")
        if now < certificate.not_valid_before_utc:
            raise IssuingError(IssuingFault.NOT_YET_VALID, "a certificate of the chain is not valid yet")
    if record.purpose in _CERTIFIES and not _is_ca(chain[0]):
        raise IssuingError(IssuingFault.NOT_A_CA, "a key that certifies others needs a CA's certificate")
    return b"".join(certificate.public_bytes(Encoding.PEM) for certificate in chain)


def ca_key_identifier(record: KeyRecord) -> str:
    """The subject key identifier of *record*'s CA, hex: its certificate's, or that of RFC 5280 §4.2.1.2."""
    if record.chain_pem and (found := extension(load_chain(record.chain_pem)[0], x509.SubjectKeyIdentifier)):
        return found.value.digest.hex()
    key = load_der_public_key(record.public_key_der)
    return x509.SubjectKeyIdentifier.from_public_key(key).digest.hex()  # type: ignore[arg-type]  # A signer's.


@lru_cache(maxsize=256)
def chain_der(chain_pem: bytes) -> tuple[bytes, ...]:
    """The certificates of a record, DER, the key's own first; none where it has none."""
    if not chain_pem:
        return ()
    return tuple(certificate.public_bytes(Encoding.DER) for certificate in load_chain(chain_pem))


def x5c(chain_pem: bytes) -> list[str]:
    """The certificates as RFC 7517 §4.7 writes them: base64, not base64url, of the DER."""
    return [b64encode(der).decode("ascii") for der in chain_der(chain_pem)]


async def certification_request(signer: Signer, subject: str) -> bytes:
    """A PKCS#10 request (RFC 2986), PEM, for *signer*'s key and *subject* (RFC 4514).

    Raises `ValueError` for the subject, `IssuingError`, `SignerError`.
    """
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name.from_rfc4514_string(subject))
    return (await sign_request(builder, signer)).public_bytes(Encoding.PEM)


async def self_signed(signer: Signer, subject: str, *, now: float, lifetime: timedelta) -> bytes:
    """A CA certificate by *signer*'s key for itself, PEM: a trust anchor that verifiers pin by hand.

    *now* is in seconds since the epoch. Raises as `certification_request`.
    """
    begin = to_datetime(int(now))
    name = x509.Name.from_rfc4514_string(subject)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(signer.public_key)
        .serial_number(new_serial())
        .not_valid_before(begin)
        .not_valid_after(begin + lifetime)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_CA_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(signer.public_key), critical=False)
    )
    return (await sign_certificate(builder, signer)).public_bytes(Encoding.PEM)


_CA_USAGE: Final = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
