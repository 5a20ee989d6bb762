"""Profiles, leaves and requests that several tests of issuing share."""

import ipaddress
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.pki.csr import CertificateRequest
from gateway.pki.issuance_errors import IssuingError, RequestError
from gateway.pki.issue import issue
from gateway.pki.leaf import Leaf
from gateway.pki.name_policy import NamePolicy
from gateway.pki.names import DistinguishedName
from gateway.pki.profile import CertificateProfile, KeyUsageBit, Validity
from gateway.pki.serials import new_serial
from gateway.pki.wire import WireNames
from tests.support.certificate_tools import openssl
from tests.support.pki import pem

LEAF_KEY = ec.generate_private_key(ec.SECP256R1()).public_key()
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


def verify_with_openssl(lab, ca, certificate, purpose):
    """OpenSSL builds a strict chain from *certificate* to the root."""
    root = lab.write("root.pem", lab.root.pem)
    chain = lab.write("chain.pem", ca.pem)
    leaf = lab.write("leaf.pem", pem(certificate))
    shown = openssl("verify", "-x509_strict", "-purpose", purpose, "-CAfile", root, "-untrusted", chain, leaf)
    assert "OK" in shown


def request_of(builder):
    """The request of *builder*, signed with a fresh key and parsed."""
    key = ec.generate_private_key(ec.SECP256R1())
    return CertificateRequest.parse(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER))
