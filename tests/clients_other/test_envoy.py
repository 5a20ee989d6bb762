"""deploy/compose/envoy.yaml: Envoy would start with it, by its own messages and their rules."""

import subprocess

import pytest

from tests.support.client_languages import ROOT, succeed

FILE = ROOT / "deploy" / "compose" / "envoy.yaml"
CHECKER = ROOT / "tests" / "support" / "envoy_check"


@pytest.fixture(scope="module")
def checker(tmp_path_factory):
    program = tmp_path_factory.mktemp("envoy") / "envoy_check"
    assert succeed(CHECKER, "gofmt", "-l", ".") == ""
    succeed(CHECKER, "go", "build", "-o", program, ".")
    return program


def test_envoy_takes_it(checker):
    """Every field is known, of its type, and within its rules."""
    succeed(ROOT, checker, FILE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("forward_client_cert_details: SANITIZE_SET", "forward_client_cert_details: SANITISE_SET"),
        ("require_client_certificate:", "requires_client_certificate:"),
        ("port_value: 8443", "port_value: 84430"),
        ("transport_sockets.tls.v3.DownstreamTlsContext", "transport_sockets.tls.v3.DownstreamTls"),
        ("exact: gateway", "equal: gateway"),
        ("stat_prefix: clients", "stat_prefix: ''"),
        ("route: {cluster: grpc, timeout: 0s}", "route: {cluster: grpc, timeout: soon}"),
    ],
)
def test_a_fault_is_found(checker, tmp_path, old, new):
    """A wrong name, type or value anywhere in the file is found."""
    text = FILE.read_text()
    assert old in text
    broken = tmp_path / "envoy.yaml"
    broken.write_text(text.replace(old, new))
    done = subprocess.run([checker, broken], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 1, done.stdout
