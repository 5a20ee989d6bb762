"""Certification requests (PKCS#10, RFC 2986): parsed once, strictly, into a frozen value.

A request proves the possession of its key and asks for names; it decides nothing. What it may ask for is said
by `CertificateProfile`, and which names it must carry by whoever knows the order.
"""

from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import AttributeOID, ExtensionOID

from gateway.pki.errors import PkiError
from gateway.pki.issuance_errors import RequestError, RequestFault
from gateway.pki.key_strength import require_strong_key
from gateway.pki.name_text import require_name_text
from gateway.pki.names import DistinguishedName
from gateway.pki.requested_names import requested_names
from gateway.pki.subject_alternative_names import SubjectAlternativeNames
from signers import PublicKey

MAX_REQUEST = 16 * 1024  # octets of DER; an RSA-8192 request with a hundred names has about half.
MAX_RDNS = 16
COMMON_NAME = "2.5.4.3"

EXTENSION_REQUEST = "1.2.840.113549.1.9.14"
"""The only attribute that a request may carry (RFC 2985 §5.4.2)."""

_PASSWORD = AttributeOID.CHALLENGE_PASSWORD.dotted_string
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
_EXTENSIONS = frozenset(
    {
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    }
)


@dataclass(frozen=True, slots=True)
class CertificateRequest:
    """A request whose self-signature verifies and whose key is strong.

    *names* are the requested subject alternative names. *extensions* are all requested ones, in order; those
    beside the names are wishes that a profile compares with its own and never copies. *attributes* are the
    dotted OIDs of all attributes: none, or `EXTENSION_REQUEST`.
    """

    public_key: PublicKey
    subject: DistinguishedName
    names: SubjectAlternativeNames
    extensions: tuple[x509.Extension[x509.ExtensionType], ...]
    attributes: tuple[str, ...]

    @classmethod
    def parse(cls, der: bytes) -> "CertificateRequest":
        """Parse the DER of a request of at most `MAX_REQUEST` octets.

        Raises `RequestError`: a fault of form, key, attributes and extensions, subject, text or names; see
        `RequestFault`.
        """
        if len(der) > MAX_REQUEST:
            raise RequestError(RequestFault.TOO_LARGE, f"the request exceeds {MAX_REQUEST} octets")
        try:
            request = x509.load_der_x509_csr(der)
        except (ValueError, x509.InvalidVersion) as error:
            raise RequestError(RequestFault.MALFORMED, "the request is no PKCS#10 in DER") from error
        public_key = _public_key(request)
        _require_signature(request)
        attributes = _attributes(request)
        extensions = _extensions(request)
        return cls(public_key, _subject(request), _names(extensions), extensions, attributes)

    @property
    def common_name(self) -> str | None:
        """The subject's only commonName, or None."""
        values = self.subject.values(COMMON_NAME)
        return str(values[0]) if values else None

    def require_key(self, expected: PublicKey) -> None:
        """The request is for *expected*. Raises `RequestError` with `KEY_MISMATCH`."""
        if self.public_key != expected:
            raise RequestError(
                RequestFault.KEY_MISMATCH, "the request is for another key than the proven one"
            )

    def refuse_key(self, account_key: PublicKey) -> None:
        """The request is for another key than *account_key* (RFC 8555 §11.1).

        Raises `RequestError` with `ACCOUNT_KEY_REUSED`.
        """
        if self.public_key == account_key:
            raise RequestError(RequestFault.ACCOUNT_KEY_REUSED, "the request is for the account's own key")


def _public_key(request: x509.CertificateSigningRequest) -> PublicKey:
    try:
        loaded = request.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise RequestError(RequestFault.UNSUPPORTED_KEY, "the key of the request cannot be read") from error
    key = require_strong_key(loaded)
    # The certificate will carry the key in its usual encoding, and the client compares octets. Explicit curve
    # parameters (RFC 5480 §2.1.1), compressed points and keys bound to RSASSA-PSS are encoded otherwise.
    usual = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if usual not in request.tbs_certrequest_bytes:
        raise RequestError(RequestFault.UNSUPPORTED_KEY, "the key of the request is encoded unusually")
    return key


def _require_signature(request: x509.CertificateSigningRequest) -> None:
    try:
        digest = request.signature_hash_algorithm  # None for Ed25519.
        if digest is not None and not isinstance(digest, _HASHES):
            raise RequestError(
                RequestFault.WEAK_SIGNATURE_ALGORITHM, "the request is signed with a weak hash"
            )
        valid = request.is_signature_valid
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise RequestError(
            RequestFault.BAD_SIGNATURE, "the signature of the request cannot be read"
        ) from error
    if not valid:
        raise RequestError(RequestFault.BAD_SIGNATURE, "the request is not signed with its own key")


def _attributes(request: x509.CertificateSigningRequest) -> tuple[str, ...]:
    try:
        attributes = tuple(attribute.oid.dotted_string for attribute in request.attributes)
    except ValueError as error:
        raise RequestError(RequestFault.MALFORMED, "the attributes of the request cannot be read") from error
    if len(set(attributes)) != len(attributes):
        raise RequestError(RequestFault.DUPLICATE_ATTRIBUTE, "an attribute stands twice in the request")
    for oid in attributes:
        if oid != EXTENSION_REQUEST:
            what = "a challenge password" if oid == _PASSWORD else "an unknown attribute"
            raise RequestError(RequestFault.UNEXPECTED_ATTRIBUTE, f"the request carries {what}")
    return attributes


def _extensions(request: x509.CertificateSigningRequest) -> tuple[x509.Extension[x509.ExtensionType], ...]:
    try:
        extensions = tuple(request.extensions)
    except x509.DuplicateExtension as error:
        raise RequestError(RequestFault.DUPLICATE_EXTENSION, "an extension is requested twice") from error
    except x509.UnsupportedGeneralNameType as error:
        raise RequestError(RequestFault.SAN_KIND, "a requested name is of an unknown kind") from error
    except (ValueError, TypeError) as error:
        raise RequestError(RequestFault.MALFORMED, "a requested extension cannot be read") from error
    for extension in extensions:
        if extension.oid not in _EXTENSIONS:
            oid = extension.oid.dotted_string
            raise RequestError(
                RequestFault.UNKNOWN_EXTENSION, f"the extension {oid} is not issued on request"
            )
        if isinstance(extension.value, x509.BasicConstraints) and extension.value.ca:
            raise RequestError(RequestFault.CA_REQUESTED, "the request is for a CA")
    return extensions


def _names(extensions: tuple[x509.Extension[x509.ExtensionType], ...]) -> SubjectAlternativeNames:
    for extension in extensions:
        if isinstance(extension.value, x509.SubjectAlternativeName):
            return requested_names(extension.value)
    return SubjectAlternativeNames()


def _subject(request: x509.CertificateSigningRequest) -> DistinguishedName:
    try:
        name = request.subject
    except ValueError as error:
        raise RequestError(RequestFault.INVALID_SUBJECT, "the subject cannot be read") from error
    if len(name.rdns) > MAX_RDNS or any(len(rdn) != 1 for rdn in name.rdns):
        raise RequestError(
            RequestFault.INVALID_SUBJECT, f"the subject has more than {MAX_RDNS} parts, or a part of several"
        )
    for attribute in name:
        if not isinstance(attribute.value, str):
            raise RequestError(RequestFault.INVALID_SUBJECT, "a value of the subject is no text")
        require_name_text(attribute.value)
    try:
        subject = DistinguishedName.from_x509(name)
    except PkiError as error:
        raise RequestError(RequestFault.INVALID_SUBJECT, "the subject cannot be compared") from error
    if len(subject.values(COMMON_NAME)) > 1:
        raise RequestError(RequestFault.MULTIPLE_COMMON_NAMES, "the subject has several common names")
    return subject
