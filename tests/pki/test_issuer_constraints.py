"""The name constraints of a CA's chain, applied before signing."""

import ipaddress

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.pki.issuance_errors import RequestError, RequestFault
from gateway.pki.issuer_constraints import IssuerConstraints
from gateway.pki.names import DistinguishedName
from gateway.pki.wire import wire_profile
from tests.support.issued import (
    LEAF_KEY,
    WIRE_G1,
    WIRE_G2,
    issued,
    refusal,
    server_leaf,
    verify_with_openssl,
)
from tests.support.issuing import lab
from tests.support.softhsm import softhsm_all

__all__ = ["lab", "softhsm_all"]


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
    verify_with_openssl(lab, ca, await issued(lab, leaf=server_leaf(name), ca=ca), "sslserver")


def test_a_kind_of_name_that_no_constraint_can_hold_is_refused():
    """Under any constraint a name of an unknown kind is refused, not passed."""
    constraints = IssuerConstraints((((x509.DNSName("example.org"),), ()),))
    with pytest.raises(RequestError) as refused:
        constraints.require(DistinguishedName.of(()), [x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))])
    assert refused.value.code is RequestFault.NAME_REFUSED


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
