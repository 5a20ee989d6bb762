"""Introspection responses as JWT (RFC 9701)."""

import json

import jwt
import pytest

from gateway.errors import AvailabilityError, GatewayError, Reason
from gateway.principal import Role
from gateway.tokens.client import ClientAuthenticationMethod
from gateway.tokens.client_authentication import ClientSecret
from signers import Algorithm
from tests.support.authorizations import SECRET, is_active, tokens_for, web_client
from tests.support.gateway import ISSUER, RESOURCE, call_of, make_key, opened_application


@pytest.fixture
async def app(tmp_path, clock):
    """A gateway with keys for introspection, and two clients."""
    keys = [
        {"purpose": "tokens", "algorithm": "ES256", "uri": make_key(tmp_path, "tokens")},
        {"purpose": "introspection", "algorithm": "ES256", "uri": make_key(tmp_path, "introspection")},
        {
            "purpose": "introspection",
            "algorithm": "EdDSA",
            "uri": make_key(tmp_path, "edwards", Algorithm.EDDSA),
        },
    ]
    async with opened_application(tmp_path, clock=clock, keys=keys) as opened:
        await web_client(opened)
        await web_client(opened, "api", resources=frozenset({RESOURCE}))
        yield opened


async def signed(app, token, client_id="api"):
    return await app.signing_introspector.introspect(call_of(), client_id, ClientSecret(SECRET), token)


def verified(app, value, audience):
    """What an independent library makes of it, with the published key."""
    header = jwt.get_unverified_header(value)
    (key,) = [key for key in json.loads(app.keyring.view.jwks_json)["keys"] if key["kid"] == header["kid"]]
    options = {"verify_iat": False}
    claims = jwt.decode(
        value, jwt.PyJWK(key), algorithms=[key["alg"]], audience=audience, issuer=ISSUER, options=options
    )
    return header, claims


async def test_an_active_token(app, clock):
    """Type, issuer, audience and time are those of RFC 9701 §5; neither `sub` nor `exp` is at the top."""
    minted = await tokens_for(app)
    answer, value = await signed(app, minted.value)
    header, claims = verified(app, value, "api")
    assert header["typ"] == "token-introspection+jwt"
    assert set(claims) == {"iss", "aud", "iat", "token_introspection"}
    assert (claims["aud"], claims["iat"]) == (["api", RESOURCE], int(clock.now))
    assert answer.token == minted.token
    inner = claims["token_introspection"]
    assert (inner["active"], inner["sub"], inner["jti"]) == (True, "alice", minted.token.token_id)


async def test_an_inactive_token(app):
    """Exactly `{"active": false}`, signed all the same."""
    _, value = await signed(app, "x")
    assert verified(app, value, "api")[1]["token_introspection"] == {"active": False}


async def test_a_client_that_asks_for_another_algorithm(app):
    """It is registered for it (RFC 9701 §6)."""
    await web_client(app, "edwards", introspection_signed_response_algorithm=Algorithm.EDDSA)
    _, value = await signed(app, "x", "edwards")
    assert verified(app, value, "edwards")[0]["alg"] == "EdDSA"


async def test_an_algorithm_without_a_key(app):
    """Nothing is signed with another key than was asked for."""
    await web_client(app, "rsa", introspection_signed_response_algorithm=Algorithm.PS256)
    with pytest.raises(AvailabilityError) as caught:
        await signed(app, "x", "rsa")
    assert caught.value.reason is Reason.NO_ACTIVE_KEY


async def test_a_caller_by_certificate(app):
    """Its resource identifiers are the audience."""
    caller = call_of(roles=[Role.RESOURCE_SERVER], resources=[RESOURCE])
    _, value = await app.signing_introspector.introspect(caller, None, None, "x")
    assert verified(app, value, RESOURCE)[1]["aud"] == RESOURCE


async def test_nobody(app):
    """Who is not authenticated gets no signed answer either."""
    with pytest.raises(GatewayError) as caught:
        await app.signing_introspector.introspect(call_of(), None, None, "x")
    assert caught.value.reason is Reason.CALLER_UNAUTHENTICATED


async def test_a_public_client(app):
    """It only said its name, so it is refused (RFC 9701 §5), whatever the token; unsigned it sees its own."""
    await web_client(app, "public", authentication_method=ClientAuthenticationMethod.NONE, secret_hash=None)
    with pytest.raises(GatewayError) as caught:
        await app.signing_introspector.introspect(call_of(), "public", None, "x")
    assert caught.value.reason is Reason.CALLER_UNAUTHENTICATED
    assert await app.introspector.introspect(call_of(), "public", None, "x") is None


async def test_the_metadata_names_the_algorithms(app):
    """Those of the keys that are configured for it (RFC 9701 §7)."""
    document = json.loads(app.metadata.to_json())
    assert document["introspection_signing_alg_values_supported"] == ["ES256", "EdDSA"]


async def test_it_is_no_access_token(app):
    """A signed response cannot be introspected, nor used."""
    _, value = await signed(app, (await tokens_for(app)).value)
    assert not await is_active(app, value)
