"""Token exchange and JWT bearer assertions over HTTPS."""

import time
import uuid

import pytest
from countersign import ClientSecretBasicAuth, GrantType

from tests.support.assertions import jwks_of, signed
from tests.support.edge import INTROSPECT, TOKEN, Edge, register, register_basic
from tests.support.gateway import ISSUER, RESOURCE, running_gateway
from tests.support.pki import new_key

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
OTHER = "https://other.example.org"


async def test_token_exchange(tmp_path):
    """A service exchanges the token that it was called with for one to call on, and is its actor."""
    async with running_gateway(tmp_path) as gateway:
        edge = Edge(gateway)
        async with gateway.client(gateway.admin) as admin:
            first = await register_basic(admin, "front")
            second = await register(
                admin,
                "back",
                ClientSecretBasicAuth(),
                grant_types=[GrantType.TOKEN_EXCHANGE],
                audiences=[OTHER],
                default_audience=OTHER,
                resources=[RESOURCE],
            )
        data = {"grant_type": "client_credentials", "scope": "read"}
        subject = (await edge.post(TOKEN, auth=("front", first), data=data)).json()["access_token"]
        asked = {
            "grant_type": GrantType.TOKEN_EXCHANGE.value,
            "subject_token": subject,
            "subject_token_type": ACCESS_TOKEN,
            "audience": OTHER,
        }
        answer = (await edge.post(TOKEN, auth=("back", second), data=asked)).json()
        assert (answer["issued_token_type"], answer["token_type"]) == (ACCESS_TOKEN, "Bearer")
        assert answer["scope"] == "read"
        own = await edge.post(INTROSPECT, auth=("back", second), data={"token": answer["access_token"]})
        assert (own.json()["sub"], own.json()["act"]["sub"], own.json()["aud"]) == ("front", "back", OTHER)
        for changes, error in (
            ({"subject_token": "x"}, "invalid_request"),
            ({"subject_token": ""}, "invalid_request"),
            ({"subject_token_type": "urn:ietf:params:oauth:token-type:saml2"}, "invalid_request"),
            ({"actor_token": subject}, "invalid_request"),
            ({"actor_token_type": ACCESS_TOKEN}, "invalid_request"),
            ({"audience": RESOURCE}, "invalid_target"),
            ({"scope": "write"}, "invalid_scope"),
        ):
            refused = await edge.post(TOKEN, auth=("back", second), data={**asked, **changes})
            assert (refused.status_code, refused.json()["error"]) == (400, error)


@pytest.mark.parametrize("audience", [ISSUER, OTHER])
async def test_jwt_bearer(tmp_path, audience):
    """Another issuer's assertion mints a token for its user; one for another audience does not."""
    key, issuer = new_key(), "https://partner.example.org"
    (tmp_path / "partner.json").write_bytes(jwks_of(key))
    trusted = [{"issuer": issuer, "jwks": "partner.json", "subject_prefix": "partner:"}]
    async with running_gateway(tmp_path, trusted_issuers=trusted) as gateway:
        edge = Edge(gateway)
        async with gateway.client(gateway.admin) as admin:
            secret = await register_basic(admin, "app", grant_types=[GrantType.JWT_BEARER])
        now = int(time.time())
        claims = {"iss": issuer, "sub": "alice", "aud": audience, "iat": now, "exp": now + 60}
        assertion = signed(key, claims | {"jti": str(uuid.uuid4())})
        data = {"grant_type": GrantType.JWT_BEARER.value, "assertion": assertion}
        response = await edge.post(TOKEN, auth=("app", secret), data=data)
        if audience == OTHER:
            assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")
            return
        token = response.json()["access_token"]
        own = await edge.post(INTROSPECT, auth=("app", secret), data={"token": token})
        assert own.json()["sub"] == "partner:alice"
