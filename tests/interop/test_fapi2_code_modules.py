"""The modules of the whole FAPI 2.0 plan about pushed requests, codes and refresh tokens, each as a test.

SOURCE of names and of what each checks: OpenID Foundation conformance suite, plan
``fapi2-security-profile-final-test-plan``; `tests.support.fapi` has its variants. Users log in at an
application with the role login, which stands for the authorization endpoint.
"""

import pytest
import pytest_asyncio
from countersign import AuthorizationRequest, CountersignError, Pkce

from tests.support.dpop import Prover
from tests.support.fapi import (
    BY_ASSERTION,
    BY_PROOF,
    LOGIN,
    PAR,
    REDIRECT,
    TOKEN,
    VARIANTS,
    FapiSite,
    fapi_site,
    refusal,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
by_assertion = pytest.mark.parametrize("variant", BY_ASSERTION, ids=str)
by_proof = pytest.mark.parametrize("variant", BY_PROOF, ids=str)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory):
    """The module's gateway with its clients."""
    async with fapi_site(tmp_path_factory.mktemp("fapi")) as running:
        yield running


@every_variant
async def test_happy_flow(site: FapiSite, variant):
    """Both clients push, come back with ``code``, ``state`` and ``iss``, and get tokens bound to them."""
    for client in (site.first(variant), site.second(variant)):
        pkce = Pkce()
        pushed = await client.push(pkce)
        assert (pushed.status_code, pushed.headers["cache-control"]) == (201, "no-store")
        assert 0 < pushed.json()["expires_in"] < 600
        back = await site.agree(client.client_id, pushed.json()["request_uri"])
        assert (back["state"], back["iss"]) == ("a state", site.issuer)
        answer = (await client.redeem(back["code"], pkce)).json()
        assert (answer["token_type"], answer["scope"]) == (client.scheme, "read")
        assert await site.is_active(answer["access_token"])


@every_variant
async def test_ensure_authorization_request_without_state_success(site: FapiSite, variant):
    """A request without state is good, and none comes back."""
    client, pkce = site.first(variant), Pkce()
    pushed = await client.push(pkce, {"state": None})
    back = await site.agree(client.client_id, pushed.json()["request_uri"])
    assert set(back) == {"code", "iss"}
    assert (await client.redeem(back["code"], pkce)).status_code == 200


@every_variant
async def test_ensure_authorization_request_with_long_state(site: FapiSite, variant):
    """A state of 384 characters comes back whole."""
    client, state = site.first(variant), "s" * 384
    pushed = await client.push(Pkce(), {"state": state})
    assert (await site.agree(client.client_id, pushed.json()["request_uri"]))["state"] == state


@every_variant
async def test_ensure_unsigned_authorization_request_without_using_par_fails(site: FapiSite, variant):
    """A client that must push gets no code for a request that was not pushed."""
    client = site.first(variant)
    gateway = site.gateway
    async with gateway.client(gateway.root.leaf("login", uris=(LOGIN,))) as login:
        with pytest.raises(CountersignError) as refused:
            await login.create_authorization_code(
                client.client_id, AuthorizationRequest(REDIRECT, Pkce().challenge), subject="alice"
            )
    assert refused.value.reason == "INVALID_REQUEST"


@by_proof
async def test_ensure_mismatched_dpop_jkt_fails(site: FapiSite, variant):
    """A pushed ``dpop_jkt`` that is not the key of the proof beside it is refused (RFC 9449 §10.1)."""
    response = await site.first(variant).push(Pkce(), {"dpop_jkt": Prover.es256().jkt})
    assert refusal(response) == (400, "invalid_request")


@by_proof
async def test_ensure_token_endpoint_fails_with_mismatched_dpop_proof_jkt(site: FapiSite, variant):
    """A code that was asked for with one key's proof is worth nothing with another's."""
    client, pkce = site.first(variant), Pkce()
    code = await client.code(pkce)
    other = client.proof(TOKEN, prover=Prover.es256())
    assert refusal(await client.redeem(code, pkce, proofs=[other])) == (400, "invalid_grant")


@by_proof
async def test_ensure_token_endpoint_fails_with_mismatched_dpop_jkt(site: FapiSite, variant):
    """A code whose request named another key in ``dpop_jkt``, without a proof, is refused."""
    client, pkce = site.first(variant), Pkce()
    code = await client.code(pkce, {"dpop_jkt": Prover.es256().jkt}, proofs=[])
    assert refusal(await client.redeem(code, pkce)) == (400, "invalid_grant")


@by_proof
async def test_ensure_dpopproof_at_par_endpoint_binding_success(site: FapiSite, variant):
    """A proof beside the pushed request binds the code to its key, which redeems it."""
    client, pkce = site.first(variant), Pkce()
    response = await client.redeem(await client.code(pkce), pkce)
    assert (response.status_code, response.json()["token_type"]) == (200, "DPoP")


@by_proof
async def test_ensure_dpop_auth_code_binding_success(site: FapiSite, variant):
    """``dpop_jkt`` without a proof binds the code to that key, which redeems it."""
    client, pkce = site.first(variant), Pkce()
    code = await client.code(pkce, {"dpop_jkt": client.prover.jkt}, proofs=[])
    assert (await client.redeem(code, pkce)).json()["token_type"] == "DPoP"


@every_variant
async def test_ensure_authorization_code_is_bound_to_client(site: FapiSite, variant):
    """Another client cannot redeem the code, and its attempt does not spoil it."""
    client, other, pkce = site.first(variant), site.second(variant), Pkce()
    code = await client.code(pkce)
    assert refusal(await other.redeem(code, pkce)) == (400, "invalid_grant")
    assert (await client.redeem(code, pkce)).status_code == 200


@every_variant
async def test_attempt_reuse_authorization_code_after_one_second(site: FapiSite, variant):
    """A code works once; when it comes again a second later, the token from it is revoked."""
    client, pkce = site.first(variant), Pkce()
    code = await client.code(pkce)
    token = (await client.redeem(code, pkce)).json()["access_token"]
    assert await site.is_active(token)
    site.clock.advance(1)
    assert refusal(await client.redeem(code, pkce)) == (400, "invalid_grant")
    assert not await site.is_active(token)


@every_variant
async def test_ensure_token_endpoint_fails_with_expired_auth_code(site: FapiSite, variant):
    """A code is good for a minute at most."""
    client, pkce = site.first(variant), Pkce()
    code = await client.code(pkce)
    site.clock.advance(61)
    assert refusal(await client.redeem(code, pkce)) == (400, "invalid_grant")


@every_variant
async def test_refresh_token(site: FapiSite, variant):
    """A refresh token works for its own client, with its authentication and its key, and for nobody else."""
    for client, other in (
        (site.first(variant), site.second(variant)),
        (site.second(variant), site.first(variant)),
    ):
        pkce = Pkce()
        first = (await client.redeem(await client.code(pkce), pkce)).json()
        token = first["refresh_token"]
        assert refusal(await other.refresh(token)) == (400, "invalid_grant")
        if variant.by_assertion:
            assert refusal(await client.refresh(token, assertion="")) == (401, "invalid_client")
        if variant.proves:
            assert refusal(await client.refresh(token, proofs=[])) == (400, "invalid_dpop_proof")
        second = (await client.refresh(token)).json()
        assert second["token_type"] == client.scheme
        assert second["access_token"] != first["access_token"]
        # FAPI 2.0 Security Profile §5.3.2.1: tokens that a key holds are not rotated.
        assert second.get("refresh_token", token) == token
        assert await site.is_active(second["access_token"])


@every_variant
async def test_par_ensure_reused_request_uri_prior_to_auth_completion_succeeds(site: FapiSite, variant):
    """A page that shows the pushed request, and is loaded again before the user agrees, spends nothing."""
    client, pkce = site.first(variant), Pkce()
    request_uri = (await client.push(pkce)).json()["request_uri"]
    with pytest.raises(CountersignError):
        await site.agree(client.client_id, request_uri, subject="")
    code = (await site.agree(client.client_id, request_uri))["code"]
    assert (await client.redeem(code, pkce)).status_code == 200


async def _refused(site: FapiSite, client_id: str, request_uri: str) -> None:
    with pytest.raises(CountersignError) as refused:
        await site.agree(client_id, request_uri)
    assert refused.value.reason == "INVALID_REQUEST"


@every_variant
async def test_par_attempt_reuse_request_uri(site: FapiSite, variant):
    """A pushed request gives one code."""
    client = site.first(variant)
    request_uri = (await client.push(Pkce())).json()["request_uri"]
    await site.agree(client.client_id, request_uri)
    await _refused(site, client.client_id, request_uri)


@every_variant
async def test_par_attempt_to_use_expired_request_uri(site: FapiSite, variant):
    """A pushed request ends when it said that it would."""
    client = site.first(variant)
    pushed = (await client.push(Pkce())).json()
    site.clock.advance(pushed["expires_in"] + 1)
    await _refused(site, client.client_id, pushed["request_uri"])


@every_variant
async def test_par_attempt_to_use_request_uri_for_different_client(site: FapiSite, variant):
    """A pushed request is good for the client that pushed it."""
    client, other = site.first(variant), site.second(variant)
    request_uri = (await client.push(Pkce())).json()["request_uri"]
    await _refused(site, other.client_id, request_uri)
    await site.agree(client.client_id, request_uri)


@every_variant
async def test_par_authorization_request_containing_request_uri_form_param(site: FapiSite, variant):
    """A reference is not pushed (RFC 9126 §2.1), even one that would be good."""
    client = site.first(variant)
    request_uri = (await client.push(Pkce())).json()["request_uri"]
    for form in ({"request_uri": request_uri}, {"request_uri": "urn:ietf:params:oauth:request_uri:x"}):
        assert refusal(await client.push(Pkce(), form)) == (400, "invalid_request")


@every_variant
@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_par_attempt_invalid_http_method(site: FapiSite, variant, method):
    """Requests are pushed with POST alone (RFC 9126 §2.3)."""
    client = site.first(variant)
    response = await client.call(PAR, {"response_type": "code"}, method=method)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


@every_variant
async def test_par_ensure_pkce_required(site: FapiSite, variant):
    """A request without a challenge is refused where it is pushed."""
    for left_out in (
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge": None},
        {"code_challenge_method": None},
    ):
        response = await site.first(variant).push(Pkce(), left_out)
        assert refusal(response) == (400, "invalid_request")


@every_variant
async def test_ensure_pkce_code_verifier_required(site: FapiSite, variant):
    """A code is not redeemed without its verifier."""
    client, pkce = site.first(variant), Pkce()
    code = await client.code(pkce)
    response = await client.redeem(code, pkce, {"code_verifier": None})
    assert refusal(response) == (400, "invalid_request")


@every_variant
async def test_incorrect_pkce_code_verifier_rejected(site: FapiSite, variant):
    """A code is not redeemed with another verifier."""
    client, pkce = site.first(variant), Pkce()
    code = await client.code(pkce)
    response = await client.redeem(code, pkce, {"code_verifier": Pkce().verifier})
    assert refusal(response) == (400, "invalid_grant")


@every_variant
async def test_par_plain_pkce_rejected(site: FapiSite, variant):
    """The method plain is refused where it is pushed."""
    pkce = Pkce()
    plain = {"code_challenge": pkce.verifier, "code_challenge_method": "plain"}
    assert refusal(await site.first(variant).push(pkce, plain)) == (400, "invalid_request")


@every_variant
@pytest.mark.parametrize("response_type", ["token", "code id_token"])
async def test_ensure_response_type_other_than_code_fails(site: FapiSite, variant, response_type):
    """Neither tokens nor ID tokens come back through the browser."""
    response = await site.first(variant).push(Pkce(), {"response_type": response_type})
    assert refusal(response) == (400, "unsupported_response_type")


@every_variant
@pytest.mark.parametrize(
    "redirect_uri", [None, f"{REDIRECT}?x=y", f"{REDIRECT}/", "https://evil.example.org"]
)
async def test_ensure_registered_redirect_uri(site: FapiSite, variant, redirect_uri):
    """The redirect URI is there, and exactly one that was registered."""
    response = await site.first(variant).push(Pkce(), {"redirect_uri": redirect_uri})
    assert refusal(response) == (400, "invalid_request")


@by_assertion
@pytest.mark.parametrize("claim", ["iat", "nbf"])
async def test_par_ensure_jwt_client_assertions_8_seconds_in_the_future_is_accepted(
    site: FapiSite, variant, claim
):
    """An assertion by a clock that is 8 seconds ahead is good."""
    client = site.first(variant)
    assertion = client.assertion(**{claim: int(site.clock()) + 8})
    assert (await client.push(Pkce(), assertion=assertion)).status_code == 201


@by_assertion
@pytest.mark.parametrize("claim", ["iat", "nbf"])
async def test_par_ensure_jwt_client_assertions_over_60_seconds_in_the_future_fails(
    site: FapiSite, variant, claim
):
    """An assertion from more than a minute ahead is refused, though it has not expired."""
    client, now = site.first(variant), int(site.clock())
    assertion = client.assertion(**{claim: now + 65, "exp": now + 120})
    assert refusal(await client.push(Pkce(), assertion=assertion)) == (401, "invalid_client")


@by_assertion
async def test_par_test_array_as_audience_fails(site: FapiSite, variant):
    """The audience is the issuer as one string; an array is refused, even of the issuer alone."""
    client = site.first(variant)
    for audience in ([site.issuer], [site.issuer, client.url(PAR)], [client.url(PAR)]):
        response = await client.push(Pkce(), assertion=client.assertion(aud=audience))
        assert refusal(response) == (401, "invalid_client")


@by_assertion
@pytest.mark.parametrize("endpoint", [PAR, TOKEN])
async def test_par_test_endpoint_url_as_audience_fails(site: FapiSite, variant, endpoint):
    """The URL of an endpoint is no audience, neither that of the endpoint called nor the token endpoint's."""
    client = site.first(variant)
    for audience in {client.url(endpoint), site.metadata[endpoint]}:
        response = await client.push(Pkce(), assertion=client.assertion(aud=audience))
        assert refusal(response) == (401, "invalid_client")
