"""The requests of the WSO2 article by curl, verbatim but for host, secrets and the terminator's connection.

SOURCE: "Configuring MTLS Client Authentication and Certificate-Bound Access Tokens in WSO2 Identity Server"
(2020): its client id, its certificate in its header, and the thumbprint of its introspection.
"""

import asyncio
import base64
import json
import subprocess
from pathlib import Path

import pytest
from countersign import (
    AuthorizationRequest,
    ClientSecretBasicAuth,
    GrantType,
    Pkce,
    SelfSignedTlsClientAuth,
)
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.edge import register
from tests.support.gateway import ADMIN, ISSUER, RESOURCE, RunningGateway, running_gateway

SAMPLE = Path(__file__).parents[1] / "vectors" / "wso2_sample_client.pem"
CLIENT_ID = "h9gd1bLEgzUwftAhnrof0fZWcZwa"
THUMBPRINT = "mt3KDY1hofQurloTbphKHCSrTlAGl5MlgXX6Xxj9c_E"
HEADER = "x-wso2-mtls-cert"
PROXY = "spiffe://example.org/proxy"
LOGIN = "spiffe://example.org/login"


def sample() -> x509.Certificate:
    return x509.load_pem_x509_certificate(SAMPLE.read_bytes())


def sample_header() -> str:
    """The certificate as the article's curl sends it: PEM in one line."""
    lines = sample().public_bytes(Encoding.PEM).decode().split("\n")
    return f"{HEADER}: {''.join(lines)}"


async def curl(gateway: RunningGateway, path: str, *arguments: str) -> dict:
    """Run curl as the terminator in front would connect, and read its JSON."""
    folder = gateway.prepared.folder
    (folder / "root.pem").write_bytes(gateway.root.pem)
    certificate, key = gateway.root.leaf("proxy", uris=(PROXY,)).write(folder, "proxy")
    command = ["curl", "--silent", "--show-error", "--cacert", str(folder / "root.pem")]
    command += ["--cert", str(certificate), "--key", str(key)]
    command += ["-X", "POST", f"https://localhost:{gateway.server.ports.https_mtls}{path}", *arguments]
    finished = await asyncio.to_thread(
        subprocess.run, command, capture_output=True, text=True, timeout=20, check=True
    )
    return json.loads(finished.stdout)


@pytest.mark.parametrize("compatible", [False, True])
async def test_the_article(tmp_path, compatible):
    """The client of the article mints with its header, and introspection shows the article's thumbprint.

    The old member name appears beside the right one only where compatibility asks for it.
    """
    async with running_gateway(
        tmp_path,
        terminator={"trusted": [PROXY], "header": HEADER, "format": "pem"},
        compatibility={"wso2_x5t_sha256": compatible},
    ) as gateway:
        async with gateway.client(gateway.admin) as admin:
            der = sample().public_bytes(Encoding.DER)
            await register(admin, CLIENT_ID, SelfSignedTlsClientAuth((der,)))
            secret = await register(admin, "admin", ClientSecretBasicAuth(), resources=[RESOURCE])
        token = await curl(
            gateway,
            "/oauth2/token",
            *("-H", "content-type: application/x-www-form-urlencoded"),
            *("-H", sample_header()),
            *("-d", f"grant_type=client_credentials&client_id={CLIENT_ID}"),
        )
        assert (token["token_type"], token["expires_in"]) == ("Bearer", 600)
        credentials = base64.b64encode(f"admin:{secret}".encode()).decode()
        answer = await curl(
            gateway,
            "/oauth2/introspect",
            *("-H", f"authorization: Basic {credentials}"),
            *("-H", "content-type: application/x-www-form-urlencoded"),
            *("-d", f"token={token['access_token']}"),
        )
    expected = {"x5t#S256": THUMBPRINT}
    assert answer["cnf"] == (expected | {"x5t#SHA256": THUMBPRINT} if compatible else expected)
    assert (answer["active"], answer["client_id"], answer["token_type"]) == (True, CLIENT_ID, "Bearer")
    assert answer["iss"] == ISSUER


async def test_another_certificate_in_the_header(tmp_path):
    """The article's client with somebody else's certificate is refused, and told so."""
    async with running_gateway(
        tmp_path, terminator={"trusted": [PROXY], "header": HEADER, "format": "pem"}
    ) as gateway:
        async with gateway.client(gateway.admin) as admin:
            der = sample().public_bytes(Encoding.DER)
            await register(admin, CLIENT_ID, SelfSignedTlsClientAuth((der,)))
        other = gateway.root.leaf("other").pem.decode().replace("\n", "")
        answer = await curl(
            gateway,
            "/oauth2/token",
            *("-H", "content-type: application/x-www-form-urlencoded"),
            *("-H", f"{HEADER}: {other}"),
            *("-d", f"grant_type=client_credentials&client_id={CLIENT_ID}"),
        )
        assert answer == {
            "error": "invalid_client",
            "error_description": "Client authentication failed.",
        }


async def test_the_other_grants_of_the_article(tmp_path):
    """Its authorization code and refresh token requests; a code needs PKCE here, which the article lacks."""
    callers = [{"san_uri": ADMIN, "roles": ["admin"]}, {"san_uri": LOGIN, "roles": ["login"]}]
    async with running_gateway(
        tmp_path, callers=callers, terminator={"trusted": [PROXY], "header": HEADER, "format": "pem"}
    ) as gateway:
        async with gateway.client(gateway.admin) as admin:
            await register(
                admin,
                CLIENT_ID,
                SelfSignedTlsClientAuth((sample().public_bytes(Encoding.DER),)),
                grant_types=[GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN],
                redirect_uris=["http://localhost:8080/playground2/oauth2client"],
            )
        pkce = Pkce()
        request = AuthorizationRequest("http://localhost:8080/playground2/oauth2client", pkce.challenge)
        async with gateway.client(gateway.root.leaf("login", uris=(LOGIN,))) as login:
            code = await login.create_authorization_code(CLIENT_ID, request, subject="admin")
        first = await curl(
            gateway,
            "/oauth2/token",
            *("-H", "content-type: application/x-www-form-urlencoded"),
            *("-H", sample_header()),
            "-d",
            f"grant_type=authorization_code&client_id={CLIENT_ID}&code={code.code}"
            "&redirect_uri=http%3A%2F%2Flocalhost%3A8080%2Fplayground2%2Foauth2client"
            f"&code_verifier={pkce.verifier}",
        )
        second = await curl(
            gateway,
            "/oauth2/token",
            *("-H", "content-type: application/x-www-form-urlencoded"),
            *("-H", sample_header()),
            "-d",
            f"grant_type=refresh_token&refresh_token={first['refresh_token']}&client_id={CLIENT_ID}",
        )
    assert first["token_type"] == second["token_type"] == "Bearer"
    payload = second["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    assert (claims["cnf"], claims["sub"]) == ({"x5t#S256": THUMBPRINT}, "admin")
