"""The subject alternative names of a certificate (RFC 5280 §4.2.1.6), typed and in comparable form."""

from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509

from gateway.pki.errors import PkiError, PkiFault
from gateway.pki.names import DistinguishedName

CACHE_ENTRIES = 512


@dataclass(frozen=True, slots=True)
class SubjectAlternativeNames:
    """What a certificate's extension lists, each in the form in which it compares.

    - *dns*: lower case; a wildcard stays the literal text that it is.
    - *uri*: octet for octet as in the certificate.
    - *ip*: addresses, which compare as numbers; IPv4 and IPv4-mapped IPv6 differ.
    - *email*: the local part as it is, the domain in lower case.
    """

    dns: frozenset[str] = frozenset()
    uri: frozenset[str] = frozenset()
    ip: frozenset[IPv4Address | IPv6Address] = frozenset()
    email: frozenset[str] = frozenset()

    @classmethod
    def of(cls, certificate: x509.Certificate) -> "SubjectAlternativeNames":
        """The names of *certificate*; empty where it has no such extension, as in X.509 v1.

        Raises `PkiError` with `MALFORMED_CERTIFICATE`.
        """
        try:
            extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return _NONE
        except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
            raise PkiError(PkiFault.MALFORMED_CERTIFICATE, "the extensions cannot be read") from error
        addresses = extension.get_values_for_type(x509.IPAddress)
        return cls(
            dns=frozenset(name.lower() for name in extension.get_values_for_type(x509.DNSName)),
            uri=frozenset(extension.get_values_for_type(x509.UniformResourceIdentifier)),
            ip=frozenset(item for item in addresses if isinstance(item, IPv4Address | IPv6Address)),
            email=frozenset(normal_email(name) for name in extension.get_values_for_type(x509.RFC822Name)),
        )


@dataclass(frozen=True, slots=True)
class CertificateNames:
    """Everything that a certificate calls its subject."""

    subject: DistinguishedName
    alternative: SubjectAlternativeNames


@lru_cache(maxsize=CACHE_ENTRIES)
def names_of(certificate: x509.Certificate) -> CertificateNames:
    """The names of *certificate*, kept for certificates seen lately.

    Raises `PkiError` with `MALFORMED_CERTIFICATE` or `INVALID_NAME`.
    """
    try:
        subject = certificate.subject
    except ValueError as error:
        raise PkiError(PkiFault.MALFORMED_CERTIFICATE, "the subject cannot be read") from error
    return CertificateNames(DistinguishedName.from_x509(subject), SubjectAlternativeNames.of(certificate))


def normal_email(address: str) -> str:
    """The local part as it is and the domain in lower case (RFC 5280 §7.5)."""
    local, at, domain = address.rpartition("@")
    return f"{local}{at}{domain.lower()}"


_NONE = SubjectAlternativeNames()
