"""ID token validation (OpenID Connect Core §3.1.3.7): each rule broken alone."""

import base64
import json

import pytest

from gateway.oidc import Expected, IdTokenError, IdTokenVerifier, OidcFault, Provider, ProviderConfig
from tests.oidc.conftest import CLIENT_ID, NOW, SigningKey, half_hash

NONCE = "n-0S6_WzA2Mj"


@pytest.fixture
def verifier(provider, clock):
    return IdTokenVerifier(provider, clock=clock)


async def refusal(verifier, token, expected=None):
    with pytest.raises(IdTokenError) as caught:
        await verifier.verify(token, expected)
    return caught.value.fault


def unsecured(header, claims):
    parts = (json.dumps(each).encode() for each in (header, claims))
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


async def test_a_good_token(scripted, verifier):
    """A token that keeps every rule becomes a typed value that hides the user in its repr."""
    text = await scripted.token(auth_time=NOW - 60, amr=["pwd", "otp"], acr="high", azp=CLIENT_ID, extra=[1])
    token = await verifier.verify(text, Expected(nonce=NONCE, max_age=120, acr_values=frozenset({"high"})))
    assert (token.issuer, token.subject, token.audiences) == (scripted.issuer, "alice", (CLIENT_ID,))
    assert (token.issue_time, token.expire_time, token.authenticate_time) == (NOW - 10, NOW + 300, NOW - 60)
    assert (token.nonce, token.acr, token.amr, token.authorized_party) == (
        NONCE,
        "high",
        ("pwd", "otp"),
        CLIENT_ID,
    )
    assert (token.name, token.email, token.email_verified) == ("Alice Smith", None, None)
    assert "Alice" not in repr(token)
    assert "extra" in token.claims


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"iss": None}, OidcFault.CLAIM_MISSING),
        ({"iss": "https://idp.example.test"}, OidcFault.ISSUER_MISMATCH),
        ({"aud": None}, OidcFault.CLAIM_MISSING),
        ({"aud": "other"}, OidcFault.AUDIENCE_MISMATCH),
        ({"aud": ["other"]}, OidcFault.AUDIENCE_MISMATCH),
        ({"aud": [CLIENT_ID, "other"], "azp": CLIENT_ID}, OidcFault.AUDIENCE_UNTRUSTED),
        ({"azp": "other"}, OidcFault.AUTHORIZED_PARTY_MISMATCH),
        ({"azp": ""}, OidcFault.CLAIM_INVALID),
        ({"exp": None}, OidcFault.CLAIM_MISSING),
        ({"exp": "soon"}, OidcFault.CLAIM_INVALID),
        ({"exp": NOW - 10}, OidcFault.EXPIRED),
        ({"nbf": NOW + 11}, OidcFault.NOT_YET_VALID),
        ({"iat": None}, OidcFault.CLAIM_MISSING),
        ({"iat": NOW + 11}, OidcFault.ISSUED_IN_FUTURE),
        ({"sub": None}, OidcFault.CLAIM_MISSING),
        ({"sub": ""}, OidcFault.CLAIM_INVALID),
        ({"sub": "a" * 256}, OidcFault.CLAIM_INVALID),
        ({"sub": "älice"}, OidcFault.CLAIM_INVALID),
        ({"name": 7}, OidcFault.CLAIM_INVALID),
        ({"email_verified": "true"}, OidcFault.CLAIM_INVALID),
        ({"amr": "pwd"}, OidcFault.CLAIM_INVALID),
    ],
)
async def test_claims(scripted, verifier, changes, fault):
    """Each claim that is missing, wrong or out of time is refused by its own rule."""
    assert await refusal(verifier, await scripted.token(**changes)) is fault


@pytest.mark.parametrize("changes", [{"exp": NOW - 9}, {"nbf": NOW + 10}, {"iat": NOW + 10}, {"name": ""}])
async def test_what_is_just_tolerated(scripted, verifier, changes):
    """The skew is forgiven to its last second, and a blank profile claim is an absent one."""
    await verifier.verify(await scripted.token(**changes))


@pytest.mark.parametrize(
    ("changes", "expected", "fault"),
    [
        ({"nonce": None}, Expected(nonce=NONCE), OidcFault.NONCE_MISSING),
        ({"nonce": "other"}, Expected(nonce=NONCE), OidcFault.NONCE_MISMATCH),
        ({}, Expected(max_age=60), OidcFault.CLAIM_MISSING),
        ({"auth_time": NOW - 71}, Expected(max_age=60), OidcFault.AUTHENTICATED_TOO_LONG_AGO),
        ({}, Expected(acr_values=frozenset({"high"})), OidcFault.CLAIM_MISSING),
        ({"acr": "low"}, Expected(acr_values=frozenset({"high"})), OidcFault.ACR_MISMATCH),
        ({"at_hash": half_hash("other")}, Expected(access_token="at"), OidcFault.ACCESS_TOKEN_HASH_MISMATCH),
        ({"c_hash": half_hash("other")}, Expected(code="c"), OidcFault.CODE_HASH_MISMATCH),
    ],
)
async def test_expectations(scripted, verifier, changes, expected, fault):
    """What one login expects beside the standing rules is refused by its own rule."""
    assert await refusal(verifier, await scripted.token(**changes), expected) is fault


async def test_hashes_that_fit(scripted, verifier):
    """at_hash and c_hash are the left half of SHA-256 for ES256."""
    token = await scripted.token(at_hash=half_hash("at"), c_hash=half_hash("c"))
    await verifier.verify(token, Expected(access_token="at", code="c"))


async def test_the_published_at_hash(scripted, verifier):
    """The example of the specification: its access token has its at_hash.

    SOURCE: OpenID Connect Core 1.0, appendix A.3 (RS256; SHA-256 as for ES256).
    """
    token = await scripted.token(at_hash="77QmUPtjPfzWtF2AnpK9RQ")
    access_token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"
    await verifier.verify(token, Expected(access_token=access_token))


async def test_several_audiences(scripted, http, clock):
    """Trusted audiences may stand beside ours, and then azp must name us."""
    config = ProviderConfig(scripted.issuer, CLIENT_ID, trusted_audiences=frozenset({"account"}))
    verifier = IdTokenVerifier(Provider(config, client=http, clock=clock), clock=clock)
    await verifier.verify(await scripted.token(aud=[CLIENT_ID, "account"], azp=CLIENT_ID))
    token = await scripted.token(aud=[CLIENT_ID, "account"])
    assert await refusal(verifier, token) is OidcFault.AUTHORIZED_PARTY_MISSING


async def test_the_age_of_a_token(scripted, http, clock):
    """A configured age refuses a token long before it expires."""
    config = ProviderConfig(scripted.issuer, CLIENT_ID, max_token_age=60)
    verifier = IdTokenVerifier(Provider(config, client=http, clock=clock), clock=clock)
    await verifier.verify(await scripted.token(iat=NOW - 70))
    assert await refusal(verifier, await scripted.token(iat=NOW - 71)) is OidcFault.ISSUED_TOO_LONG_AGO


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "hs256", "HS512", "RS384", "ES512", "ES256K"])
async def test_algorithms_outside_the_list(scripted, verifier, algorithm):
    """Unsecured, symmetric, unknown and merely unlisted algorithms are refused before any key is fetched."""
    token = unsecured({"alg": algorithm, "kid": scripted.keys[0].kid}, scripted.claims()) + ".c2ln"
    assert await refusal(verifier, token) is OidcFault.ALG_NOT_ALLOWED
    assert scripted.fetches("/jwks") == 0


async def test_an_unsigned_token(scripted, verifier):
    """An empty signature is no signature."""
    token = unsecured({"alg": "ES256", "kid": scripted.keys[0].kid}, scripted.claims()) + "."
    assert await refusal(verifier, token) is OidcFault.SIGNATURE_INVALID


async def test_a_token_of_another_key(scripted, verifier):
    """A stranger's signature under the provider's kid is refused."""
    token = await SigningKey().token(scripted.claims(), kid=scripted.keys[0].kid)
    assert await refusal(verifier, token) is OidcFault.SIGNATURE_INVALID


async def test_a_key_of_another_algorithm(scripted, verifier):
    """A header that names RS256 finds no key among ES256 keys: a key is used for its own algorithm alone."""
    token = unsecured({"alg": "RS256", "kid": scripted.keys[0].kid}, scripted.claims()) + ".c2ln"
    assert await refusal(verifier, token) is OidcFault.KEY_NOT_FOUND


async def test_the_signature_comes_before_the_claims(scripted, verifier):
    """A forged token learns nothing about which claim would have been wrong."""
    token = await SigningKey().token(scripted.claims(iss="x"), kid=scripted.keys[0].kid)
    assert await refusal(verifier, token) is OidcFault.SIGNATURE_INVALID


@pytest.mark.parametrize("typ", ["at+jwt", "dpop+jwt", "logout+jwt", "oauth-authz-req+jwt"])
async def test_another_kind_of_token(scripted, verifier, typ):
    """A token of another type, though signed by the provider for us, is no ID token."""
    token = await scripted.keys[0].token(scripted.claims(), typ=typ)
    assert await refusal(verifier, token) is OidcFault.TYP_MISMATCH


@pytest.mark.parametrize("typ", [None, "jwt", "application/jwt"])
async def test_spellings_of_the_type(scripted, verifier, typ):
    """Typ may be absent, and its case and prefix do not matter."""
    await verifier.verify(await scripted.keys[0].token(scripted.claims(), typ=typ))


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.b.c.d.e", "x" * 20_000])
async def test_what_is_no_token(verifier, token):
    """Anything else is malformed, and costs no fetch."""
    assert await refusal(verifier, token) is OidcFault.TOKEN_MALFORMED


async def test_without_kid(scripted, verifier):
    """A token without kid is verified while one key fits, and refused as ambiguous where two do."""
    token = await scripted.keys[0].token(scripted.claims(), kid=None)
    await verifier.verify(token)


async def test_an_ambiguous_key(scripted, verifier):
    """No signature is tried against several keys."""
    scripted.keys.append(SigningKey())
    scripted.publish()
    token = await scripted.keys[0].token(scripted.claims(), kid=None)
    assert await refusal(verifier, token) is OidcFault.KEY_AMBIGUOUS
