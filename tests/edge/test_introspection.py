"""POST /oauth2/introspect and /oauth2/revoke over real HTTPS."""

import pytest
from countersign import ClientSecretBasicAuth

from tests.support.edge import INTROSPECT, REVOKE, TOKEN, Edge, leaf, register, register_basic
from tests.support.gateway import API, ISSUER, RESOURCE

pytestmark = pytest.mark.asyncio(loop_scope="module")
INACTIVE = {"active": False}


async def minted(edge: Edge, admin, name: str, **fields) -> str:
    """A token for `RESOURCE` of a new client, bound to its certificate."""
    await register(admin, name, **fields)
    response = await edge.post(
        TOKEN,
        identity=leaf(edge.gateway, name),
        data={"grant_type": "client_credentials", "client_id": name},
    )
    return response.json()["access_token"]


async def test_a_resource_server_by_certificate(edge: Edge, admin):
    """A caller with the role resource-server sees a token for its resource, and all that RFC 7662 names."""
    token = await minted(edge, admin, "seen")
    response = await edge.post(INTROSPECT, identity=edge.gateway.api, data={"token": token})
    answer = response.json()
    assert set(answer) == {
        *("active", "aud", "client_id", "cnf", "exp", "iat", "iss", "jti", "scope", "sub", "token_type")
    }
    assert (answer["active"], answer["aud"], answer["iss"]) == (True, RESOURCE, ISSUER)
    assert (answer["client_id"], answer["sub"], answer["scope"]) == ("seen", "seen", "read write")
    assert answer["token_type"] == "Bearer"
    assert set(answer["cnf"]) == {"x5t#S256"}
    assert response.headers["cache-control"] == "no-store"


async def test_a_client_sees_its_own(edge: Edge, admin):
    """A client authenticates as at the token endpoint, and sees its own tokens only."""
    secret = await register_basic(admin, "owner")
    response = await edge.post(TOKEN, auth=("owner", secret), data={"grant_type": "client_credentials"})
    own = response.json()["access_token"]
    foreign = await minted(edge, admin, "stranger")
    answers = [
        (await edge.post(INTROSPECT, auth=("owner", secret), data={"token": token})).json()
        for token in (own, foreign)
    ]
    assert answers[0]["active"] is True
    assert answers[1] == INACTIVE


async def test_a_client_with_resources(edge: Edge, admin):
    """A registered resource server asks with its secret."""
    token = await minted(edge, admin, "for-a-server")
    secret = await register(admin, "server", ClientSecretBasicAuth(), resources=[RESOURCE])
    response = await edge.post(INTROSPECT, auth=("server", secret), data={"token": token})
    assert response.json()["active"] is True


@pytest.mark.parametrize("hint", ["access_token", "refresh_token", "whatever"])
async def test_the_hint_changes_nothing(edge: Edge, admin, hint):
    """A wrong or unknown hint is advice that did not help (RFC 7662 §2.1)."""
    token = await minted(edge, admin, f"hinted-{hint}")
    data = {"token": token, "token_type_hint": hint}
    response = await edge.post(INTROSPECT, identity=edge.gateway.api, data=data)
    assert response.json()["active"] is True


@pytest.mark.parametrize("token", ["x", "a.b.c", "é", "x" * 20_000])
async def test_what_is_no_token_is_inactive(edge: Edge, token):
    """Whatever is not a token of ours is inactive, and nothing more is told."""
    response = await edge.post(INTROSPECT, identity=edge.gateway.api, data={"token": token})
    assert (response.status_code, response.json()) == (200, INACTIVE)


async def test_nobody_asks(edge: Edge):
    """Without any credentials the request is malformed (RFC 9701 §5), and nothing is told of the token."""
    response = await edge.post(INTROSPECT, data={"token": "x"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert edge.cause(response)[0] == "CALLER_UNAUTHENTICATED"


async def test_a_caller_without_the_role(edge: Edge):
    """A known caller that is no resource server is refused."""
    response = await edge.post(INTROSPECT, identity=edge.gateway.admin, data={"token": "x"})
    assert (response.status_code, response.json()["error"]) == (403, "access_denied")


async def test_the_token_is_missing(edge: Edge):
    """The parameter token is required."""
    response = await edge.post(INTROSPECT, identity=edge.gateway.api, data={"token_type_hint": "x"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


async def test_a_caller_by_token(edge: Edge, admin):
    """A client that is a resource server may ask with an access token for the gateway itself."""
    secret = await register(admin, "by-token", ClientSecretBasicAuth(), resources=[RESOURCE])
    data = {"grant_type": "client_credentials", "resource": ISSUER}
    response = await edge.post(TOKEN, auth=("by-token", secret), data=data)
    credential = response.json()["access_token"]
    token = await minted(edge, admin, "asked-by-token")
    headers = {"authorization": f"bearer {credential}"}
    response = await edge.post(INTROSPECT, headers=headers, data={"token": token})
    assert response.json()["active"] is True
    assert edge.gateway.log.records[-1].caller == "client:by-token"


async def test_revocation(edge: Edge, admin):
    """A revoked token is inactive at once; revoking again, or what is no token, is success too."""
    token = await minted(edge, admin, "revoking")
    certificate = leaf(edge.gateway, "revoking")
    for revoked in (token, token, "no token"):
        data = {"client_id": "revoking", "token": revoked, "token_type_hint": "refresh_token"}
        response = await edge.post(REVOKE, identity=certificate, data=data)
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["cache-control"] == "no-store"
    answer = await edge.post(INTROSPECT, identity=edge.gateway.api, data={"token": token})
    assert answer.json() == INACTIVE


async def test_another_clients_token_is_not_revoked(edge: Edge, admin):
    """A client revokes its own tokens only."""
    token = await minted(edge, admin, "keeping")
    secret = await register_basic(admin, "taking")
    response = await edge.post(REVOKE, auth=("taking", secret), data={"token": token})
    assert (response.status_code, response.json()["error"]) == (400, "unauthorized_client")
    answer = await edge.post(INTROSPECT, identity=edge.gateway.api, data={"token": token})
    assert answer.json()["active"] is True


async def test_revocation_needs_the_client(edge: Edge, admin):
    """Nobody revokes without proof, and the log says who called."""
    response = await edge.post(REVOKE, data={"token": "x"})
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    await register(admin, "unproven")
    response = await edge.post(REVOKE, data={"token": "x", "client_id": "unproven"})
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    assert (await edge.get("/healthz", identity=edge.gateway.api)).status_code == 200
    assert edge.gateway.log.records[-1].caller == API
