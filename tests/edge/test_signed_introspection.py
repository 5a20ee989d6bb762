"""POST /oauth2/introspect for whoever accepts a JWT (RFC 9701)."""

import json

import jwt
import pytest
import pytest_asyncio
from countersign import ClientSecretBasicAuth, GrantType, NoAuth

from tests.support.edge import FORM, INTROSPECT, TOKEN, Edge, register, register_basic
from tests.support.gateway import ISSUER, RESOURCE, make_key, running_gateway

pytestmark = pytest.mark.asyncio(loop_scope="module")
MEDIA_TYPE = "application/token-introspection+jwt"
ACCEPT = {"accept": MEDIA_TYPE}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory):
    """The module's gateway, with a key for introspection responses."""
    folder = tmp_path_factory.mktemp("gateway")
    purposes = ("tokens", "introspection")
    keys = [{"purpose": each, "algorithm": "ES256", "uri": make_key(folder, each)} for each in purposes]
    async with running_gateway(folder, keys=keys) as running:
        yield running


async def verified(edge: Edge, response, audience):
    """What an independent library makes of the body, with the keys that the edge publishes."""
    assert (response.status_code, response.headers["content-type"]) == (200, MEDIA_TYPE)
    assert response.headers["cache-control"] == "no-store"
    keys = (await edge.get("/oauth2/jwks")).json()["keys"]
    header = jwt.get_unverified_header(response.text)
    assert header["typ"] == "token-introspection+jwt"
    (key,) = [key for key in keys if key["kid"] == header["kid"]]
    return jwt.decode(response.text, jwt.PyJWK(key), algorithms=["ES256"], audience=audience, issuer=ISSUER)


async def minted(edge: Edge, admin, name: str) -> str:
    secret = await register_basic(admin, name)
    response = await edge.post(TOKEN, auth=(name, secret), data={"grant_type": "client_credentials"})
    return response.json()["access_token"]


async def test_a_resource_server_by_client_id(edge: Edge, admin):
    """The audience is its client id and its resource, the claims are those of the JSON response."""
    token = await minted(edge, admin, "seen")
    secret = await register(admin, "server", ClientSecretBasicAuth(), resources=[RESOURCE])
    asked = {"auth": ("server", secret), "data": {"token": token}}
    claims = await verified(edge, await edge.post(INTROSPECT, headers=ACCEPT, **asked), "server")
    assert set(claims) == {"iss", "aud", "iat", "token_introspection"}
    assert claims["aud"] == ["server", RESOURCE]
    assert claims["token_introspection"] == (await edge.post(INTROSPECT, **asked)).json()


async def test_a_resource_server_by_certificate(edge: Edge, admin):
    """A caller that configuration knows is the audience by its resource."""
    token = await minted(edge, admin, "seen-by-certificate")
    response = await edge.post(INTROSPECT, identity=edge.gateway.api, headers=ACCEPT, data={"token": token})
    claims = await verified(edge, response, RESOURCE)
    assert (claims["aud"], claims["token_introspection"]["active"]) == (RESOURCE, True)


async def test_another_audiences_token(edge: Edge, admin):
    """For whom a token is not meant it is inactive, and the JWT says no more (RFC 9701 §5)."""
    token = await minted(edge, admin, "unseen")
    secret = await register_basic(admin, "stranger")
    response = await edge.post(INTROSPECT, auth=("stranger", secret), headers=ACCEPT, data={"token": token})
    claims = await verified(edge, response, "stranger")
    assert claims["token_introspection"] == {"active": False}


async def test_nobody_asks(edge: Edge):
    """Without any credentials: 400 (RFC 9701 §5)."""
    response = await edge.post(INTROSPECT, headers=ACCEPT, data={"token": "x"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert edge.cause(response)[0] == "CALLER_UNAUTHENTICATED"


async def test_a_public_client_asks(edge: Edge, admin):
    """It proves nothing, so it gets 400 as well."""
    await register(
        admin,
        "public",
        NoAuth(),
        grant_types=[GrantType.AUTHORIZATION_CODE],
        redirect_uris=["https://app.example.org/callback"],
    )
    response = await edge.post(INTROSPECT, headers=ACCEPT, data={"token": "x", "client_id": "public"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert edge.cause(response)[0] == "CALLER_UNAUTHENTICATED"


async def test_wrong_credentials(edge: Edge, admin):
    """They are refused as ever, and the error is JSON."""
    await register_basic(admin, "proven")
    response = await edge.post(INTROSPECT, auth=("proven", "x"), headers=ACCEPT, data={"token": "x"})
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")


async def test_two_accept_fields(edge: Edge):
    """Fields of one name are one list (RFC 9110 §5.3): the higher quality wins."""
    headers = [*FORM.items(), ("accept", "application/json;q=0.1"), ("accept", MEDIA_TYPE)]
    response = await edge.post(INTROSPECT, identity=edge.gateway.api, headers=headers, content=b"token=x")
    assert response.headers["content-type"] == MEDIA_TYPE


async def test_not_acceptable(edge: Edge):
    """What is neither JSON nor the JWT is not given, and the token is not looked at."""
    response = await edge.post(
        INTROSPECT, identity=edge.gateway.api, headers={"accept": "text/html"}, data={"token": "x"}
    )
    assert (response.status_code, response.json()["error"]) == (406, "invalid_request")
    assert edge.cause(response)[1] == "not_acceptable"


async def test_the_metadata(edge: Edge):
    """They name the algorithm of the key (RFC 9701 §7)."""
    document = json.loads((await edge.get("/.well-known/oauth-authorization-server")).content)
    assert document["introspection_signing_alg_values_supported"] == ["ES256"]


async def test_no_key(tmp_path):
    """Without a key for it nothing unsigned takes its place, and the metadata promise nothing."""
    async with running_gateway(tmp_path) as gateway:
        edge = Edge(gateway)
        response = await edge.post(INTROSPECT, identity=gateway.api, headers=ACCEPT, data={"token": "x"})
        document = (await edge.get("/.well-known/oauth-authorization-server")).json()
    assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")
    assert "introspection_signing_alg_values_supported" not in document
