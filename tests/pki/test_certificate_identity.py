"""gateway.pki.certificate_identity: which certificate a client registered (RFC 8705 §2.1.2)."""

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.pki import CertificateIdentity, IdentityKind, PkiError, PkiFault, names_of
from tests.support.pki import Authority, common_name, self_signed

DN, DNS, URI, IP, EMAIL = IdentityKind


@pytest.fixture(scope="module")
def certificate():
    return (
        Authority.root()
        .leaf(
            subject=x509.Name(
                [
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example"),
                    x509.NameAttribute(NameOID.COMMON_NAME, "client-a"),
                ]
            ),
            dns=("Client-A.example.org", "*.wild.example.org"),
            uris=("spiffe://example.org/Client-A",),
            ips=("192.0.2.7", "2001:db8::7"),
            emails=("Alice@Example.org",),
        )
        .certificate
    )


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (DN, "CN=client-a,O=Example"),
        (DN, "cn=CLIENT-A, o=example"),
        (DNS, "client-a.example.org"),
        (DNS, "CLIENT-A.EXAMPLE.ORG"),
        (URI, "spiffe://example.org/Client-A"),
        (IP, "192.0.2.7"),
        (IP, "2001:db8::7"),
        (IP, "2001:0DB8:0:0:0:0:0:7"),
        (EMAIL, "Alice@example.ORG"),
    ],
)
def test_the_registered_name_matches(certificate, kind, value):
    """Each kind compares as its own rules say."""
    CertificateIdentity.parse(kind, value).match(certificate)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (DN, "O=Example,CN=client-a"),
        (DN, "CN=client-a"),
        (DN, "CN=client-b,O=Example"),
        (DNS, "any.wild.example.org"),  # a wildcard in the certificate is not expanded
        (DNS, "client-a"),
        (DNS, "a.client-a.example.org"),
        (DNS, "client-a.example.org.evil"),
        (URI, "spiffe://example.org/client-a"),
        (URI, "spiffe://EXAMPLE.org/Client-A"),
        (URI, "spiffe://example.org/Client-A/"),
        (IP, "192.0.2.8"),
        (IP, "::ffff:192.0.2.7"),
        (EMAIL, "alice@example.org"),
        (EMAIL, "Alice@example.com"),
        (DNS, "192.0.2.7"),
    ],
)
def test_another_name_is_a_subject_mismatch(certificate, kind, value):
    """Near misses of every kind are refused, and a name of one kind never matches another."""
    with pytest.raises(PkiError) as caught:
        CertificateIdentity.parse(kind, value).match(certificate)
    assert caught.value.code is PkiFault.SUBJECT_MISMATCH


def test_a_common_name_is_not_a_dns_name():
    """Without a SAN extension nothing of the subject stands in for one."""
    certificate = self_signed("client-a.example.org").certificate
    with pytest.raises(PkiError) as caught:
        CertificateIdentity.parse(DNS, "client-a.example.org").match(certificate)
    assert caught.value.code is PkiFault.SUBJECT_MISMATCH


def test_an_empty_subject_matches_no_registration():
    """A certificate that names its subject in the SAN only has no subject to match."""
    certificate = Authority.root().leaf(dns=("a.example",)).certificate
    with pytest.raises(PkiError) as caught:
        CertificateIdentity.parse(DN, "CN=a.example").match(certificate)
    assert caught.value.code is PkiFault.SUBJECT_MISMATCH


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (DN, ""),
        (DN, " "),
        (DN, "client-a"),
        (DN, "CN=a;O=b"),
        (DNS, "*.example.org"),
        (DNS, "exa mple.org"),
        (DNS, "münchen.example"),
        (DNS, "example.org."),
        (DNS, "a" * 64 + ".org"),
        (DNS, ".".join(["a" * 60] * 5)),
        (DNS, "example.org\n"),
        (URI, "no-scheme"),
        (URI, "spiffe://exämple/x"),
        (URI, "spiffe://a b"),
        (IP, "192.0.2.256"),
        (IP, "192.0.2.0/24"),
        (IP, "fe80::1%eth0"),
        (IP, "127.1"),
        (EMAIL, "example.org"),
        (EMAIL, "a@b@c"),
        (EMAIL, "@example.org"),
        (URI, "u:" + "x" * 4096),
    ],
)
def test_a_registration_that_cannot_match_is_refused(kind, value):
    """A bad value is invalid_identity at registration, not a silent mismatch later."""
    with pytest.raises(PkiError) as caught:
        CertificateIdentity.parse(kind, value)
    assert caught.value.code is PkiFault.INVALID_IDENTITY


@pytest.mark.parametrize(
    "metadata",
    [
        {},
        {"tls_client_auth_san_dns": ""},
        {"tls_client_auth_san_dns": None, "client_name": "x"},
        {"tls_client_auth_san_dns": "a.example", "tls_client_auth_san_uri": "u:x"},
        {kind.parameter: "x" for kind in IdentityKind},
    ],
)
def test_exactly_one_name_is_registered(metadata):
    """None and more than one of the five parameters are identity_count."""
    with pytest.raises(PkiError) as caught:
        CertificateIdentity.from_metadata(metadata)
    assert caught.value.code is PkiFault.IDENTITY_COUNT


def test_the_one_name_of_the_metadata_is_taken():
    """The parameter's name says the kind."""
    identity = CertificateIdentity.from_metadata({"tls_client_auth_san_ip": "::1", "client_name": "x"})
    assert (identity.kind, identity.value) == (IP, "::1")


def test_a_certificate_whose_extensions_cannot_be_read_matches_nothing():
    """A SAN that does not parse is malformed_certificate."""
    broken = x509.UnrecognizedExtension(x509.SubjectAlternativeName.oid, b"\x30\x03\x82\x05a")
    certificate = _with_extension(broken)
    with pytest.raises(PkiError) as caught:
        names_of(certificate)
    assert caught.value.code is PkiFault.MALFORMED_CERTIFICATE


def _with_extension(extension: x509.ExtensionType) -> x509.Certificate:
    issued = self_signed("client-a")
    builder = x509.CertificateBuilder(extensions=[])
    builder = builder.subject_name(common_name("client-a")).issuer_name(common_name("client-a"))
    builder = builder.public_key(issued.key.public_key()).serial_number(7)
    builder = builder.not_valid_before(issued.certificate.not_valid_before_utc)
    builder = builder.not_valid_after(issued.certificate.not_valid_after_utc)
    return builder.add_extension(extension, critical=False).sign(
        issued.key, issued.certificate.signature_hash_algorithm
    )
