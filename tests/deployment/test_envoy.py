"""deploy/compose/envoy.yaml: Envoy itself takes it, and says where one like it is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.deployment import COMPOSE

ENVOY = Path(sys.executable).with_name("envoy")


@pytest.fixture
def validate(prepared, tmp_path):
    """A function that has Envoy read the file with a text in it replaced; the exit code and what it said."""

    def run(old: str = "", new: str = "") -> tuple[int, str]:
        text = (COMPOSE / "envoy.yaml").read_text()
        assert old in text
        file = tmp_path / "envoy.yaml"
        file.write_text(text.replace(old, new).replace("/run/secrets/", f"{prepared}/secrets/"))
        command = [ENVOY, "--mode", "validate", "--config-path", file, "--log-level", "error"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        return done.returncode, done.stdout + done.stderr

    return run


def test_envoy_takes_it(validate):
    """Every field is known, of its type, and within its rules; certificates and keys fit."""
    code, said = validate()
    assert code == 0, said
    assert said.rstrip().endswith("OK")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "forward_client_cert_details: SANITIZE_SET",
            "forward_client_cert_details: SANITISE",
            "SANITISE",
        ),
        ("require_client_certificate:", "requires_client_certificate:", "requires_client_certificate"),
        ("port_value: 8443", "port_value: 84430", "PortValue"),
        (
            "transport_sockets.tls.v3.DownstreamTlsContext",
            "transport_sockets.tls.v3.Downstream",
            "Downstream",
        ),
        ("exact: gateway", "equal: gateway", "equal"),
        ("stat_prefix: clients", "stat_prefix: ''", "StatPrefix"),
        ("route: {cluster: grpc, timeout: 0s}", "route: {cluster: gprc, timeout: 0s}", "gprc"),
        ("envoy-key.pem", "gateway-key.pem", "private key"),
    ],
)
def test_a_fault_is_found(validate, old, new, said):
    """A wrong name, type, value, reference or key anywhere in the file is found, and named."""
    code, output = validate(old, new)
    assert code == 1
    assert said in output
