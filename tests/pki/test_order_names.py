"""Requests against the names of their order."""

import ipaddress

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.pki.issuance_errors import RequestError, RequestFault
from gateway.pki.order_names import require_exact_names
from gateway.pki.subject_alternative_names import SubjectAlternativeNames
from tests.support.issued import (
    request_of,
)
from tests.support.issuing import lab
from tests.support.softhsm import softhsm_all

__all__ = ["lab", "softhsm_all"]

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
