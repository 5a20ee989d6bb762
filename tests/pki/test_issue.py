"""Certificates from profile, leaf and CA, read back by the library, OpenSSL and pkilint; and what is refused."""

import ipaddress
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store

from gateway.pki.csr import CertificateRequest
from gateway.pki.issuance_errors import IssuingError, IssuingFault, RequestError, RequestFault
from gateway.pki.issue import issue
from gateway.pki.issuing_ca import IssuingCa
from gateway.pki.leaf import Leaf
from gateway.pki.name_policy import ANY_DOMAIN, NamePolicy
from gateway.pki.names import Attribute, DistinguishedName
from gateway.pki.order_names import require_exact_names
from gateway.pki.profile import CertificateProfile, KeyType, KeyUsageBit, RawExtension, Validity
from gateway.pki.serials import new_serial
from gateway.pki.subject_alternative_names import SubjectAlternativeNames
from gateway.pki.wire import WireNames, wire_profile
from signers import Algorithm
from tests.support.issuing import DAY, X509_ALGORITHMS, ca_certificate, lab, private_key
from tests.support.certificate_tools import lint, openssl
from tests.support.pki import Authority, pem
from tests.support.softhsm import LABELS, softhsm_all

__all__ = ["lab", "softhsm_all"]

LEAF_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
RSA_KEY = rsa.generate_private_key(65537, 2048).public_key()
NO_SUBJECT = DistinguishedName.of(())
SERVER = CertificateProfile(
    validity=Validity(timedelta(days=7)),
    names=NamePolicy(
        subject_types=frozenset({"2.5.4.3"}),
        dns_domains=("example.org",),
        email_domains=("example.org",),
        excluded_domains=("secret.example.org",),
        wildcards=True,
        uri_schemes=frozenset({"spiffe"}),
        ip_networks=(ipaddress.ip_network("192.0.2.0/24"),),
        maximum_names=3,
    ),
    extended_key_usage=(ExtendedKeyUsageOID.SERVER_AUTH.dotted_string,),
    rsa_key_usage=frozenset({KeyUsageBit.KEY_ENCIPHERMENT}),
    ocsp_urls=("http://ocsp.example.org/",),
    ca_issuers_urls=("http://ca.example.org/ca.der",),
    crl_urls=("http://ca.example.org/ca.crl",),
)
WIRE_G1 = WireNames(
    "Alice Smith",
    "wire.com",
    "im:wireapp=%40alice_wire@wire.com",
    "im:wireapp=KPrqV67URCOHFKk4yKIXZQ/84cdc209f1eaaa5e@wire.com",
)
WIRE_G2 = WireNames(
    "Alice Smith",
    "wire.com",
    "wireapp://%40alice_wire@wire.com",
    "wireapp://KPrqV67URCOHFKk4yKIXZQ!84cdc209f1eaaa5e@wire.com",
)


def server_leaf(*names, key=LEAF_KEY, subject=NO_SUBJECT, **validity):
    return Leaf(key, subject, names or (x509.DNSName("a.example.org"),), **validity)


async def issued(lab, profile=SERVER, leaf=None, ca=None):
    ca = ca or await lab.ca()
    der = await issue(profile, leaf or server_leaf(), ca, serial=new_serial(), now=lab.now)
    return x509.load_der_x509_certificate(der)


async def refusal(lab, profile=SERVER, leaf=None, ca=None):
    """The code with which issuing is refused."""
    with pytest.raises((RequestError, IssuingError)) as refused:
        await issued(lab, profile, leaf, ca)
    return refused.value.code


def verify_everywhere(lab, ca, certificate, purpose):
    """OpenSSL and the library build a chain from *certificate* to the root."""
    root = lab.write("root.pem", lab.root.pem)
    chain = lab.write("chain.pem", ca.pem)
    leaf = lab.write("leaf.pem", pem(certificate))
    shown = openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", root, "-untrusted", chain, leaf)
    assert "OK" in shown


# Accepted by others


@pytest.mark.parametrize("algorithm", X509_ALGORITHMS)
@pytest.mark.parametrize("names", [WIRE_G1, WIRE_G2], ids=["G1", "G2"])
async def test_wire_certificates_are_accepted(lab, algorithm, names):
    """A Wire leaf under every kind of issuing key passes OpenSSL's strict check and pkilint."""
    ca = await lab.ca(algorithm)
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    certificate = await issued(lab, wire_profile("wire"), names.leaf(key), ca)
    verify_everywhere(lab, ca, certificate, "sslclient")
    # pkilint takes every URI for a URL with a dotted host and no user, which Wire's are not.
    assert lint("lint_pkix_cert", lab.folder / "leaf.pem") <= {"pkix.invalid_uri_syntax"}


@pytest.mark.parametrize("algorithm", [Algorithm.ES256, Algorithm.ES384, Algorithm.RS256, Algorithm.EDDSA])
async def test_an_hsm_issues(lab, softhsm_all, monkeypatch, algorithm):
    """A certificate signed in SoftHSM passes OpenSSL's strict check."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm_all.softhsm2_conf))
    ca = lab.open(await lab.registry.open(softhsm_all.uri(LABELS[algorithm]), algorithm))
    verify_everywhere(lab, ca, await issued(lab, ca=ca), "sslserver")


@pytest.mark.parametrize("key", [LEAF_KEY, RSA_KEY], ids=["EC", "RSA"])
async def test_server_certificates_are_accepted(lab, key):
    """A server's leaf passes OpenSSL, pkilint without any finding, and the library's verifier for its name."""
    ca = await lab.ca(Algorithm.ES384)
    certificate = await issued(lab, leaf=server_leaf(key=key), ca=ca)
    verify_everywhere(lab, ca, certificate, "sslserver")
    assert lint("lint_pkix_cert", lab.folder / "leaf.pem") == set()
    policy = PolicyBuilder().store(Store([lab.root.certificate])).time(lab.now)
    policy = policy.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.webpki_defaults_ee()
    )
    chain = policy.build_server_verifier(x509.DNSName("a.example.org")).verify(certificate, [ca.certificate])
    assert chain[-1] == lab.root.certificate


# The shape of a certificate


async def test_the_wire_leaf_has_the_recorded_extensions(lab):
    """Order, criticality and octets of the extensions are those of the recorded leaf, but for the CA's key."""
    vectors = Path(__file__).parent.parent / "vectors"
    recorded, issuer = x509.load_pem_x509_certificates((vectors / "wire_g1_chain.pem").read_bytes())
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    ca = await lab.ca()
    like_recorded = IssuingCa(
        ca.chain, ca.signer, identifier, ca.not_before, ca.not_after, ca.constraints, may_sign_crls=True
    )
    leaf = WIRE_G1.leaf(recorded.public_key())
    certificate = await issued(lab, wire_profile("wire"), leaf, like_recorded)

    def shape(each):
        return [(e.oid.dotted_string, e.critical, e.value.public_bytes()) for e in each.extensions]

    assert shape(certificate) == shape(recorded)
    assert DistinguishedName.from_x509(certificate.subject) == DistinguishedName.from_x509(recorded.subject)
    assert shape(certificate)[-1] == (
        "1.3.6.1.4.1.37476.9000.64.1",
        False,
        bytes.fromhex("300b0201060404776972650400"),
    )


async def test_a_server_leaf_has_the_configured_extensions(lab):
    """Usages, information access, names and CRL stand in the usual order; RSA alone may encipher."""
    certificate = await issued(lab, leaf=server_leaf(key=RSA_KEY))
    extensions = certificate.extensions
    assert [extension.oid._name for extension in extensions] == [
        "keyUsage",
        "extendedKeyUsage",
        "subjectKeyIdentifier",
        "authorityKeyIdentifier",
        "authorityInfoAccess",
        "subjectAltName",
        "cRLDistributionPoints",
    ]
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.key_encipherment
    assert extensions.get_extension_for_class(x509.SubjectAlternativeName).critical  # No subject.
    access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    assert [each.access_method for each in access] == [
        AuthorityInformationAccessOID.OCSP,
        AuthorityInformationAccessOID.CA_ISSUERS,
    ]
    unenciphered = (await issued(lab)).extensions.get_extension_for_class(x509.KeyUsage).value
    assert not unenciphered.key_encipherment


async def test_the_period_is_the_profiles(lab):
    """Without a wish the period starts a minute ago and ends after the default, in whole seconds."""
    certificate = await issued(lab)
    assert certificate.not_valid_before_utc == lab.now - timedelta(minutes=1)
    assert certificate.not_valid_after_utc == lab.now + timedelta(days=7)


async def test_a_wish_for_a_period_is_granted(lab):
    """A wish within the bounds is granted, rounded down to seconds: never later than asked."""
    start = lab.now - timedelta(hours=3) + timedelta(microseconds=864222)
    end = lab.now + timedelta(days=20)
    certificate = await issued(lab, leaf=server_leaf(not_before=start, not_after=end))
    assert certificate.not_valid_before_utc == start.replace(microsecond=0)
    assert certificate.not_valid_after_utc == end


async def test_a_default_period_ends_with_the_ca(lab):
    """A CA that expires before the default end cuts it."""
    ca = await lab.ca(life=(-DAY, 2 * DAY))
    assert (await issued(lab, ca=ca)).not_valid_after_utc == ca.not_after


async def test_a_default_period_starts_with_the_ca(lab):
    """A CA that was made this second has certificates that start this second."""
    ca = await lab.ca(life=(timedelta(0), 30 * DAY))
    assert (await issued(lab, ca=ca)).not_valid_before_utc == lab.now


def test_serials_are_positive_random_and_bounded():
    """A serial has 159 bits, of which 158 are random."""
    serials = {new_serial() for _ in range(1000)}
    assert len(serials) == 1000
    assert {serial.bit_length() for serial in serials} == {159}
    assert len({serial >> 126 & 0xFFFF for serial in serials}) > 900


# Refused


@pytest.mark.parametrize("serial", [0, -1, 1 << 159])
async def test_a_bad_serial_is_refused(lab, serial):
    """A serial is positive and fits in twenty octets."""
    with pytest.raises(IssuingError) as refused:
        await issue(SERVER, server_leaf(), await lab.ca(), serial=serial, now=lab.now)
    assert refused.value.code is IssuingFault.INVALID_SERIAL


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (timedelta(hours=-26), None),
        (timedelta(minutes=6), None),
        (None, timedelta(minutes=4)),
        (None, timedelta(days=91)),
        (None, timedelta(days=-1)),
        (timedelta(minutes=4), timedelta(minutes=3)),
    ],
    ids=["too early", "too late", "too short", "too long", "over", "reversed"],
)
async def test_a_wish_outside_the_bounds_is_refused(lab, start, end):
    """Every bound of the validity is checked."""
    leaf = server_leaf(
        not_before=None if start is None else lab.now + start,
        not_after=None if end is None else lab.now + end,
    )
    assert await refusal(lab, leaf=leaf) is RequestFault.VALIDITY_REFUSED


async def test_a_wish_to_outlive_the_ca_is_refused(lab):
    """A certificate's period lies within its CA's."""
    ca = await lab.ca(life=(-DAY, 10 * DAY))
    leaf = server_leaf(not_after=lab.now + timedelta(days=11))
    assert await refusal(lab, leaf=leaf, ca=ca) is RequestFault.VALIDITY_REFUSED
    ca = await lab.ca(life=(timedelta(hours=-1), 10 * DAY))
    leaf = server_leaf(not_before=lab.now - timedelta(hours=2))
    assert await refusal(lab, leaf=leaf, ca=ca) is RequestFault.VALIDITY_REFUSED


async def test_a_ca_about_to_expire_issues_nothing(lab):
    """Less life than the shortest certificate is an error of the CA, not of the client."""
    ca = await lab.ca(life=(-DAY, timedelta(minutes=2)))
    assert await refusal(lab, ca=ca) is IssuingFault.EXPIRED


async def test_a_ca_that_expired_since_it_was_opened_issues_nothing(lab):
    """The CA's period is checked at each certificate."""
    ca = await lab.ca(life=(-DAY, DAY))
    with pytest.raises(IssuingError) as refused:
        await issue(SERVER, server_leaf(), ca, serial=1, now=lab.now + 2 * DAY)
    assert refused.value.code is IssuingFault.EXPIRED


async def test_a_key_outside_the_profile_is_refused(lab):
    """A profile certifies its types of keys only."""
    profile = CertificateProfile(
        SERVER.validity, SERVER.names, SERVER.extended_key_usage, key_types=frozenset({KeyType.RSA})
    )
    assert await refusal(lab, profile) is RequestFault.KEY_TYPE_REFUSED


@pytest.mark.parametrize(
    ("name", "code"),
    [
        (x509.DNSName("a.example.com"), RequestFault.NAME_REFUSED),
        (x509.DNSName("badexample.org"), RequestFault.NAME_REFUSED),
        (x509.DNSName("a.secret.example.org"), RequestFault.NAME_REFUSED),
        (x509.DNSName("*.example.org"), RequestFault.NAME_REFUSED),  # Stands for secret.example.org.
        (x509.UniformResourceIdentifier("https://example.org/"), RequestFault.NAME_REFUSED),
        (x509.IPAddress(ipaddress.ip_address("198.51.100.1")), RequestFault.NAME_REFUSED),
        (x509.IPAddress(ipaddress.ip_address("::1")), RequestFault.NAME_REFUSED),
        (x509.RFC822Name("a@example.com"), RequestFault.NAME_REFUSED),
        (x509.RegisteredID(x509.ObjectIdentifier("1.2.3")), RequestFault.SAN_KIND),
    ],
    ids=str,
)
async def test_a_name_outside_the_policy_is_refused(lab, name, code):
    """What is not listed is not certified."""
    assert await refusal(lab, leaf=server_leaf(name)) is code


@pytest.mark.parametrize(
    "name",
    [
        x509.DNSName("example.org"),
        x509.DNSName("*.a.example.org"),
        x509.UniformResourceIdentifier("spiffe://example.org/a"),
        x509.IPAddress(ipaddress.ip_address("192.0.2.7")),
        x509.RFC822Name("a@mail.example.org"),
    ],
    ids=str,
)
async def test_a_name_within_the_policy_is_certified(lab, name):
    """What is listed is certified."""
    certificate = await issued(lab, leaf=server_leaf(name))
    assert list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value) == [name]


def test_any_domain_must_be_written_out():
    """The empty policy permits nothing, and ANY_DOMAIN everything."""
    name = [x509.DNSName("a.b")]
    NamePolicy(dns_domains=(ANY_DOMAIN,)).require(NO_SUBJECT, name)
    with pytest.raises(RequestError) as refused:
        NamePolicy().require(NO_SUBJECT, name)
    assert refused.value.code is RequestFault.NAME_REFUSED


def subject(*attributes):
    return DistinguishedName.of(tuple((Attribute(oid, value),) for oid, value in attributes))


async def test_the_number_of_names_is_bounded(lab):
    """A profile has a least and a greatest number of names."""
    names = [x509.DNSName(f"n{n}.example.org") for n in range(4)]
    assert await refusal(lab, leaf=server_leaf(*names)) is RequestFault.TOO_MANY_NAMES
    none = Leaf(LEAF_KEY, subject(("2.5.4.3", "a")), ())
    assert await refusal(lab, leaf=none) is RequestFault.MISSING_SAN


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ([("2.5.4.10", "wire.com")], RequestFault.SUBJECT_MISMATCH),
        ([("2.5.4.10", "other.com"), ("2.5.4.3", "a")], RequestFault.NAME_REFUSED),
        ([("2.5.4.10", "wire.com"), ("2.5.4.3", "a"), ("2.5.4.11", "b")], RequestFault.NAME_REFUSED),
        ([("2.5.4.10", "wire.com"), ("2.5.4.3", "a" * 65)], RequestFault.TEXT_TOO_LONG),
        ([("2.5.4.10", "wire.com"), ("2.5.4.3", "\u0430lice")], RequestFault.LOOK_ALIKE),
    ],
    ids=["missing", "organization", "type", "length", "text"],
)
async def test_a_subject_outside_the_policy_is_refused(lab, changed, code):
    """Types, values, lengths and text of the subject are the profile's."""
    leaf = Leaf(LEAF_KEY, subject(*changed), WIRE_G1.leaf(LEAF_KEY).names)
    profile = wire_profile("wire", domains=frozenset({"wire.com"}))
    assert await refusal(lab, profile, leaf) is code


async def test_a_profile_that_contradicts_itself_is_an_error_of_the_ca(lab):
    """An extra extension that repeats a built one is not issued."""
    profile = CertificateProfile(
        SERVER.validity,
        SERVER.names,
        SERVER.extended_key_usage,
        extra_extensions=(RawExtension("2.5.29.15", b"\x03\x02\x07\x80"),),
    )
    assert await refusal(lab, profile) is IssuingFault.INVALID_PROFILE
    with pytest.raises(IssuingError) as refused:
        Validity(timedelta(days=100), maximum=timedelta(days=90))
    assert refused.value.code is IssuingFault.INVALID_PROFILE


# Name constraints


def constrained(*permitted, excluded=()):
    return x509.NameConstraints(list(permitted) or None, list(excluded) or None)


@pytest.mark.parametrize(
    ("constraints", "name"),
    [
        (constrained(x509.DNSName("b.example.org")), x509.DNSName("a.example.org")),
        (constrained(excluded=[x509.DNSName("a.example.org")]), x509.DNSName("a.example.org")),
        (constrained(excluded=[x509.DNSName("x.a.example.org")]), x509.DNSName("*.a.example.org")),
        (
            constrained(x509.UniformResourceIdentifier("b.org")),
            x509.UniformResourceIdentifier("spiffe://a.org/"),
        ),
        (
            constrained(x509.UniformResourceIdentifier(".a.org")),
            x509.UniformResourceIdentifier("spiffe://a.org/"),
        ),
        (
            constrained(x509.UniformResourceIdentifier("a.org")),
            x509.UniformResourceIdentifier("spiffe:a.org"),
        ),
        (
            constrained(x509.IPAddress(ipaddress.ip_network("192.0.2.128/25"))),
            x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
        ),
        (constrained(x509.RFC822Name("mail.example.org")), x509.RFC822Name("a@example.org")),
        (constrained(x509.RFC822Name("b@example.org")), x509.RFC822Name("a@example.org")),
    ],
    ids=str,
)
async def test_a_name_outside_the_cas_constraints_is_refused(lab, constraints, name):
    """A certificate that every verifier would refuse is not issued."""
    ca = await lab.ca(constraints=constraints)
    assert await refusal(lab, leaf=server_leaf(name), ca=ca) is RequestFault.NAME_REFUSED


@pytest.mark.parametrize(
    ("constraints", "name"),
    [
        (constrained(x509.DNSName("example.org")), x509.DNSName("a.example.org")),
        (
            constrained(x509.UniformResourceIdentifier(".a.org")),
            x509.UniformResourceIdentifier("spiffe://b.a.org/"),
        ),
        (
            constrained(x509.IPAddress(ipaddress.ip_network("192.0.2.0/24"))),
            x509.IPAddress(ipaddress.ip_address("192.0.2.1")),
        ),
        (constrained(x509.RFC822Name("example.org")), x509.RFC822Name("a@example.org")),
        (constrained(x509.DNSName("other.org")), x509.RFC822Name("a@example.org")),
    ],
    ids=str,
)
async def test_a_name_within_the_cas_constraints_is_certified(lab, constraints, name):
    """OpenSSL agrees that the certificate lies within the constraints."""
    ca = await lab.ca(constraints=constraints)
    verify_everywhere(lab, ca, await issued(lab, leaf=server_leaf(name), ca=ca), "sslserver")


async def test_a_constraint_on_uris_holds_for_the_host_behind_a_user(lab):
    """Wire's URIs have a user part; OpenSSL 3.0 takes it for the host, RFC 3986 §3.2 does not."""
    ca = await lab.ca(constraints=constrained(x509.UniformResourceIdentifier("wire.com")))
    profile = wire_profile("wire")
    await issued(lab, profile, WIRE_G2.leaf(LEAF_KEY), ca)
    assert await refusal(lab, profile, WIRE_G1.leaf(LEAF_KEY), ca) is RequestFault.NAME_REFUSED  # No host.


async def test_a_subject_outside_the_cas_constraints_is_refused(lab):
    """Directory names constrain the subject."""
    base = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Wire.com")]))
    other = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "other")]))
    leaf, profile = WIRE_G1.leaf(LEAF_KEY), wire_profile("wire")
    await issued(lab, profile, leaf, await lab.ca(constraints=constrained(base)))
    for constraints in (constrained(other), constrained(excluded=[base])):
        ca = await lab.ca(constraints=constraints)
        assert await refusal(lab, profile, leaf, ca) is RequestFault.NAME_REFUSED


# Opening a CA


async def open_fault(lab, *, chain=None, signer=None, **faults):
    signer = signer or await lab.signer()
    with pytest.raises(IssuingError) as refused:
        IssuingCa.open(chain if chain is not None else lab.chain(signer, **faults), signer, lab.now)
    return refused.value.code


@pytest.mark.parametrize(
    ("faults", "code"),
    [
        ({"ca": False}, IssuingFault.NOT_A_CA),
        ({"critical": False}, IssuingFault.NOT_A_CA),
        ({"key_cert_sign": False}, IssuingFault.NOT_A_CA),
        ({"key_identifier": False}, IssuingFault.MISSING_KEY_IDENTIFIER),
        ({"authority_key": bytes(20)}, IssuingFault.BROKEN_CHAIN),
        ({"life": (-2 * DAY, -DAY)}, IssuingFault.EXPIRED),
        ({"life": (DAY, 2 * DAY)}, IssuingFault.NOT_YET_VALID),
    ],
    ids=str,
)
async def test_a_ca_certificate_with_a_fault_is_not_opened(lab, faults, code):
    """Each fault of the CA's certificate has its reason at load."""
    assert await open_fault(lab, **faults) is code


async def test_a_certificate_of_another_key_is_not_opened(lab):
    """The chain's first certificate is for the signer's key."""
    other = await lab.signer(Algorithm.ES256, number=1)
    assert await open_fault(lab, chain=lab.chain(other)) is IssuingFault.KEY_MISMATCH


async def test_a_signer_that_cannot_sign_certificates_is_not_opened(lab):
    """An ES256K signer is refused at load."""
    signer = await lab.signer(Algorithm.ES256K)
    assert await open_fault(lab, signer=signer) is IssuingFault.UNSUPPORTED_ALGORITHM


async def test_a_chain_whose_links_do_not_fit_is_not_opened(lab):
    """Every certificate is issued by the next, by name and by signature."""
    signer = await lab.signer()
    certificate = ca_certificate(signer.public_key, lab.root, lab.now)
    for stranger in (Authority.root(), Authority.root("Another")):
        chain = pem(certificate, stranger.certificate)
        assert await open_fault(lab, chain=chain) is IssuingFault.BROKEN_CHAIN


async def test_a_path_length_is_kept(lab):
    """A CA above the issuing one that allows no CA below it makes the chain useless."""
    signer = await lab.signer()
    middle_key = private_key(Algorithm.ES256, 2)
    for length, code in ((0, IssuingFault.PATH_LENGTH), (1, None)):
        middle = ca_certificate(middle_key.public_key(), lab.root, lab.now, name="Middle", path_length=length)
        own = ca_certificate(signer.public_key, Authority(middle, middle_key), lab.now)
        chain = pem(own, middle, lab.root.certificate)
        if code is None:
            ca = IssuingCa.open(chain, signer, lab.now)
            assert ca.pem == pem(own, middle)
        else:
            assert await open_fault(lab, chain=chain) is code


@pytest.mark.parametrize("chain", [b"", b"garbage"])
async def test_what_is_no_chain_is_not_opened(lab, chain):
    """A chain is PEM with at least one certificate."""
    assert await open_fault(lab, chain=chain) is IssuingFault.MALFORMED_CHAIN


async def test_a_chain_with_a_private_key_in_it_is_not_opened(lab):
    """A file that holds more than certificates is not a chain, and may hold what should not be served."""
    key = lab.folder / "ES256-0.pem"
    chain = lab.chain(await lab.signer())
    assert await open_fault(lab, chain=chain + key.read_bytes()) is IssuingFault.MALFORMED_CHAIN


async def test_a_long_chain_is_not_opened(lab):
    """The number of certificates and octets is bounded."""
    chain = lab.chain(await lab.signer())
    assert await open_fault(lab, chain=chain + lab.root.pem * 7) is IssuingFault.CHAIN_TOO_LONG
    assert await open_fault(lab, chain=bytes(1 << 20)) is IssuingFault.CHAIN_TOO_LONG


# Requests against profile and order


def request_of(builder):
    key = ec.generate_private_key(ec.SECP256R1())
    return CertificateRequest.parse(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))


def wire_request(names, *, organization=None, display=None, uris=None, common_name=None, extra=(), others=()):
    attributes = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization or names.domain),
        x509.NameAttribute(x509.ObjectIdentifier("2.16.840.1.113730.3.1.241"), display or names.display_name),
        *extra,
    ]
    if common_name:
        attributes.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name))
    uris = (names.client_id, names.handle) if uris is None else uris
    listed = [*(x509.UniformResourceIdentifier(uri) for uri in uris), *others]
    builder = x509.CertificateSigningRequestBuilder(x509.Name(attributes))
    if listed:
        builder = builder.add_extension(x509.SubjectAlternativeName(listed), critical=False)
    return request_of(builder)


@pytest.mark.parametrize("names", [WIRE_G1, WIRE_G2], ids=["G1", "G2"])
def test_a_wire_request_fits_its_order(names):
    """Both generations' requests fit; the domain in any case, and the separator in both spellings."""
    names.require_in(wire_request(names))
    names.require_in(wire_request(names, organization="WIRE.com"))
    names.require_in(wire_request(names, uris=(names.handle, names.client_id.replace("!", "%21"))))


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"organization": "other.com"}, RequestFault.SUBJECT_MISMATCH),
        ({"display": "Mallory"}, RequestFault.SUBJECT_MISMATCH),
        ({"common_name": "Alice Smith"}, RequestFault.COMMON_NAME_MISMATCH),
        ({"extra": [x509.NameAttribute(NameOID.SURNAME, "Smith")]}, RequestFault.SUBJECT_MISMATCH),
        ({"extra": [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "b")]}, RequestFault.SUBJECT_MISMATCH),
        ({"uris": (WIRE_G2.handle,)}, RequestFault.MISSING_SAN),
        ({"uris": ()}, RequestFault.MISSING_SAN),
        ({"uris": (WIRE_G2.handle, "wireapp://x!1@wire.com")}, RequestFault.MISSING_SAN),
        (
            {"uris": (WIRE_G2.handle, WIRE_G2.client_id, "wireapp://x!1@wire.com")},
            RequestFault.UNEXPECTED_SAN,
        ),
        (
            {"uris": (WIRE_G2.handle, WIRE_G2.client_id, WIRE_G2.client_id.replace("!", "%21"))},
            RequestFault.UNEXPECTED_SAN,
        ),
        ({"others": [x509.DNSName("wire.com")]}, RequestFault.SAN_KIND),
    ],
    ids=str,
)
def test_a_wire_request_for_other_names_is_refused(wrong, code):
    """Each difference from the order has its reason."""
    with pytest.raises(RequestError) as refused:
        WIRE_G2.require_in(wire_request(WIRE_G2, **wrong))
    assert refused.value.code is code


ORDER = SubjectAlternativeNames(
    dns=frozenset({"a.example.org", "*.b.example.org"}), ip=frozenset({ipaddress.ip_address("192.0.2.1")})
)


def plain_request(common_name, *names):
    subject = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else []
    builder = x509.CertificateSigningRequestBuilder(x509.Name(subject))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return request_of(builder)


A, B = x509.DNSName("a.example.org"), x509.DNSName("*.B.example.org")
IP = x509.IPAddress(ipaddress.ip_address("192.0.2.1"))


@pytest.mark.parametrize(
    "names", [(None, A, B, IP), ("A.example.org", B, IP), ("192.0.2.1", A, B), ("a.example.org", A, B, IP)]
)
def test_a_request_fits_its_order(names):
    """Names count from the extension and from the common name (RFC 8555 §7.4)."""
    require_exact_names(plain_request(*names), ORDER)


@pytest.mark.parametrize(
    ("names", "code"),
    [
        ((None, A, B), RequestFault.MISSING_SAN),
        ((None,), RequestFault.MISSING_SAN),
        ((None, A, B, IP, x509.DNSName("c.example.org")), RequestFault.UNEXPECTED_SAN),
        ((None, A, B, IP, x509.UniformResourceIdentifier("https://a.org/")), RequestFault.SAN_KIND),
        ((None, A, B, IP, x509.RFC822Name("a@example.org")), RequestFault.SAN_KIND),
        (("c.example.org", A, B, IP), RequestFault.COMMON_NAME_MISMATCH),
        (("Alice", A, B, IP), RequestFault.COMMON_NAME_MISMATCH),
        (("192.0.2.2", A, B, IP), RequestFault.COMMON_NAME_MISMATCH),
    ],
)
def test_a_request_that_differs_from_its_order_is_refused(names, code):
    """Each difference from the order has its reason."""
    with pytest.raises(RequestError) as refused:
        require_exact_names(plain_request(*names), ORDER)
    assert refused.value.code is code


def usage(**bits):
    names = (
        "digital_signature content_commitment key_encipherment data_encipherment key_agreement "
        "key_cert_sign crl_sign encipher_only decipher_only"
    ).split()
    return x509.KeyUsage(**dict.fromkeys(names, False) | bits)


@pytest.mark.parametrize(
    ("wish", "code"),
    [
        (usage(digital_signature=True), None),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), None),
        (usage(key_cert_sign=True), RequestFault.USAGE_REFUSED),
        (usage(digital_signature=True, key_encipherment=True), RequestFault.USAGE_REFUSED),
        (usage(key_agreement=True, encipher_only=True), RequestFault.USAGE_REFUSED),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), RequestFault.USAGE_REFUSED),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]), RequestFault.USAGE_REFUSED),
    ],
    ids=str,
)
def test_a_wish_for_a_usage_is_compared_with_the_profile(wish, code):
    """A usage that the profile does not give is refused, not dropped."""
    request = request_of(x509.CertificateSigningRequestBuilder(x509.Name([])).add_extension(wish, True))
    if code is None:
        SERVER.require_request(request)
    else:
        with pytest.raises(RequestError) as refused:
            SERVER.require_request(request)
        assert refused.value.code is code
