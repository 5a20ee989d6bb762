"""gateway.pki.thumbprints: x5t#S256 against published values."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.pki import names_of, x5t_s256

VECTORS = Path(__file__).parent.parent / "vectors"


@pytest.mark.parametrize(
    ("name", "thumbprint"),
    [
        ("wso2_sample_client.pem", "mt3KDY1hofQurloTbphKHCSrTlAGl5MlgXX6Xxj9c_E"),
        ("rfc8705_appendix_a.pem", "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"),
    ],
)
def test_the_published_thumbprints_are_met(name, thumbprint):
    """The digest covers the DER, not the PEM or its base64, and is spelled without padding."""
    certificate = x509.load_pem_x509_certificate((VECTORS / name).read_bytes())
    assert x5t_s256(certificate.public_bytes(Encoding.DER)) == thumbprint


def test_a_version_1_certificate_has_a_subject_and_no_alternative_names():
    """RFC 8705's example predates extensions; its names can be read all the same."""
    certificate = x509.load_pem_x509_certificate((VECTORS / "rfc8705_appendix_a.pem").read_bytes())
    names = names_of(certificate)
    assert names.subject.rfc4514 == "CN=mtls"
    assert not names.alternative.dns
