"""Codes, refresh tokens and pushed requests over HTTPS, a login application making the codes over gRPC."""

import base64
import hashlib

import httpx
import pytest
from countersign import AuthorizationRequest, ClientSecretBasicAuth, GrantType, NoAuth, Pkce

from tests.support.edge import INTROSPECT, REVOKE, TOKEN, Edge
from tests.support.gateway import ADMIN, API, ISSUER, RESOURCE, RunningGateway, running_gateway

LOGIN = "spiffe://example.org/login"
REDIRECT = "https://app.example.org/callback"
PAR = "/oauth2/par"
CALLERS = [
    {"san_uri": ADMIN, "roles": ["admin"]},
    {"san_uri": API, "roles": ["resource-server"], "resources": [RESOURCE]},
    {"san_uri": LOGIN, "roles": ["login"]},
]
ASKING = {
    "grant_types": [GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN],
    "redirect_uris": [REDIRECT],
    "scopes": ["read", "write"],
    "audiences": [RESOURCE],
    "default_audience": RESOURCE,
}


@pytest.fixture
async def gateway(tmp_path):
    """A gateway with a login application."""
    async with running_gateway(tmp_path, callers=CALLERS) as running:
        yield running


@pytest.fixture
async def secret(gateway: RunningGateway) -> str:
    """The secret of the client ``app``."""
    async with gateway.client(gateway.admin) as admin:
        created = await admin.create_client("app", authentication=ClientSecretBasicAuth(), **ASKING)
        await admin.create_client("public", authentication=NoAuth(), **ASKING)
    return created.client_secret


async def code_for(
    gateway: RunningGateway, request: AuthorizationRequest | str, client_id: str = "app"
) -> str:
    """A code that the login application makes for alice."""
    async with gateway.client(gateway.root.leaf("login", uris=(LOGIN,))) as login:
        return (await login.create_authorization_code(client_id, request, subject="alice")).code


def pushing(pkce: Pkce, **changes) -> dict:
    """The form of a good pushed request; a change to None leaves a parameter out."""
    values = {
        "response_type": "code",
        "redirect_uri": REDIRECT,
        "scope": "read",
        "code_challenge": pkce.challenge,
        "code_challenge_method": "S256",
    } | changes
    return {name: value for name, value in values.items() if value is not None}


async def redeemed(edge: Edge, secret: str, code: str, pkce: Pkce, /, **changes) -> httpx.Response:
    data = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": pkce.verifier,
    } | changes
    return await edge.post(TOKEN, auth=("app", secret), data=data)


async def test_the_whole_flow(gateway, secret):
    """Push, log in, redeem, refresh, introspect, revoke; all ends with the refresh token."""
    edge, pkce = Edge(gateway), Pkce()
    pushed = await edge.post(PAR, auth=("app", secret), data=pushing(pkce, state="s"))
    assert pushed.status_code == 201
    assert pushed.headers["cache-control"] == "no-store"
    assert pushed.json()["expires_in"] > 0
    code = await code_for(gateway, pushed.json()["request_uri"])
    first = (await redeemed(edge, secret, code, pkce)).json()
    assert (first["token_type"], first["scope"]) == ("Bearer", "read")
    data = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = (await edge.post(TOKEN, auth=("app", secret), data=data)).json()
    assert second["access_token"] != first["access_token"]
    answer = await edge.post(INTROSPECT, identity=gateway.api, data={"token": second["access_token"]})
    assert (answer.json()["sub"], answer.json()["active"]) == ("alice", True)
    own = await edge.post(INTROSPECT, auth=("app", secret), data={"token": second["refresh_token"]})
    assert own.json()["active"] is True
    assert "token_type" not in own.json()
    revoked = {"token": second["refresh_token"], "token_type_hint": "access_token"}
    assert (await edge.post(REVOKE, auth=("app", secret), data=revoked)).status_code == 200
    answer = await edge.post(INTROSPECT, identity=gateway.api, data={"token": second["access_token"]})
    assert answer.json() == {"active": False}


async def test_a_public_client(gateway, secret):
    """A client without credentials names itself, and proves the code with its verifier."""
    edge, pkce = Edge(gateway), Pkce()
    code = await code_for(gateway, AuthorizationRequest(REDIRECT, pkce.challenge), "public")
    data = {
        "grant_type": "authorization_code",
        "client_id": "public",
        "code": code,
        "redirect_uri": REDIRECT,
        "code_verifier": pkce.verifier,
    }
    assert (await edge.post(TOKEN, data=data)).status_code == 200


async def test_a_code_is_used_once(gateway, secret):
    """A code that comes again is refused, and what came from it is revoked."""
    edge, pkce = Edge(gateway), Pkce()
    code = await code_for(gateway, AuthorizationRequest(REDIRECT, pkce.challenge))
    first = (await redeemed(edge, secret, code, pkce)).json()
    again = await redeemed(edge, secret, code, pkce)
    assert (again.status_code, again.json()["error"]) == (400, "invalid_grant")
    answer = await edge.post(INTROSPECT, identity=gateway.api, data={"token": first["access_token"]})
    assert answer.json() == {"active": False}


CODE_FAULTS = {
    "another verifier": ({"code_verifier": "x" * 43}, "invalid_grant"),
    "no verifier": ({"code_verifier": ""}, "invalid_request"),
    "another redirect URI": ({"redirect_uri": REDIRECT + "/"}, "invalid_grant"),
    "no redirect URI": ({"redirect_uri": ""}, "invalid_request"),
    "no code": ({"code": ""}, "invalid_request"),
    "an unknown code": ({"code": "x"}, "invalid_grant"),
    "more scope": ({"scope": "read write"}, "invalid_scope"),
    "another resource": ({"resource": "https://other.example.org"}, "invalid_target"),
}


@pytest.mark.parametrize("fault", CODE_FAULTS)
async def test_a_code_refused(gateway, secret, fault):
    """Each fault has its error."""
    changes, error = CODE_FAULTS[fault]
    edge, pkce = Edge(gateway), Pkce()
    code = await code_for(gateway, AuthorizationRequest(REDIRECT, pkce.challenge, scope=("read",)))
    response = await redeemed(edge, secret, code, pkce, **changes)
    assert (response.status_code, response.json()["error"]) == (400, error)


@pytest.mark.parametrize(
    ("refresh_token", "error"),
    [("", "invalid_request"), ("x", "invalid_grant"), ("cs_rt_x", "invalid_grant")],
)
async def test_a_refresh_token_refused(gateway, secret, refresh_token, error):
    """What is no refresh token is an invalid grant; none at all is an invalid request."""
    data = {"grant_type": "refresh_token", "refresh_token": refresh_token}
    response = await Edge(gateway).post(TOKEN, auth=("app", secret), data=data)
    assert (response.status_code, response.json()["error"]) == (400, error)


PLAIN = base64.urlsafe_b64encode(hashlib.sha256(b"x").digest()).rstrip(b"=").decode()
PUSH_FAULTS = {
    "a reference": ({"request_uri": "urn:x"}, "invalid_request"),
    "a request object": ({"request": "a.b.c"}, "request_not_supported"),
    "no response type": ({"response_type": None}, "invalid_request"),
    "implicit": ({"response_type": "token"}, "unsupported_response_type"),
    "hybrid": ({"response_type": "code id_token"}, "unsupported_response_type"),
    "a fragment": ({"response_mode": "fragment"}, "invalid_request"),
    "no challenge": ({"code_challenge": None}, "invalid_request"),
    "no method, which means plain": ({"code_challenge_method": None}, "invalid_request"),
    "plain": ({"code_challenge_method": "plain", "code_challenge": PLAIN}, "invalid_request"),
    "a short challenge": ({"code_challenge": "x"}, "invalid_request"),
    "no redirect URI": ({"redirect_uri": None}, "invalid_request"),
    "another redirect URI": ({"redirect_uri": "https://evil.example.org"}, "invalid_request"),
    "an unknown scope": ({"scope": "admin"}, "invalid_scope"),
    "a long state": ({"state": "x" * 3000}, "invalid_request"),
}


@pytest.mark.parametrize("fault", PUSH_FAULTS)
async def test_a_push_refused(gateway, secret, fault):
    """Each fault of an authorization request is told where it is pushed."""
    changes, error = PUSH_FAULTS[fault]
    response = await Edge(gateway).post(PAR, auth=("app", secret), data=pushing(Pkce(), **changes))
    assert (response.status_code, response.json()["error"]) == (400, error)


async def test_who_may_push(gateway, secret):
    """Only the client itself pushes, and only with POST."""
    edge = Edge(gateway)
    response = await edge.post(PAR, auth=("app", "wrong"), data=pushing(Pkce()))
    assert (response.status_code, response.json()["error"]) == (401, "invalid_client")
    response = await edge.get(PAR)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_metadata(tmp_path):
    """What the flow needs is discoverable; the authorization endpoint is the login application's."""
    page = "https://login.example.org/authorize?tenant=1"
    async with running_gateway(tmp_path, edge={"authorization_url": page}) as gateway:
        document = (await Edge(gateway).get("/.well-known/oauth-authorization-server")).json()
    assert document["pushed_authorization_request_endpoint"] == ISSUER + PAR
    assert document["authorization_endpoint"] == page
    assert document["authorization_response_iss_parameter_supported"] is True
    assert document["code_challenge_methods_supported"] == ["S256"]
    assert document["response_types_supported"] == ["code"]
    assert {"authorization_code", "refresh_token"} <= set(document["grant_types_supported"])
