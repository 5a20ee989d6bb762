"""Which certificate a client registered for `tls_client_auth` (RFC 8705 §2.1.2), and whether one is it."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import TypeAlias

from cryptography import x509

from gateway.pki.errors import PkiError, PkiFault
from gateway.pki.names import DistinguishedName
from gateway.pki.subject_alternative_names import CertificateNames, names_of, normal_email

MAX_VALUE = 4096  # characters

_DNS_NAME = re.compile(
    r"(?=.{1,253}\Z)[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?)*"
)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[\x21-\x7e]+")
_EMAIL = re.compile(r"[\x21-\x3f\x41-\x7e]{1,64}@[A-Za-z0-9.-]{1,253}")

_Expected: TypeAlias = DistinguishedName | IPv4Address | IPv6Address | str


class IdentityKind(StrEnum):
    """Which name of the certificate is compared; the value is the registration parameter's last part."""

    SUBJECT_DN = "subject_dn"
    SAN_DNS = "san_dns"
    SAN_URI = "san_uri"
    SAN_IP = "san_ip"
    SAN_EMAIL = "san_email"

    @property
    def parameter(self) -> str:
        """The client metadata parameter, such as ``tls_client_auth_san_dns``."""
        return f"tls_client_auth_{self.value}"


@dataclass(frozen=True, slots=True)
class CertificateIdentity:
    """Exactly one expected name. *value* is the text as registered; equality is that of the names."""

    kind: IdentityKind
    value: str
    _expected: _Expected

    @classmethod
    def parse(cls, kind: IdentityKind, value: str) -> "CertificateIdentity":
        """A registered name: an RFC 4514 string, a DNS name (A-labels, no wildcard), a URI, an IP address in
        text, or an email address (ASCII).

        Raises `PkiError` with `INVALID_IDENTITY`.
        """
        if not 1 <= len(value) <= MAX_VALUE:
            raise PkiError(PkiFault.INVALID_IDENTITY, f"{kind.parameter} is not 1 to {MAX_VALUE} characters")
        try:
            expected = _PARSERS[kind](value)
        except (PkiError, ValueError) as error:
            message = f"{kind.parameter} cannot be read: {error}"
            raise PkiError(PkiFault.INVALID_IDENTITY, message) from error
        return cls(kind, value, expected)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str | None]) -> "CertificateIdentity":
        """The identity among client metadata: exactly one of the five ``tls_client_auth_`` parameters is set.

        An empty value counts as absent. Raises `PkiError` with `IDENTITY_COUNT` or `INVALID_IDENTITY`.
        """
        given = [(kind, value) for kind in IdentityKind if (value := metadata.get(kind.parameter))]
        if len(given) != 1:
            raise PkiError(PkiFault.IDENTITY_COUNT, f"{len(given)} certificate names are registered, not one")
        return cls.parse(*given[0])

    def match(self, certificate: x509.Certificate) -> None:
        """*certificate*, the leaf, carries the registered name.

        Says nothing about trust: `ClientTrust` verifies the chain. Raises `PkiError` with `SUBJECT_MISMATCH`,
        `MALFORMED_CERTIFICATE` or `INVALID_NAME`.
        """
        if not _carries(names_of(certificate), self.kind, self._expected):
            raise PkiError(PkiFault.SUBJECT_MISMATCH, f"the certificate does not carry the {self.kind}")


def _carries(names: CertificateNames, kind: IdentityKind, expected: _Expected) -> bool:
    match kind:
        case IdentityKind.SUBJECT_DN:
            return names.subject == expected
        case IdentityKind.SAN_DNS:
            return expected in names.alternative.dns
        case IdentityKind.SAN_URI:
            return expected in names.alternative.uri
        case IdentityKind.SAN_IP:
            return expected in names.alternative.ip
        case IdentityKind.SAN_EMAIL:
            return expected in names.alternative.email


def _subject_dn(value: str) -> DistinguishedName:
    name = DistinguishedName.parse(value)
    if not name:
        raise ValueError("the name is empty")
    return name


def _dns_name(value: str) -> str:
    folded = value.lower()
    if _DNS_NAME.fullmatch(folded) is None:
        raise ValueError("it is not a DNS name")
    return folded


def _uri(value: str) -> str:
    if _URI.fullmatch(value) is None:
        raise ValueError("it is not an absolute URI")
    return value


def _ip(value: str) -> IPv4Address | IPv6Address:
    if "%" in value:
        raise ValueError("an address with a zone cannot stand in a certificate")
    return ip_address(value)


def _email(value: str) -> str:
    if _EMAIL.fullmatch(value) is None:
        raise ValueError("it is not an email address")
    return normal_email(value)


_PARSERS: Mapping[IdentityKind, Callable[[str], _Expected]] = {
    IdentityKind.SUBJECT_DN: _subject_dn,
    IdentityKind.SAN_DNS: _dns_name,
    IdentityKind.SAN_URI: _uri,
    IdentityKind.SAN_IP: _ip,
    IdentityKind.SAN_EMAIL: _email,
}
