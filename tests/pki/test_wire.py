"""Wire's requests against their order."""

from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID

from gateway.pki.issuance_errors import RequestError, RequestFault
from tests.support.issued import WIRE_G1, WIRE_G2, request_of
from tests.support.issuing import lab
from tests.support.softhsm import softhsm_all

__all__ = ["lab", "softhsm_all"]


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
        ({"others": [x509.RFC822Name("a@wire.com")]}, RequestFault.SAN_KIND),
        ({"others": [x509.IPAddress(ip_address("192.0.2.1"))]}, RequestFault.SAN_KIND),
    ],
    ids=str,
)
def test_a_wire_request_for_other_names_is_refused(wrong, code):
    """Each difference from the order has its reason."""
    with pytest.raises(RequestError) as refused:
        WIRE_G2.require_in(wire_request(WIRE_G2, **wrong))
    assert refused.value.code is code
