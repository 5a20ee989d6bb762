"""Published vectors at the resource server's own code: it shares none with the gateway."""

import json
from pathlib import Path

import pytest
from countersign.resource_server import Fault, InvalidProofError
from countersign.resource_server._public_keys import key_of_members, thumbprint
from countersign.resource_server.certificate import certificate_of_pem, certificate_thumbprint
from countersign.resource_server.dpop import ProofChecker

from gateway.jose import base64url
from tests.clients.resource_server.conftest import policy

VECTORS = Path(__file__).resolve().parents[2] / "vectors"
RFC9449 = json.loads((VECTORS / "rfc9449_proofs.json").read_text())
THUMBPRINTS = json.loads((VECTORS / "jwk_thumbprints.json").read_text())["keys"]


def check(name, now):
    """A proof of the RFC, as for a request that presents its access token; the checker, to go on with."""
    vector = RFC9449["proofs"][name]
    checker = ProofChecker(policy(origins=(vector["origin"],)), clock=lambda: float(now))

    def once():
        checker.check(
            [vector["proof"]],
            method=vector["method"],
            path=vector["path"],
            access_token=RFC9449["access_token"],
            jkt=base64url.decode(RFC9449["jkt"]),
        )

    return once


def test_resource_request():
    """The proof of RFC 9449 §7.1 is accepted at its time, once."""
    once = check("resource", 1562262618)
    once()
    with pytest.raises(InvalidProofError) as caught:
        once()
    assert caught.value.fault is Fault.REPLAYED


def test_resource_request_later():
    """A minute later it is too old."""
    with pytest.raises(InvalidProofError) as caught:
        check("resource", 1562262618 + 61)()
    assert caught.value.fault is Fault.TOO_OLD


def test_token_request():
    """The proof of a token request has no ath, and is none of a request with a token."""
    with pytest.raises(InvalidProofError) as caught:
        check("token", 1562262616)()
    assert caught.value.fault is Fault.CLAIM_MISSING


@pytest.mark.parametrize("vector", THUMBPRINTS, ids=lambda vector: vector["name"])
def test_thumbprints(vector):
    """The thumbprints of RFC 7638 §3.1 and RFC 8037 A.3."""
    assert base64url.encode(thumbprint(key_of_members(vector["jwk"]))) == vector["thumbprint"]


@pytest.mark.parametrize(
    ("file", "x5t_s256"),
    [
        # SOURCE: RFC 8705 Appendix A; an X.509 v1 certificate.
        ("rfc8705_appendix_a.pem", "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0"),
        # SOURCE: the introspection sample of the WSO2 article on mutual TLS.
        ("wso2_sample_client.pem", "mt3KDY1hofQurloTbphKHCSrTlAGl5MlgXX6Xxj9c_E"),
    ],
)
def test_certificates(file, x5t_s256):
    """x5t#S256 is the hash of the DER, whatever the age of the certificate."""
    der = certificate_of_pem((VECTORS / file).read_bytes())
    assert base64url.encode(certificate_thumbprint(der)) == x5t_s256
