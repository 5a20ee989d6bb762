"""An issuing CA: its certificate, the chain above it, and the signer that holds its key."""

from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.pki.issuance_errors import IssuingError, IssuingFault
from gateway.pki.issuer_constraints import IssuerConstraints
from gateway.pki.signing import require_x509_algorithm
from signers import Signer

MAX_CHAIN = 8  # certificates
MAX_PEM = 128 * 1024  # octets

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)


@dataclass(frozen=True, slots=True)
class IssuingCa:
    """A CA that was checked and may issue.

    *chain* is the CA's own certificate and those above it, each issued by the next. *key_identifier* is the
    CA's subject key identifier, which becomes its certificates' authority key identifier. All certificates of
    the chain are valid from *not_before* to *not_after*, UTC. *constraints* are the chain's name constraints.
    *pem* is what follows a leaf in a chain that is served: every certificate but a self-issued root.
    """

    chain: tuple[x509.Certificate, ...]
    signer: Signer
    key_identifier: bytes
    not_before: datetime
    not_after: datetime
    constraints: IssuerConstraints
    may_sign_crls: bool
    pem: bytes

    @classmethod
    def open(cls, chain_pem: bytes, signer: Signer, now: datetime) -> "IssuingCa":
        """The CA whose *chain_pem* starts with the certificate of *signer*'s key, at *now* (UTC).

        The root may be left out. Raises `IssuingError` with `UNSUPPORTED_ALGORITHM`, `MALFORMED_CHAIN`,
        `CHAIN_TOO_LONG`, `KEY_MISMATCH`, `NOT_A_CA`, `MISSING_KEY_IDENTIFIER`, `PATH_LENGTH`, `BROKEN_CHAIN`,
        `NOT_YET_VALID` or `EXPIRED`.
        """
        require_x509_algorithm(signer.algorithm)
        chain = load_chain(chain_pem)
        require_key(chain[0], signer)
        for position, certificate in enumerate(chain):
            _require_ca(certificate, below=position)
        for certificate, issuer in pairwise(chain):
            require_issued_by(certificate, issuer)
        ca = cls(
            chain,
            signer,
            _key_identifier(chain[0]),
            max(certificate.not_valid_before_utc for certificate in chain),
            min(certificate.not_valid_after_utc for certificate in chain),
            IssuerConstraints.of(chain),
            _may_sign_crls(chain[0]),
            _served_pem(chain),
        )
        ca.require_valid_at(now)
        return ca

    @property
    def certificate(self) -> x509.Certificate:
        """The CA's own certificate."""
        return self.chain[0]

    def require_valid_at(self, now: datetime) -> None:
        """Every certificate of the chain is valid at *now*.

        Raises `IssuingError` with `NOT_YET_VALID` or `EXPIRED`.
        """
        if now < self.not_before:
            raise IssuingError(IssuingFault.NOT_YET_VALID, "a certificate of the chain is not valid yet")
        if now > self.not_after:
            raise IssuingError(IssuingFault.EXPIRED, "a certificate of the chain has expired")


def load_chain(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of *pem*, which holds nothing else.

    Raises `IssuingError` with `MALFORMED_CHAIN` or `CHAIN_TOO_LONG`.
    """
    if len(pem) > MAX_PEM:
        raise IssuingError(IssuingFault.CHAIN_TOO_LONG, f"the chain exceeds {MAX_PEM} octets")
    try:
        chain = tuple(x509.load_pem_x509_certificates(pem))
    except ValueError as error:
        raise IssuingError(IssuingFault.MALFORMED_CHAIN, "the chain is no PEM of certificates") from error
    if len(chain) != pem.count(b"-----BEGIN "):
        raise IssuingError(IssuingFault.MALFORMED_CHAIN, "the chain holds more than certificates")
    if len(chain) > MAX_CHAIN:
        raise IssuingError(IssuingFault.CHAIN_TOO_LONG, f"the chain has more than {MAX_CHAIN} certificates")
    return chain


def require_key(certificate: x509.Certificate, signer: Signer) -> None:
    """*certificate* is for *signer*'s key. Raises `IssuingError` with `KEY_MISMATCH`."""
    try:
        mine = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise IssuingError(IssuingFault.MALFORMED_CHAIN, "the certificate's key cannot be read") from error
    if mine != signer.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo):
        raise IssuingError(IssuingFault.KEY_MISMATCH, "the certificate is for another key than the signer's")


def require_issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> None:
    """*issuer* signed *certificate*, names and key identifiers agree.

    Raises `IssuingError` with `BROKEN_CHAIN`.
    """
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm) as error:
        raise IssuingError(IssuingFault.BROKEN_CHAIN, "a certificate was not issued by the next") from error
    authority = extension(certificate, x509.AuthorityKeyIdentifier)
    subject = extension(issuer, x509.SubjectKeyIdentifier)
    if (
        authority is not None
        and subject is not None
        and authority.value.key_identifier not in (None, subject.value.digest)
    ):
        raise IssuingError(IssuingFault.BROKEN_CHAIN, "a certificate names another key of its issuer")


def extension(certificate: x509.Certificate, kind: type[_Extension]) -> x509.Extension[_Extension] | None:
    """The extension of type *kind*, or None. Raises `IssuingError` with `MALFORMED_CHAIN`."""
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise IssuingError(IssuingFault.MALFORMED_CHAIN, "the extensions cannot be read") from error


def _require_ca(certificate: x509.Certificate, *, below: int) -> None:
    """RFC 5280 §4.2.1.9 and §4.2.1.3; *below* intermediates stand between it and the leaf."""
    constraints = extension(certificate, x509.BasicConstraints)
    if constraints is None or not constraints.critical or not constraints.value.ca:
        raise IssuingError(IssuingFault.NOT_A_CA, "no CA by a critical basicConstraints")
    usage = extension(certificate, x509.KeyUsage)
    if usage is not None and not usage.value.key_cert_sign:
        raise IssuingError(IssuingFault.NOT_A_CA, "the key usage does not allow to sign certificates")
    length = constraints.value.path_length
    if length is not None and length < below:
        raise IssuingError(IssuingFault.PATH_LENGTH, f"the path length {length} allows no {below} below it")


def _key_identifier(certificate: x509.Certificate) -> bytes:
    """RFC 5280 §4.2.1.2: every CA has one, and its certificates name it."""
    identifier = extension(certificate, x509.SubjectKeyIdentifier)
    if identifier is None:
        raise IssuingError(IssuingFault.MISSING_KEY_IDENTIFIER, "the CA has no subject key identifier")
    return identifier.value.digest


def _served_pem(chain: tuple[x509.Certificate, ...]) -> bytes:
    return b"".join(
        certificate.public_bytes(Encoding.PEM)
        for position, certificate in enumerate(chain)
        if position == 0 or certificate.subject != certificate.issuer
    )


def _may_sign_crls(certificate: x509.Certificate) -> bool:
    usage = extension(certificate, x509.KeyUsage)
    return usage is None or usage.value.crl_sign
