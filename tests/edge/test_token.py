"""POST /oauth2/token over real HTTPS: every client authentication, and every refusal by its name."""

import base64
import json

import httpx
import pytest

from tests.support.edge import (
    TOKEN,
    Edge,
    leaf,
    register,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
GRANT = {"grant_type": "client_credentials"}
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


def body_of(token: str) -> dict:
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def refusal(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]


async def test_certificate_of_the_pki(edge: Edge, admin):
    """A client certificate on the mutual-TLS port mints a token that is bound to it."""
    await register(admin, "pki")
    certificate = leaf(edge.gateway, "pki")
    response = await edge.post(
        TOKEN, identity=certificate, data={**GRANT, "client_id": "pki", "scope": "read"}
    )
    assert response.status_code == 200
    token = response.json()
    assert {**token, "access_token": ""} == {
        "access_token": "",
        "token_type": "Bearer",
        "expires_in": 600,
        "scope": "read",
    }
    assert "x5t#S256" in body_of(token["access_token"])["cnf"]
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["pragma"] == "no-cache"
    assert response.headers["content-type"] == "application/json"


async def test_certificate_by_an_intermediate(edge: Edge, admin):
    """The intermediates that the client presents take part in the chain that is built in process."""
    await register(admin, "chained")
    certificate = edge.gateway.root.intermediate().leaf(dns=("chained.example.org",))
    response = await edge.post(TOKEN, identity=certificate, data={**GRANT, "client_id": "chained"})
    assert response.status_code == 200
