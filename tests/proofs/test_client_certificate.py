"""gateway.proofs.client_certificate: one parsed certificate per request."""

from pathlib import Path

import pytest

from gateway.errors import Reason
from gateway.pki import PkiError, PkiFault
from gateway.proofs.client_certificate import ClientCertificate, ClientCertificateError
from tests.support.pki import Authority

VECTORS = Path(__file__).parent.parent / "vectors"


@pytest.fixture(scope="module")
def issued():
    return Authority.root().intermediate().leaf("client-a")


def cause_of(function, *arguments):
    with pytest.raises(ClientCertificateError) as caught:
        function(*arguments)
    assert caught.value.reason is Reason.CLIENT_CERTIFICATE_MALFORMED
    return caught.value.cause


def test_the_leaf_comes_first_and_the_rest_is_the_chain(issued):
    """The first certificate of the PEM is the client's, the others are what it presented beside it."""
    certificate = ClientCertificate.from_pem(issued.chain_pem)
    assert certificate.certificate == issued.certificate
    assert certificate.der == issued.der
    assert certificate.intermediates == issued.intermediates
    assert ClientCertificate.from_pem(issued.pem).intermediates == ()


def test_pem_and_der_give_the_same_certificate(issued):
    """Whatever it came in, the bytes that are hashed and compared are the DER."""
    assert ClientCertificate.from_der(issued.der) == ClientCertificate.from_pem(issued.pem)


def test_the_thumbprint_is_that_of_the_article():
    """The sample certificate of the WSO2 article has the thumbprint that the article prints."""
    certificate = ClientCertificate.from_pem((VECTORS / "wso2_sample_client.pem").read_bytes())
    assert certificate.x5t_s256 == "mt3KDY1hofQurloTbphKHCSrTlAGl5MlgXX6Xxj9c_E"


def test_the_same_bytes_are_parsed_once(issued):
    """GRPC hands over the same PEM on every call of a connection, in a new object each time."""
    first = ClientCertificate.from_pem(issued.chain_pem)
    assert ClientCertificate.from_pem(bytes(bytearray(issued.chain_pem))) is first


@pytest.mark.parametrize(
    "pem",
    [
        b"",
        b"not pem",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n",
        b"-----BEGIN CERTIFICATE-----\n",
        b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
    ],
)
def test_what_is_not_a_certificate_in_pem_is_refused(pem):
    """Each kind of bad PEM is CLIENT_CERTIFICATE_MALFORMED, and is refused again the second time."""
    assert cause_of(ClientCertificate.from_pem, pem) == "pem_malformed"
    assert cause_of(ClientCertificate.from_pem, pem) == "pem_malformed"


def test_what_is_not_a_certificate_in_der_is_refused(issued):
    """Cut short, followed by more, or something else: der_malformed, for an intermediate too."""
    for der in (b"", b"\x30\x00", issued.der[:-1], issued.der + b"\0", issued.pem):
        assert cause_of(ClientCertificate.from_der, der) == "der_malformed"
        assert cause_of(ClientCertificate.from_der, issued.der, [der]) == "der_malformed"


def test_size_and_number_are_bounded(issued):
    """More than 64 KiB or nine certificates are refused."""
    assert cause_of(ClientCertificate.from_pem, b"x" * 65537) == "too_large"
    assert cause_of(ClientCertificate.from_der, issued.der, [b"x" * 65536]) == "too_large"
    assert len(ClientCertificate.from_pem(issued.pem * 9).intermediates) == 8
    assert cause_of(ClientCertificate.from_pem, issued.pem * 10) == "too_many_certificates"


def test_its_own_dates_can_be_asked_for(issued):
    """A registered certificate without a chain is still held to its dates, both ends included."""
    certificate = ClientCertificate.from_pem(issued.pem)
    start = issued.certificate.not_valid_before_utc.timestamp()
    end = issued.certificate.not_valid_after_utc.timestamp()
    certificate.require_valid_at(start)
    certificate.require_valid_at(end)
    for now, code in ((start - 1, PkiFault.NOT_YET_VALID), (end + 1, PkiFault.EXPIRED)):
        with pytest.raises(PkiError) as caught:
            certificate.require_valid_at(now)
        assert caught.value.code is code
