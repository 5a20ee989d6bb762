"""The programs in clients/python/examples run against a gateway as a user starts it."""

import json
import re
import subprocess
import sys

import pytest
from countersign import SyncGatewayClient, TlsConfig
from countersign.clients import GrantType, PrivateKeyJwtAuth
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gateway.cli.development import CLIENT_ID, ISSUER, RESOURCE
from gateway.jose.jwk import public_jwk
from tests.support.development import ROOT, development_gateway

MINTED = r"minted \S+: scope orders:read, until \d\d:\d\d:\d\dZ"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    """A development gateway for all examples."""
    with development_gateway(tmp_path_factory.mktemp("examples") / "var") as running:
        yield running


def run_example(gateway, name, *arguments):
    """The lines that the example prints, as the sample backend."""
    folder = gateway.folder
    command = [sys.executable, str(ROOT / "clients" / "python" / "examples" / name)]
    command += ["--target", gateway.mtls, "--ca", str(folder / "ca.pem")]
    command += ["--certificate", str(folder / "orders-backend.pem")]
    command += ["--private-key", str(folder / "orders-backend-key.pem")]
    ran = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.parametrize("name", ["mint_and_introspect.py", "mint_and_introspect_sync.py"])
def test_a_token_is_minted_introspected_and_revoked(gateway, name):
    """The asynchronous and the synchronous example print the same story."""
    lines = run_example(gateway, name, "--client-id", CLIENT_ID, "--scope", "orders:read")

    assert re.fullmatch(MINTED, lines[0])
    assert lines[1:] == [f"active, issued to {CLIENT_ID}", "not active"]


def test_a_client_proves_itself_by_an_assertion(gateway, tmp_path):
    """The private_key_jwt example mints for a client that is registered with its public key."""
    key = ec.generate_private_key(ec.SECP256R1())
    pem = tmp_path / "assertion.pem"
    pem.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    tls = TlsConfig(
        ca=gateway.folder / "ca.pem",
        certificate=gateway.folder / "admin.pem",
        private_key=gateway.folder / "admin-key.pem",
    )
    with SyncGatewayClient(gateway.tls, mtls_target=gateway.mtls, tls=tls) as admin:
        admin.create_client(
            "reporting",
            authentication=PrivateKeyJwtAuth(json.dumps({"keys": [public_jwk(key.public_key(), kid="one")]})),
            grant_types=[GrantType.CLIENT_CREDENTIALS],
            scopes=["orders:read"],
            audiences=[RESOURCE],
            default_audience=RESOURCE,
        )

    (line,) = run_example(
        gateway,
        "private_key_jwt.py",
        *("--client-id", "reporting", "--issuer", ISSUER, "--assertion-key", str(pem)),
        *("--algorithm", "ES256", "--key-id", "one", "--scope", "orders:read"),
    )

    assert re.fullmatch(MINTED, line)
