"""The authorization request, its answer and the token request."""

import json
from urllib.parse import parse_qsl, urlsplit

import pytest

from gateway.jose.jws import parse_compact, verify
from gateway.oidc import (
    AuthorizationResponseError,
    ClientSecretBasic,
    IdTokenError,
    LoginWishes,
    OidcFault,
    PrivateKeyJwt,
    ProviderError,
    PublicClient,
    RelyingParty,
)
from gateway.oidc.authorization import LOGIN_LIFETIME, code_challenge
from signers import Algorithm
from tests.oidc.conftest import CLIENT_ID, NOW, SigningKey
from tests.support.scripted_server import reply

CALLBACK = "https://gateway.example.org/callback?x=y"


class Signer(SigningKey):
    key_id = property(lambda self: self.kid)
    algorithm = Algorithm.ES256


@pytest.fixture
def party(provider, clock):
    return RelyingParty(provider, authentication=ClientSecretBasic("s3cret &"), clock=clock)


def answer(scripted, pending, **changes):
    values = {"code": "the-code", "state": pending.state, "iss": scripted.issuer} | changes
    return [(name, value) for name, value in values.items() if value is not None]


async def serve_tokens(scripted, pending, **changes):
    members = {
        "access_token": "at",
        "token_type": "Bearer",
        "expires_in": 60,
        "id_token": await scripted.token(nonce=pending.nonce),
    }
    members = {name: value for name, value in (members | changes).items() if value is not None}
    scripted.server.routes["/token"] = reply(body=json.dumps(members).encode())


async def refusal(party, parameters, pending):
    with pytest.raises(AuthorizationResponseError) as caught:
        await party.finish(parameters, pending)
    return caught.value


async def test_the_authorization_request(scripted, party):
    """The URL carries code flow, PKCE S256, state and nonce, and keeps the endpoint's own query."""
    wishes = LoginWishes(
        scopes=("profile", "openid"),
        claims={"id_token": {"keyauth": {"value": "a&b"}}},
        max_age=60,
        acr_values=("high", "low"),
        parameters={"prompt": "login"},
    )
    url, pending = await party.begin(CALLBACK, wishes)
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{scripted.issuer}/authorize"
    assert parse_qsl(parts.query) == [
        ("realm", "a"),
        ("response_type", "code"),
        ("client_id", CLIENT_ID),
        ("redirect_uri", CALLBACK),
        ("scope", "openid profile"),
        ("state", pending.state),
        ("nonce", pending.nonce),
        ("code_challenge", code_challenge(pending.code_verifier)),
        ("code_challenge_method", "S256"),
        ("claims", '{"id_token":{"keyauth":{"value":"a&b"}}}'),
        ("max_age", "60"),
        ("acr_values", "high low"),
        ("prompt", "login"),
    ]
    assert len({pending.state, pending.nonce, pending.code_verifier}) == 3
    assert all(len(each) == 43 for each in (pending.state, pending.nonce, pending.code_verifier))
    assert pending.state not in repr(pending)
    assert pending.code_verifier not in repr(pending)


def test_the_published_challenge():
    """SOURCE: RFC 7636 appendix B. The verifier has the challenge of the example."""
    verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
    assert code_challenge(verifier) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


async def test_no_parameter_is_sent_twice(party):
    """A wish does not override what the flow sets itself."""
    with pytest.raises(ValueError, match="state"):
        await party.begin(CALLBACK, LoginWishes(parameters={"state": "x"}))


async def test_an_endpoint_with_a_parameter_of_ours(scripted, party):
    """An authorization endpoint that carries a parameter of ours is refused."""
    scripted.publish(authorization_endpoint=f"{scripted.issuer}/authorize?nonce=x")
    with pytest.raises(ProviderError) as caught:
        await party.begin(CALLBACK)
    assert caught.value.fault is OidcFault.METADATA_INVALID


async def test_a_provider_without_an_authorization_endpoint(scripted, party):
    """A provider that nobody can be sent to is told so before a login begins."""
    scripted.publish(authorization_endpoint=None)
    with pytest.raises(ProviderError) as caught:
        await party.begin(CALLBACK)
    assert caught.value.fault is OidcFault.ENDPOINT_MISSING
    assert caught.value.member == "authorization_endpoint"


async def test_a_provider_without_a_token_endpoint(scripted, party):
    """A provider that exchanges no codes is told so when one is to be exchanged."""
    scripted.publish(token_endpoint=None)
    _, pending = await party.begin(CALLBACK)
    with pytest.raises(ProviderError) as caught:
        await party.finish(answer(scripted, pending), pending)
    assert (caught.value.fault, caught.value.member) == (OidcFault.ENDPOINT_MISSING, "token_endpoint")


async def test_a_login(scripted, party):
    """The code is exchanged with our proof and the verifier, and the ID token verified."""
    _, pending = await party.begin(CALLBACK)
    await serve_tokens(scripted, pending)
    login = await party.finish(answer(scripted, pending), pending)
    assert login.id_token.subject == "alice"
    (request,) = [each for each in scripted.server.requests if each.target == "/token"]
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    # "wireapp:s3cret+%26" in base64.
    assert request.headers["authorization"] == "Basic d2lyZWFwcDpzM2NyZXQrJTI2"
    assert parse_qsl(request.body.decode()) == [
        ("grant_type", "authorization_code"),
        ("code", "the-code"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", pending.code_verifier),
    ]


async def test_private_key_jwt(scripted, provider, clock):
    """The assertion is signed by the signer, for the issuer, for a minute, with a jti of its own."""
    signer = Signer()
    party = RelyingParty(provider, authentication=PrivateKeyJwt(signer), clock=clock)
    _, pending = await party.begin(CALLBACK)
    await serve_tokens(scripted, pending)
    identifiers = set()
    for _ in range(2):
        await party.finish(answer(scripted, pending), pending)
        form = dict(parse_qsl(scripted.server.requests[-2 if not identifiers else -1].body.decode()))
        jws = parse_compact(form["client_assertion"])
        verify(jws, signer.private.public_key(), Algorithm.ES256)
        claims = json.loads(jws.payload)
        identifiers.add(claims.pop("jti"))
        assert claims == {
            "iss": CLIENT_ID,
            "sub": CLIENT_ID,
            "aud": scripted.issuer,
            "iat": NOW,
            "exp": NOW + 60,
        }
        assert jws.header.kid == signer.kid
        assert form["client_assertion_type"].endswith(":jwt-bearer")
    assert len(identifiers) == 2


async def test_a_public_client(scripted, provider, clock):
    """A public client names itself and carries no credentials."""
    party = RelyingParty(provider, authentication=PublicClient(), clock=clock)
    _, pending = await party.begin(CALLBACK)
    await serve_tokens(scripted, pending)
    await party.finish(answer(scripted, pending), pending)
    (request,) = [each for each in scripted.server.requests if each.target == "/token"]
    assert "authorization" not in request.headers
    assert ("client_id", CLIENT_ID) in parse_qsl(request.body.decode())


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"state": None}, OidcFault.STATE_MISMATCH),
        ({"state": "other"}, OidcFault.STATE_MISMATCH),
        ({"state": "ä"}, OidcFault.STATE_MISMATCH),
        ({"iss": None}, OidcFault.RESPONSE_ISSUER_MISMATCH),
        ({"iss": "https://evil.example"}, OidcFault.RESPONSE_ISSUER_MISMATCH),
        ({"code": None}, OidcFault.RESPONSE_MALFORMED),
        ({"code": ""}, OidcFault.RESPONSE_MALFORMED),
        ({"code": "a\nb"}, OidcFault.RESPONSE_MALFORMED),
        ({"code": "a" * 2049}, OidcFault.RESPONSE_MALFORMED),
        ({"error": "access_denied", "code": None}, OidcFault.AUTHORIZATION_REFUSED),
    ],
)
async def test_answers_that_are_refused(scripted, party, changes, fault):
    """State, issuer, error and code are judged in that order, and nothing is sent for a refused answer."""
    _, pending = await party.begin(CALLBACK)
    assert (await refusal(party, answer(scripted, pending, **changes), pending)).fault is fault
    assert scripted.fetches("/token") == 0


async def test_the_providers_own_error(scripted, party):
    """The provider's error code is kept where it is one; its description is not."""
    _, pending = await party.begin(CALLBACK)
    parameters = answer(scripted, pending, error="access_denied", error_description="<b>no</b>")
    assert (await refusal(party, parameters, pending)).error == "access_denied"
    parameters = answer(scripted, pending, error='"quoted"')
    assert (await refusal(party, parameters, pending)).error is None


async def test_repeated_parameters(scripted, party):
    """A parameter that comes twice could be read in two ways."""
    _, pending = await party.begin(CALLBACK)
    parameters = [*answer(scripted, pending), ("code", "another")]
    assert (await refusal(party, parameters, pending)).fault is OidcFault.RESPONSE_MALFORMED


async def test_a_login_that_took_too_long(scripted, party, clock):
    """A pending login ends."""
    _, pending = await party.begin(CALLBACK)
    clock.now += LOGIN_LIFETIME
    assert (await refusal(party, answer(scripted, pending), pending)).fault is OidcFault.RESPONSE_EXPIRED


async def test_the_nonce_binds_the_token(scripted, party):
    """A good ID token of another login is refused."""
    _, pending = await party.begin(CALLBACK)
    await serve_tokens(scripted, pending, id_token=await scripted.token(nonce="another"))
    with pytest.raises(IdTokenError) as caught:
        await party.finish(answer(scripted, pending), pending)
    assert caught.value.fault is OidcFault.NONCE_MISMATCH


@pytest.mark.parametrize("member", ["access_token", "token_type", "id_token"])
async def test_token_responses_that_lack_something(scripted, party, member):
    """A token response without one of its members is refused."""
    _, pending = await party.begin(CALLBACK)
    await serve_tokens(scripted, pending, **{member: None})
    error = await refusal(party, answer(scripted, pending), pending)
    assert (error.fault, error.member) == (OidcFault.TOKEN_RESPONSE_INVALID, member)


@pytest.mark.parametrize(
    ("status", "body", "fault", "code"),
    [
        (400, b'{"error":"invalid_grant"}', OidcFault.CODE_REFUSED, "invalid_grant"),
        (401, b'{"error":"invalid_client"}', OidcFault.CLIENT_REFUSED, "invalid_client"),
        (400, b"<html>", OidcFault.CODE_REFUSED, None),
        (403, b'{"error":"\\"<script>"}', OidcFault.CODE_REFUSED, None),
    ],
)
async def test_error_responses(scripted, party, status, body, fault, code):
    """Errors of the token endpoint tell our credentials from the code, and carry only a checked code."""
    _, pending = await party.begin(CALLBACK)
    scripted.server.routes["/token"] = reply(status, body)
    error = await refusal(party, answer(scripted, pending), pending)
    assert (error.fault, error.error) == (fault, code)


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_a_token_endpoint_that_is_down(scripted, party, status):
    """An outage of the token endpoint is the provider's failure, and worth another try."""
    _, pending = await party.begin(CALLBACK)
    scripted.server.routes["/token"] = reply(status)
    with pytest.raises(ProviderError) as caught:
        await party.finish(answer(scripted, pending), pending)
    assert caught.value.transient
