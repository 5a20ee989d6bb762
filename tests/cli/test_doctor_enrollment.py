"""What ``countersign doctor`` says of provisioners that follow a rotation."""

from dataclasses import replace

import pytest

from gateway.cli.doctor_enrollment import issuing_findings
from gateway.config import load
from gateway.keys.model import KeyPurpose, KeyState
from signers import Algorithm
from tests.support.stores import key_record

ACTIVE = {"purpose": KeyPurpose.CERTIFICATES, "algorithm": Algorithm.ES256, "state": KeyState.ACTIVE}
ROTATION = """
[[rotations]]
purpose = "certificates"
algorithm = "ES256"
period = 86400
uri = "file:ca-{after}.pem"
delegated = true
"""


def settings(folder, *, rotation: str = ""):
    """A configuration with one provisioner without a chain, and one with it."""
    provisioner = '\n[[provisioners]]\nname = "{}"\nkind = "tls"\nurl = "https://ca.example.org/{}"\n'
    common = 'challenges = ["http-01"]\ndomains = ["example.org"]\n'
    file = folder / "countersign.toml"
    file.write_text(
        '[server]\ncertificate = "s.pem"\nprivate_key = "s.key"\nclient_ca = "ca.pem"\n'
        '[store]\nurl = "sqlite:///state.db"\n'
        '[tokens]\nissuer = "https://id.example.org"\n'
        + provisioner.format("hosts", "hosts")
        + common
        + provisioner.format("fixed", "fixed")
        + common
        + 'chain = "chain.pem"\n'
        + rotation
    )
    return load(file)


@pytest.mark.parametrize(
    ("rotation", "records", "said", "fatal"),
    [
        ("", [], "countersign keys create --delegated-for", True),
        (ROTATION, [], "the rotation makes one", False),
        ("", [key_record("ca", **ACTIVE | {"state": KeyState.PREPARED})], "no key for certificates", True),
        ("", [key_record("ca", **ACTIVE)], "countersign keys import-cert", True),
    ],
    ids=["nothing", "rotation", "prepared", "no-certificate"],
)
def test_there_is_no_ca(tmp_path, rotation, records, said, fatal):
    """What is missing, with what to do; a rotation makes its key by itself."""
    (finding,) = issuing_findings(settings(tmp_path, rotation=rotation), records)
    assert said in finding.line()
    assert finding.fatal is fatal


def test_there_is_a_ca(tmp_path):
    """Which key it is."""
    record = replace(key_record("ca", **ACTIVE), chain_pem=b"-----BEGIN CERTIFICATE-----\n")
    (finding,) = issuing_findings(settings(tmp_path), [record])
    assert finding.line() == f"ok    CA of provisioner hosts: issues with {record.key_id[:8]}…"
