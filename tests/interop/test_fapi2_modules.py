"""The modules of the FAPI 2.0 client credentials plan, each as a test of its name, over HTTPS.

SOURCE of names and of what each checks: OpenID Foundation conformance suite, plan
``fapi2-security-profile-final-client-credentials-grant-test-plan``; `tests.support.fapi` has its variants.
"""

import json
from dataclasses import replace

import pytest
import pytest_asyncio
from countersign import Pkce
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.dpop import OMIT, Prover
from tests.support.fapi import (
    BY_ASSERTION,
    BY_PROOF,
    CREDENTIALS,
    PAR,
    RESOURCE_ENDPOINT,
    TOKEN,
    VARIANTS,
    FapiClient,
    FapiSite,
    fapi_site,
    refusal,
    register_fapi,
    token_hash,
)
from tests.support.private_jwk import private_jwk

pytestmark = pytest.mark.asyncio(loop_scope="module")
every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=str)
by_assertion = pytest.mark.parametrize("variant", BY_ASSERTION, ids=str)
by_proof = pytest.mark.parametrize("variant", BY_PROOF, ids=str)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory):
    """The module's gateway with its clients."""
    async with fapi_site(tmp_path_factory.mktemp("fapi")) as running:
        yield running


async def test_discovery_end_point_verification(site: FapiSite):
    """The metadata name all endpoints under https, and nothing that FAPI 2.0 forbids."""
    metadata = site.metadata
    aliases = metadata["mtls_endpoint_aliases"]
    for document in (metadata, aliases):
        for endpoint in (TOKEN, PAR, "introspection_endpoint", "revocation_endpoint"):
            assert document[endpoint].startswith("https://localhost:")
    assert aliases[TOKEN] != metadata[TOKEN]
    assert metadata["jwks_uri"].startswith(site.issuer)
    assert {"private_key_jwt", "tls_client_auth", "self_signed_tls_client_auth"} <= set(
        metadata["token_endpoint_auth_methods_supported"]
    )
    for name in ("token_endpoint_auth_signing_alg_values_supported", "dpop_signing_alg_values_supported"):
        algorithms = set(metadata[name])
        assert {"ES256", "PS256"} <= algorithms
        assert not {"none", "RS256", "HS256"} & algorithms
    assert metadata["code_challenge_methods_supported"] == ["S256"]
    assert metadata["response_types_supported"] == ["code"]
    assert {"client_credentials", "authorization_code"} <= set(metadata["grant_types_supported"])
    assert not {"implicit", "password"} & set(metadata["grant_types_supported"])
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["tls_client_certificate_bound_access_tokens"] is True


@every_variant
async def test_happy_flow(site: FapiSite, variant):
    """Both clients get a token that opens the protected resource to its holder, and to nobody else."""
    first, second = site.first(variant), site.second(variant)
    for client in (first, second):
        response = await client.token()
        assert response.status_code == 200
        assert response.headers["cache-control"] == "no-store"
        answer = response.json()
        assert answer["token_type"] == client.scheme
        assert answer["expires_in"] > 0
        token = answer["access_token"]
        assert (await client.resource(token)).json()["active"] is True
        other = second if client is first else first
        assert refusal(await other.resource(token)) == (401, "invalid_token")


@every_variant
async def test_access_token_type_header_case_sensitivity(site: FapiSite, variant):
    """The scheme of the Authorization header is the same in any letter case (RFC 9110 §11.1)."""
    client = site.first(variant)
    token = (await client.token()).json()["access_token"]
    for scheme in (client.scheme.lower(), client.scheme.upper(), client.scheme.swapcase()):
        assert (await client.resource(token, scheme=scheme)).json()["active"] is True


@by_proof
async def test_check_dpop_proof_nbf_exp(site: FapiSite, variant):
    """A proof may carry ``nbf`` and ``exp``, and counts while they allow it."""
    client, now = site.first(variant), int(site.clock())
    times = {"nbf": now, "exp": now + 300}
    response = await client.token(proofs=[client.proof(TOKEN, **times)])
    token = response.json()["access_token"]
    shown = await client.resource(token, proofs=[client.proof(RESOURCE_ENDPOINT, token, **times)])
    assert shown.json()["active"] is True
    for wrong in ({"nbf": now + 60}, {"exp": now - 60}):
        refused = await client.token(proofs=[client.proof(TOKEN, **wrong)])
        assert refusal(refused) == (400, "invalid_dpop_proof")


async def _with_iat(client: FapiClient, difference: int) -> None:
    """A token and the resource, with proofs whose ``iat`` is *difference* seconds from now."""
    response = await client.token(proofs=[client.proof(TOKEN, iat=int(client.site.clock()) + difference)])
    token = response.json()["access_token"]
    iat = int(client.site.clock()) + difference
    shown = await client.resource(token, proofs=[client.proof(RESOURCE_ENDPOINT, token, iat=iat)])
    assert shown.json()["active"] is True


@by_proof
async def test_ensure_dpopproof_with_iat_is_10seconds_before_succeeds(site: FapiSite, variant):
    """A proof that was made 10 seconds ago is good."""
    await _with_iat(site.first(variant), -10)


@by_proof
async def test_ensure_dpopproof_with_iat_is_10seconds_after_succeeds(site: FapiSite, variant):
    """A proof by a clock that is 10 seconds ahead is good."""
    await _with_iat(site.first(variant), 10)


@every_variant
async def test_ensure_client_id_in_token_endpoint(site: FapiSite, variant):
    """The id of one client with the credentials of another is refused."""
    client, other = site.first(variant), site.second(variant)
    response = await client.token({**CREDENTIALS, "client_id": other.client_id})
    assert refusal(response) == (401, "invalid_client")


@pytest.mark.parametrize("variant", [each for each in VARIANTS if not each.by_assertion], ids=str)
async def test_ensure_client_id_in_token_endpoint_is_there(site: FapiSite, variant):
    """A certificate names no client: without ``client_id`` the request is refused (RFC 8705 §2)."""
    response = await site.first(variant).token({**CREDENTIALS, "client_id": None})
    assert refusal(response) == (400, "invalid_request")


HOLDER_ERRORS = {
    "private_key_jwt-dpop": (400, "invalid_dpop_proof"),
    "private_key_jwt-mtls": (400, "invalid_request"),
    "mtls-dpop": (400, "invalid_dpop_proof"),
    "mtls-mtls": (401, "invalid_client"),
}


@every_variant
async def test_ensure_holder_of_key_required(site: FapiSite, variant):
    """A request that proves no key gets an error and no unbound token."""
    client = site.first(variant)
    if variant.proves:
        response = await client.token(proofs=[])
    else:
        data = {**CREDENTIALS, "client_id": client.client_id}
        if variant.by_assertion:
            data |= {
                "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                "client_assertion": client.assertion(),
            }
        response = await site.request("POST", site.metadata[TOKEN], None, data=data)
    assert refusal(response) == HOLDER_ERRORS[str(variant)]


@by_assertion
async def test_ensure_signed_client_assertion_with_rs256_fails(site: FapiSite, variant):
    """A client with an RSA key signs with PS256; RS256 is refused with the same key."""
    key = rsa.generate_private_key(65537, 2048)
    client = replace(site.first(variant), client_id=f"rsa-{variant}", key=key)
    await register_fapi(client)
    assert (await client.token(assertion=client.assertion("PS256"))).status_code == 200
    assert refusal(await client.token(assertion=client.assertion("RS256"))) == (401, "invalid_client")


@by_assertion
async def test_ensure_client_assertion_in_token_endpoint(site: FapiSite, variant):
    """Without an assertion there is no token, whatever else the request proves."""
    assert refusal(await site.first(variant).token(assertion="")) == (401, "invalid_client")


@by_assertion
async def test_ensure_client_assertion_with_exp_is_5_minutes_in_past_fails(site: FapiSite, variant):
    """An assertion that expired five minutes ago is refused."""
    client, now = site.first(variant), int(site.clock())
    old = client.assertion(exp=now - 300, iat=now - 360)
    assert refusal(await client.token(assertion=old)) == (401, "invalid_client")


@by_assertion
async def test_ensure_client_assertion_with_wrong_aud_fails(site: FapiSite, variant):
    """An assertion for another server is refused."""
    client = site.first(variant)
    for audience in ("https://other.example.org", site.issuer + "/other", client.url(RESOURCE_ENDPOINT)):
        response = await client.token(assertion=client.assertion(aud=audience))
        assert refusal(response) == (401, "invalid_client")


@by_assertion
async def test_ensure_client_assertion_with_no_sub_fails(site: FapiSite, variant):
    """An assertion that names no client as its subject is refused."""
    client = site.first(variant)
    assert refusal(await client.token(assertion=client.assertion(sub=None))) == (401, "invalid_client")


INVALID_ASSERTIONS = {
    "no issuer": {"iss": None},
    "another issuer": {"iss": "https://other.example.org"},
    "another subject": {"sub": "mtls-dpop-1"},
    "no audience": {"aud": None},
    "no expiry": {"exp": None},
    "no id": {"jti": None},
}


@by_assertion
@pytest.mark.parametrize("fault", INVALID_ASSERTIONS)
async def test_ensure_invalid_client_assertions_fail(site: FapiSite, variant, fault):
    """An assertion that lacks a claim, or has another value, is refused at both endpoints."""
    client = site.first(variant)
    changes = INVALID_ASSERTIONS[fault]
    for response in (
        await client.token(assertion=client.assertion(**changes)),
        await client.push(Pkce(), assertion=client.assertion(**changes)),
    ):
        assert refusal(response) == (401, "invalid_client")


@by_assertion
async def test_ensure_invalid_client_assertions_fail_by_another_key(site: FapiSite, variant):
    """An assertion that another key signed is refused, and one that was used before."""
    client = site.first(variant)
    forged = client.assertion(key=site.second(variant).key)
    assert refusal(await client.token(assertion=forged)) == (401, "invalid_client")
    once = client.assertion()
    assert (await client.token(assertion=once)).status_code == 200
    assert refusal(await client.token(assertion=once)) == (401, "invalid_client")


def _private(client: FapiClient) -> dict:
    """The header of a proof that gives the private key away."""
    return {"jwk": json.loads(private_jwk(client.prover.key))}


DPOP_FAULTS = {
    "no typ": lambda _: {"header": {"typ": OMIT}},
    "another typ": lambda _: {"header": {"typ": "JWT"}},
    "no alg": lambda _: {"header": {"alg": OMIT}},
    "alg none": lambda _: {"header": {"alg": "none"}},
    "a symmetric alg": lambda _: {"header": {"alg": "HS256"}},
    "an alg of another key": lambda _: {"header": {"alg": "PS256"}},
    "no jwk": lambda _: {"header": {"jwk": OMIT}},
    "a private jwk": lambda client: {"header": _private(client)},
    "the jwk of another key": lambda _: {"header": {"jwk": Prover.es256().jwk}},
    "no jti": lambda _: {"jti": OMIT},
    "no htm": lambda _: {"htm": OMIT},
    "another htm": lambda _: {"htm": "GET"},
    "htm in small letters": lambda _: {"htm": "post"},
    "no htu": lambda _: {"htu": OMIT},
    "another htu": lambda _: {"htu": "https://other.example.org/oauth2/token"},
    "no iat": lambda _: {"iat": OMIT},
    "an old iat": lambda client: {"iat": int(client.site.clock()) - 3600},
    "an iat far ahead": lambda client: {"iat": int(client.site.clock()) + 3600},
}


@by_proof
@pytest.mark.parametrize("fault", DPOP_FAULTS)
async def test_dpop_negative_tests(site: FapiSite, variant, fault):
    """A proof with this fault is refused where tokens are made and where they are used."""
    client = site.first(variant)
    token = (await client.token()).json()["access_token"]
    changes = DPOP_FAULTS[fault](client)
    for response in (
        await client.token(proofs=[client.proof(TOKEN, **changes)]),
        await client.push(Pkce(), proofs=[client.proof(PAR, **changes)]),
    ):
        assert refusal(response) == (400, "invalid_dpop_proof")
    proof = client.proof(RESOURCE_ENDPOINT, token, **changes)
    assert refusal(await client.resource(token, proofs=[proof])) == (401, "invalid_token")


def _altered(proof: str) -> str:
    head, payload, signature = proof.split(".")
    return f"{head}.{payload}.{'A' if signature[0] != 'A' else 'B'}{signature[1:]}"


@by_proof
async def test_dpop_negative_tests_of_the_header(site: FapiSite, variant):
    """Two proofs, none at all, one that was used before, and one that was altered are refused."""
    client = site.first(variant)
    used = client.proof(TOKEN)
    assert (await client.token(proofs=[used])).status_code == 200
    for proofs in (
        [used],
        [client.proof(TOKEN), client.proof(TOKEN)],
        [_altered(client.proof(TOKEN))],
        ["not a proof"],
        [],
    ):
        assert refusal(await client.token(proofs=proofs)) == (400, "invalid_dpop_proof")


@by_proof
async def test_dpop_negative_tests_of_the_resource(site: FapiSite, variant):
    """At the resource the proof goes with this token, this key and the right scheme, once."""
    client = site.first(variant)
    token = (await client.token()).json()["access_token"]
    used = client.proof(RESOURCE_ENDPOINT, token)
    assert (await client.resource(token, proofs=[used])).json()["active"] is True
    for proofs in (
        [used],
        [],
        [client.proof(RESOURCE_ENDPOINT)],
        [client.proof(RESOURCE_ENDPOINT, ath=token_hash("another token"))],
        [client.proof(RESOURCE_ENDPOINT, token, prover=Prover.es256())],
        [client.proof(RESOURCE_ENDPOINT, token), client.proof(RESOURCE_ENDPOINT, token)],
    ):
        response = await client.resource(token, proofs=proofs)
        assert refusal(response) == (401, "invalid_token")
        assert response.headers["www-authenticate"].startswith("DPoP ")
    assert refusal(await client.resource(token, scheme="Bearer")) == (401, "invalid_token")


@by_proof
async def test_dpop_negative_tests_forgive_the_spelling_of_the_target(site: FapiSite, variant):
    """Query and fragment do not count, nor does the letter case of the host (RFC 9449 §4.3, 9)."""
    client = site.first(variant)
    target = client.url(TOKEN)
    for spelling in (f"{target}?a=b", f"{target}#c", target.replace("localhost", "LOCALHOST")):
        assert (await client.token(proofs=[client.proof(TOKEN, htu=spelling)])).status_code == 200
