"""Issuing one certificate: profile, leaf and CA become the DER of an X.509 certificate."""

from collections.abc import Iterator
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID

from gateway.pki.issuance_errors import IssuingError, IssuingFault, RequestError, RequestFault
from gateway.pki.issuing_ca import IssuingCa
from gateway.pki.leaf import Leaf
from gateway.pki.names import DistinguishedName
from gateway.pki.profile import ISSUER_PLACE, CertificateProfile, Window
from gateway.pki.serials import require_serial
from gateway.pki.signing import sign_certificate
from signers import PublicKey


async def issue(
    profile: CertificateProfile, leaf: Leaf, ca: IssuingCa, *, serial: int, now: datetime
) -> bytes:
    """The DER of the certificate for *leaf* in the shape of *profile*, signed by *ca* (RFC 5280 §4.1).

    *serial* is from `new_serial`, reserved in the database; *now* is in UTC. The order of extensions is that
    of step-ca: usages, key identifiers, information access, names, CRL, then the profile's own. Raises
    `RequestError` for a leaf that the profile or the CA's constraints refuse, `IssuingError` for a CA that
    cannot issue now, and `SignerError`.
    """
    require_serial(serial)
    ca.require_valid_at(now)
    profile.require_key(leaf.public_key)
    profile.names.require(leaf.subject, leaf.names)
    ca.constraints.require(leaf.subject, leaf.names)
    not_before, not_after = _window(profile, leaf, ca, now)
    try:
        builder = (
            x509.CertificateBuilder()
            .serial_number(serial)
            .issuer_name(ca.certificate.subject)
            .subject_name(_name(leaf.subject))
            .public_key(leaf.public_key)
            .not_valid_before(not_before)
            .not_valid_after(not_after)
        )
        for extension, critical in _extensions(profile, leaf, ca):
            builder = builder.add_extension(extension, critical)
    except ValueError as error:
        # Names and times were checked above; what is left is a profile that contradicts itself.
        raise IssuingError(IssuingFault.INVALID_PROFILE, "the certificate cannot be built") from error
    certificate = await sign_certificate(builder, ca.signer)
    return certificate.public_bytes(Encoding.DER)


def _window(profile: CertificateProfile, leaf: Leaf, ca: IssuingCa, now: datetime) -> Window:
    """Within the profile's bounds and the CA's own life: a default is cut to it, a wish is refused."""
    start, end = profile.validity.window(now, leaf.not_before, leaf.not_after)
    if leaf.not_before is None:
        start = max(start, ca.not_before)
    if leaf.not_after is None:
        end = min(end, ca.not_after)
        if end - now < profile.validity.minimum:
            raise IssuingError(IssuingFault.EXPIRED, "the CA expires before the shortest certificate would")
    if start < ca.not_before or end > ca.not_after:
        raise RequestError(RequestFault.VALIDITY_REFUSED, "the certificate would outlive its CA")
    return start, end


def _name(subject: DistinguishedName) -> x509.Name:
    try:
        return x509.Name(
            x509.RelativeDistinguishedName(
                x509.NameAttribute(x509.ObjectIdentifier(attribute.oid), str(attribute.value))
                for attribute in rdn
            )
            for rdn in subject.rdns
        )
    except ValueError as error:
        raise RequestError(
            RequestFault.INVALID_SUBJECT, "the subject cannot stand in a certificate"
        ) from error


def _extensions(
    profile: CertificateProfile, leaf: Leaf, ca: IssuingCa
) -> Iterator[tuple[x509.ExtensionType, bool]]:
    yield _key_usage(profile, leaf.public_key), True
    if profile.extended_key_usage:
        usages = [x509.ObjectIdentifier(oid) for oid in profile.extended_key_usage]
        yield x509.ExtendedKeyUsage(usages), False
    yield x509.SubjectKeyIdentifier.from_public_key(leaf.public_key), False
    yield x509.AuthorityKeyIdentifier(ca.key_identifier, None, None), False
    access = [
        x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
        for method, urls in (
            (AuthorityInformationAccessOID.OCSP, profile.ocsp_urls),
            (AuthorityInformationAccessOID.CA_ISSUERS, profile.ca_issuers_urls),
        )
        for url in _urls(urls, ca)
    ]
    if access:
        yield x509.AuthorityInformationAccess(access), False
    if leaf.names:
        # RFC 5280 §4.2.1.6: critical where the subject is empty.
        yield x509.SubjectAlternativeName(leaf.names), not leaf.subject
    if profile.crl_urls:
        full_name = [x509.UniformResourceIdentifier(url) for url in _urls(profile.crl_urls, ca)]
        yield x509.CRLDistributionPoints([x509.DistributionPoint(full_name, None, None, None)]), False
    for raw in profile.extra_extensions:
        yield x509.UnrecognizedExtension(x509.ObjectIdentifier(raw.oid), raw.value), raw.critical


def _urls(urls: tuple[str, ...], ca: IssuingCa) -> list[str]:
    return [url.replace(ISSUER_PLACE, ca.key_identifier.hex()) for url in urls]


def _key_usage(profile: CertificateProfile, key: PublicKey) -> x509.KeyUsage:
    bits = {bit.value for bit in profile.usages(key)}
    return x509.KeyUsage(
        digital_signature="digital_signature" in bits,
        content_commitment="content_commitment" in bits,
        key_encipherment="key_encipherment" in bits,
        data_encipherment=False,
        key_agreement="key_agreement" in bits,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
