"""What a request may ask of a profile."""

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.pki.issuance_errors import RequestError, RequestFault
from tests.support.issued import SERVER, request_of
from tests.support.issuing import lab
from tests.support.softhsm import softhsm_all

__all__ = ["lab", "softhsm_all"]


KEY_USAGE_BITS = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)


def usage(**bits):
    return x509.KeyUsage(**dict.fromkeys(KEY_USAGE_BITS, False) | bits)


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
