"""Certificates from profile, leaf and CA, as others read them; and what is refused."""

import ipaddress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID
from cryptography.x509.verification import ExtensionPolicy, PolicyBuilder, Store

from gateway.pki.issuance_errors import IssuingError, IssuingFault, RequestError, RequestFault
from gateway.pki.issue import issue
from gateway.pki.leaf import Leaf
from gateway.pki.name_policy import ANY_DOMAIN, NamePolicy
from gateway.pki.names import Attribute, DistinguishedName
from gateway.pki.profile import CertificateProfile, KeyType, RawExtension, Validity
from gateway.pki.serials import new_serial
from gateway.pki.wire import wire_profile
from signers import Algorithm
from tests.support.certificate_tools import lint
from tests.support.issued import (
    LEAF_KEY,
    NO_SUBJECT,
    SERVER,
    WIRE_G1,
    WIRE_G2,
    issued,
    refusal,
    server_leaf,
    verify_with_openssl,
)
from tests.support.issuing import DAY, X509_ALGORITHMS, lab
from tests.support.softhsm import LABELS, softhsm_all

__all__ = ["lab", "softhsm_all"]

RSA_KEY = rsa.generate_private_key(65537, 2048).public_key()


# Accepted by others


@pytest.mark.parametrize("algorithm", X509_ALGORITHMS)
@pytest.mark.parametrize("names", [WIRE_G1, WIRE_G2], ids=["G1", "G2"])
async def test_wire_certificates_are_accepted(lab, algorithm, names):
    """A Wire leaf under every kind of issuing key passes OpenSSL's strict check and pkilint."""
    ca = await lab.ca(algorithm)
    key = ed25519.Ed25519PrivateKey.generate().public_key()
    certificate = await issued(lab, wire_profile("wire"), names.leaf(key), ca)
    verify_with_openssl(lab, ca, certificate, "sslclient")
    # pkilint takes every URI for a URL with a dotted host and no user, which Wire's are not.
    assert lint("lint_pkix_cert", lab.folder / "leaf.pem") <= {"pkix.invalid_uri_syntax"}


@pytest.mark.parametrize("algorithm", [Algorithm.ES256, Algorithm.ES384, Algorithm.RS256, Algorithm.EDDSA])
async def test_an_hsm_issues(lab, softhsm_all, monkeypatch, algorithm):
    """A certificate signed in SoftHSM passes OpenSSL's strict check."""
    monkeypatch.setenv("SOFTHSM2_CONF", str(softhsm_all.softhsm2_conf))
    ca = lab.open(await lab.registry.open(softhsm_all.uri(LABELS[algorithm]), algorithm))
    verify_with_openssl(lab, ca, await issued(lab, ca=ca), "sslserver")


@pytest.mark.parametrize("key", [LEAF_KEY, RSA_KEY], ids=["EC", "RSA"])
async def test_server_certificates_are_accepted(lab, key):
    """A server's leaf passes OpenSSL, pkilint without a finding, and the library's verifier."""
    ca = await lab.ca(Algorithm.ES384)
    certificate = await issued(lab, leaf=server_leaf(key=key), ca=ca)
    verify_with_openssl(lab, ca, certificate, "sslserver")
    assert lint("lint_pkix_cert", lab.folder / "leaf.pem") == set()
    policy = PolicyBuilder().store(Store([lab.root.certificate])).time(lab.now)
    policy = policy.extension_policies(
        ca_policy=ExtensionPolicy.webpki_defaults_ca(), ee_policy=ExtensionPolicy.webpki_defaults_ee()
    )
    chain = policy.build_server_verifier(x509.DNSName("a.example.org")).verify(certificate, [ca.certificate])
    assert chain[-1] == lab.root.certificate


# The shape of a certificate


async def test_the_wire_leaf_has_the_recorded_extensions(lab):
    """Order, criticality and octets of all extensions are those of the recorded leaf."""
    vectors = Path(__file__).parent.parent / "vectors"
    recorded, issuer = x509.load_pem_x509_certificates((vectors / "wire_g1_chain.pem").read_bytes())
    identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    ca = await lab.ca()
    like_recorded = replace(ca, key_identifier=identifier)
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


def test_a_wildcard_needs_permission():
    """A policy that permits a domain does not permit its wildcard."""
    policy = NamePolicy(dns_domains=("example.org",))
    policy.require(NO_SUBJECT, [x509.DNSName("a.example.org")])
    with pytest.raises(RequestError) as refused:
        policy.require(NO_SUBJECT, [x509.DNSName("*.example.org")])
    assert refused.value.code is RequestFault.NAME_REFUSED


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
        ([("2.5.4.10", "wire.com"), ("2.5.4.3", b"\x03\x02\x00\x01")], RequestFault.NAME_REFUSED),
        ([("2.5.4.10", "wire.com"), ("2.5.4.3", "a" * 65)], RequestFault.TEXT_TOO_LONG),
        ([("2.5.4.10", "wire.com"), ("2.5.4.3", "\u0430lice")], RequestFault.LOOK_ALIKE),
    ],
    ids=["missing", "organization", "type", "octets", "length", "text"],
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


@pytest.mark.parametrize(
    "bounds",
    [
        {"default": timedelta(days=100)},
        {"default": timedelta(minutes=4)},
        {"default": DAY, "minimum": timedelta(0)},
        {"default": DAY, "backdate": timedelta(seconds=-1)},
        {"default": DAY, "past": timedelta(seconds=-1)},
    ],
    ids=str,
)
def test_bounds_that_contradict_each_other_are_refused(bounds):
    """A profile's validity is checked when it is configured."""
    with pytest.raises(IssuingError) as refused:
        Validity(**bounds)
    assert refused.value.code is IssuingFault.INVALID_PROFILE
