"""The profile of the Wire end-to-end identity, in both protocol generations, and its provisioner extension.

SOURCE: the recorded exchange of tests/vectors/wire_*.pem; step-ca's ``authority/provisioner`` for the
extension's syntax: SEQUENCE { type INTEGER, name OCTET STRING, credentialID OCTET STRING, keyValuePairs
SEQUENCE OF UTF8String OPTIONAL }.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.pki import der
from gateway.pki.csr import CertificateRequest
from gateway.pki.issuance_errors import RequestError, RequestFault
from gateway.pki.leaf import Leaf
from gateway.pki.name_policy import NamePolicy
from gateway.pki.names import Attribute, DistinguishedName
from gateway.pki.profile import CertificateProfile, RawExtension, Validity
from signers import PublicKey

PROVISIONER_OID = "1.3.6.1.4.1.37476.9000.64.1"
DISPLAY_NAME_OID = "2.16.840.1.113730.3.1.241"
"""displayName (RFC 2798 §2.3), which a Wire request carries in place of a common name."""

URI_SCHEMES = frozenset({"im", "wireapp"})
"""``im:wireapp=...`` of the first generation, and ``wireapp://...`` of the second."""

_ORGANIZATION = "2.5.4.10"
_COMMON_NAME = "2.5.4.3"
_INTEGER, _OCTET_STRING, _SEQUENCE = 0x02, 0x04, 0x30
# Wire's messages may be decrypted, and their sender's certificate shown, 28 days later.
_DEFAULT_LIFETIME = timedelta(days=90)


class ProvisionerType(IntEnum):
    """The provisioner's kind, as the extension numbers it."""

    ACME = 6


@dataclass(frozen=True, slots=True)
class ProvisionerExtension:
    """Which provisioner issued a certificate; not critical."""

    name: str
    type: ProvisionerType = ProvisionerType.ACME
    credential_id: str = ""
    key_value_pairs: tuple[str, ...] = ()

    @property
    def raw(self) -> RawExtension:
        """The extension in DER."""
        content = (
            der.encode(_INTEGER, self.type.to_bytes(1, "big"))
            + der.encode(_OCTET_STRING, self.name.encode())
            + der.encode(_OCTET_STRING, self.credential_id.encode())
        )
        if self.key_value_pairs:
            pairs = b"".join(der.encode(der.UTF8_STRING, pair.encode()) for pair in self.key_value_pairs)
            content += der.encode(_SEQUENCE, pairs)
        return RawExtension(PROVISIONER_OID, der.encode(_SEQUENCE, content))


@dataclass(frozen=True, slots=True)
class WireNames:
    """Whom a Wire certificate names: *display_name*, *domain*, and the URIs of *handle* and *client_id*."""

    display_name: str
    domain: str
    handle: str
    client_id: str

    def require_in(self, request: CertificateRequest) -> None:
        """*request* carries these names and no others.

        Its subject is the domain as O, in any case, and the display name, in displayName; it has no common
        name; its alternative names are the two URIs, in which ``!`` and ``%21`` are one. Raises
        `RequestError` with `SUBJECT_MISMATCH`, `COMMON_NAME_MISMATCH`, `SAN_KIND`, `MISSING_SAN` or
        `UNEXPECTED_SAN`.
        """
        subject, names = request.subject, request.names
        if request.common_name is not None:
            raise RequestError(RequestFault.COMMON_NAME_MISMATCH, "a Wire request has no common name")
        if {attribute.oid for rdn in subject.rdns for attribute in rdn} - {_ORGANIZATION, DISPLAY_NAME_OID}:
            raise RequestError(RequestFault.SUBJECT_MISMATCH, "the subject has more than O and displayName")
        if subject.values(DISPLAY_NAME_OID) != (self.display_name,):
            raise RequestError(RequestFault.SUBJECT_MISMATCH, "displayName is not the name of the order")
        organizations = [str(value).casefold() for value in subject.values(_ORGANIZATION)]
        if organizations != [self.domain.casefold()]:
            raise RequestError(RequestFault.SUBJECT_MISMATCH, "O is not the domain of the order")
        if names.dns or names.ip or names.email:
            raise RequestError(RequestFault.SAN_KIND, "a Wire request names URIs only")
        expected = {_plain(self.handle), _plain(self.client_id)}
        requested = {_plain(uri) for uri in names.uri}
        if expected - requested:
            raise RequestError(RequestFault.MISSING_SAN, "the request lacks a URI of the order")
        if len(names.uri) != len(expected):
            raise RequestError(RequestFault.UNEXPECTED_SAN, "the request has a URI that the order has not")

    @property
    def subject(self) -> DistinguishedName:
        """The certificate's subject: O and CN."""
        return DistinguishedName.of(
            ((Attribute(_ORGANIZATION, self.domain),), (Attribute(_COMMON_NAME, self.display_name),))
        )

    @property
    def uris(self) -> tuple[x509.UniformResourceIdentifier, ...]:
        """The certificate's alternative names: the handle's URI before the client's, as recorded."""
        return tuple(x509.UniformResourceIdentifier(uri) for uri in (self.handle, self.client_id))

    def leaf(self, public_key: PublicKey) -> Leaf:
        """What the certificate certifies."""
        return Leaf(public_key, self.subject, self.uris)


def wire_profile(
    provisioner: str,
    *,
    domains: frozenset[str] | None = None,
    validity: Validity | None = None,
    crl_urls: tuple[str, ...] = (),
    ocsp_urls: tuple[str, ...] = (),
    ca_issuers_urls: tuple[str, ...] = (),
) -> CertificateProfile:
    """The profile of Wire certificates: O and CN, two URIs, digitalSignature, clientAuth.

    *provisioner* is the name in the provisioner extension; *domains* are the only values of O, None any.
    """
    both = frozenset({_ORGANIZATION, _COMMON_NAME})
    return CertificateProfile(
        validity=validity or Validity(_DEFAULT_LIFETIME),
        names=NamePolicy(
            subject_types=both,
            required_types=both,
            organizations=domains,
            uri_schemes=URI_SCHEMES,
            minimum_names=2,
            maximum_names=2,
        ),
        extended_key_usage=(ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string,),
        crl_urls=crl_urls,
        ocsp_urls=ocsp_urls,
        ca_issuers_urls=ca_issuers_urls,
        extra_extensions=(ProvisionerExtension(provisioner).raw,),
    )


def _plain(uri: str) -> str:
    """Go's URL printer, which other servers' clients meet, writes the separator of a client id as ``%21``."""
    return uri.replace("%21", "!")
