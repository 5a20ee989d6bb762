"""The examples run as a user would run them."""

import asyncio
import sys
from pathlib import Path

import grpc
import jwt
import pytest
from countersign.v1 import access_token_pb2, token_service_pb2
from countersign.v1 import introspection_service_pb2 as introspection_pb2
from cryptography.hazmat.primitives import serialization

from tests.clients.gateway_double import failure
from tests.support.pki import new_key

EXAMPLES = Path(__file__).resolve().parents[2] / "clients" / "python" / "examples"
MINTED = token_service_pb2.MintTokenResponse(
    token=access_token_pb2.AccessToken(value="tok", token_id="jti-1", scope=["read"])
)


@pytest.fixture
def run(listeners, pki, tmp_path):
    """A function that runs an example and returns its exit code and both outputs."""
    certificate, key = pki.client.write(tmp_path, "billing")
    ca = tmp_path / "ca.pem"
    ca.write_bytes(pki.root.pem)
    common = ["--target", listeners.mtls, "--ca", ca, "--certificate", certificate, "--private-key", key]

    async def start(name: str, *arguments: object) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            EXAMPLES / name,
            *common,
            *map(str, arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        return process.returncode or 0, out.decode(), err.decode()

    return start


@pytest.mark.parametrize("name", ["mint_and_introspect.py", "mint_and_introspect_sync.py"])
async def test_mint_introspect_revoke(run, double, name):
    """The first example mints, sees the token active, revokes it and sees it inactive."""
    double.will("MintToken", MINTED)
    double.will(
        "IntrospectToken",
        introspection_pb2.IntrospectTokenResponse(
            active=True, token=introspection_pb2.IntrospectedToken(client_id="billing")
        ),
        introspection_pb2.IntrospectTokenResponse(),
    )
    double.will("RevokeToken", token_service_pb2.RevokeTokenResponse())
    code, out, err = await run(name, "--client-id", "billing", "--scope", "read")
    assert (code, err) == (0, "")
    first, second, third = out.splitlines()
    assert first.startswith("minted jti-1: scope read")
    assert (second, third) == ("active, issued to billing", "not active")
    assert [call.method for call in double.calls] == [
        "MintToken",
        "IntrospectToken",
        "RevokeToken",
        "IntrospectToken",
    ]


async def test_private_key_jwt(run, double, tmp_path):
    """The assertion of the example verifies with the client's public key."""
    key = new_key()
    pem = tmp_path / "assertion.pem"
    pem.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    double.will("MintToken", MINTED)
    options = {
        "--client-id": "reporting",
        "--issuer": "https://gateway.example",
        "--assertion-key": pem,
        "--algorithm": "ES256",
        "--key-id": "kid-1",
    }
    code, out, err = await run("private_key_jwt.py", *(part for pair in options.items() for part in pair))
    assert (code, err) == (0, "")
    assert out.startswith("minted jti-1")
    [request] = double.requests("MintToken")
    assertion = request.authentication.private_key_jwt.assertion
    claims = jwt.decode(assertion, key.public_key(), algorithms=["ES256"], audience="https://gateway.example")
    assert claims["sub"] == "reporting"


async def test_failure_is_told(run, double):
    """A refused call ends the program with one line that names the reason."""
    double.will("MintToken", failure(grpc.StatusCode.UNAUTHENTICATED, "INVALID_CLIENT"))
    code, _, err = await run("mint_and_introspect.py", "--client-id", "billing")
    assert code == 1
    assert err.startswith("INVALID_CLIENT: It failed.; request id ")
