"""The authorization code flow by a client, a login application and a resource server, over gRPC."""

from datetime import UTC, datetime, timedelta

import pytest
from countersign import (
    AuthorizationRequest,
    CountersignError,
    DpopKey,
    GrantType,
    NoAuth,
    PermissionDeniedError,
    Pkce,
    Reason,
    TokenType,
)
from cryptography.hazmat.primitives.asymmetric import ec

from tests.support.gateway import ADMIN, API, ISSUER, RESOURCE, running_gateway

LOGIN = "spiffe://example.org/login"
REDIRECT = "http://127.0.0.1/callback"


@pytest.fixture
async def gateway(tmp_path):
    """A gateway with a login application and a public client."""
    callers = [
        {"san_uri": ADMIN, "roles": ["admin"]},
        {"san_uri": API, "roles": ["resource-server"], "resources": [RESOURCE]},
        {"san_uri": LOGIN, "roles": ["login"]},
    ]
    async with running_gateway(tmp_path, callers=callers) as running:
        async with running.client(running.admin) as admin:
            created = await admin.create_client(
                "app",
                authentication=NoAuth(),
                grant_types=[GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN],
                redirect_uris=[REDIRECT],
                scopes=["read"],
                audiences=[RESOURCE],
                default_audience=RESOURCE,
            )
            assert created.client.redirect_uris == {REDIRECT}
            assert created.client.authentication == NoAuth()
        yield running


async def test_the_whole_flow(gateway):
    """Push, log in, exchange, introspect, refresh, revoke; everything is bound to the app's DPoP key."""
    pkce = Pkce()
    key = DpopKey(ec.generate_private_key(ec.SECP256R1()), "ES256", ISSUER)
    login = gateway.client(gateway.root.leaf("login", uris=(LOGIN,)))
    request = AuthorizationRequest("http://127.0.0.1:50123/callback", pkce.challenge, state="s1")
    async with gateway.client(dpop=key) as app, login, gateway.client(gateway.api) as api:
        pushed = await app.push_authorization_request("app", request)
        code = await login.create_authorization_code(
            "app", pushed.request_uri, subject="alice", acr="gold", amr=["pwd"]
        )
        assert code.location.startswith("http://127.0.0.1:50123/callback?code=cs_ac_")
        assert "state=s1&iss=https%3A%2F%2Fid.example.org" in code.location
        granted = await app.redeem_code(
            "app", code.code, redirect_uri=request.redirect_uri, code_verifier=pkce.verifier
        )
        assert granted.access_token.token_type is TokenType.DPOP
        seen = await api.introspect_token(granted.access_token.value)
        assert (seen.subject, seen.acr, seen.amr) == ("alice", "gold", ("pwd",))
        assert seen.jkt == granted.access_token.jkt
        refreshed = await app.refresh_token("app", granted.refresh_token)
        assert refreshed.refresh_token == granted.refresh_token
        own = await app.introspect_token(granted.refresh_token, client_id="app")
        assert (own.token_type, own.subject) == (None, "alice")
        assert await api.introspect_token(granted.refresh_token) is None
        await app.revoke_token(granted.refresh_token, client_id="app")
        assert await api.introspect_token(refreshed.access_token.value) is None
        with pytest.raises(CountersignError) as caught:
            await app.refresh_token("app", granted.refresh_token)
        assert caught.value.reason == Reason.INVALID_GRANT


async def test_only_a_login_application_makes_codes(gateway):
    """Neither a client nor an administrator may say who agreed."""
    request = AuthorizationRequest(REDIRECT, Pkce().challenge)
    async with gateway.client(gateway.admin) as admin:
        with pytest.raises(PermissionDeniedError):
            await admin.create_authorization_code("app", request, subject="alice")


@pytest.mark.parametrize("name", ["scope", "resource"])
async def test_lists_are_bounded(gateway, name):
    """At most 100 entries."""
    request = AuthorizationRequest(REDIRECT, Pkce().challenge, **{name: ("x",) * 101})
    async with gateway.client() as app:
        with pytest.raises(CountersignError) as caught:
            await app.push_authorization_request("app", request)
    assert caught.value.reason == Reason.INVALID_FIELD


async def test_how_the_user_is_asked(gateway):
    """A pushed request and one beside the code may ask for a user who was authenticated lately."""
    login = gateway.client(gateway.root.leaf("login", uris=(LOGIN,)))
    asked = AuthorizationRequest(
        REDIRECT, Pkce().challenge, prompt="login consent", max_age=timedelta(seconds=300)
    )
    async with gateway.client() as app, login:
        pushed = await app.push_authorization_request("app", asked)
        for request in (asked, pushed.request_uri):
            for auth_time in (None, datetime.now(UTC) - timedelta(seconds=400)):
                with pytest.raises(CountersignError) as caught:
                    await login.create_authorization_code(
                        "app", request, subject="alice", auth_time=auth_time
                    )
                assert caught.value.reason == Reason.INVALID_FIELD
                assert [each.field for each in caught.value.field_violations] == ["auth_time"]
            code = await login.create_authorization_code(
                "app", request, subject="alice", auth_time=datetime.now(UTC) - timedelta(seconds=200)
            )
            assert code.code.startswith("cs_ac_")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"prompt": "none login"}, "prompt"),
        ({"prompt": "create"}, "prompt"),
        ({"max_age": timedelta(seconds=1.5)}, "request.max_age"),
        ({"max_age": timedelta(seconds=-1)}, "request.max_age"),
        ({"max_age": timedelta(days=365_000)}, "max_age"),
    ],
)
async def test_what_cannot_be_asked(gateway, changes, field):
    """The values of OpenID Connect Core §3.1.2.1 and no others."""
    async with gateway.client() as app:
        with pytest.raises(CountersignError) as caught:
            await app.push_authorization_request(
                "app", AuthorizationRequest(REDIRECT, Pkce().challenge, **changes)
            )
    assert [each.field for each in caught.value.field_violations] == [field]
