"""DPoP over HTTPS: proofs at the token endpoint, and tokens bound to a key as credentials of the edge."""

import base64
import hashlib
import os
import time

import httpx
import pytest
from countersign import ClientSecretBasicAuth

from tests.support.dpop import Prover
from tests.support.edge import INTROSPECT, TOKEN, Edge, leaf, register
from tests.support.gateway import ISSUER, RESOURCE, RunningGateway, running_gateway

GRANT = {"grant_type": "client_credentials"}
PUBLIC = "https://public.example.org"
MTLS = "https://mtls.example.org:8444"


@pytest.fixture
async def gateway(tmp_path):
    """A gateway with public URLs of its own."""
    async with running_gateway(tmp_path, edge={"public_url": PUBLIC, "mtls_public_url": MTLS}) as running:
        yield running


@pytest.fixture
async def secret(gateway: RunningGateway) -> str:
    """The secret of the client ``backend``, which is a resource server too."""
    async with gateway.client(gateway.admin) as admin:
        return await register(admin, "backend", ClientSecretBasicAuth(), resources=[RESOURCE]) or ""


def proof(prover: Prover, **claims) -> str:
    return prover.proof(**{"htu": PUBLIC + TOKEN, "iat": int(time.time()), **claims})


async def minted(edge: Edge, secret: str, *proofs: str, resource: str = RESOURCE) -> httpx.Response:
    return await edge.post(
        TOKEN,
        auth=("backend", secret),
        headers=[("DPoP", each) for each in proofs],
        data={**GRANT, "resource": resource},
    )


@pytest.mark.parametrize("origin", [PUBLIC, MTLS, ISSUER])
async def test_a_token_is_bound_to_the_key(gateway, secret, origin):
    """A proof for any public origin binds the token; introspection shows the key's thumbprint."""
    edge, prover = Edge(gateway), Prover.es256()
    token = (await minted(edge, secret, proof(prover, htu=origin + TOKEN))).json()
    assert token["token_type"] == "DPoP"
    answer = await edge.post(INTROSPECT, identity=gateway.api, data={"token": token["access_token"]})
    assert (answer.json()["token_type"], answer.json()["cnf"]) == ("DPoP", {"jkt": prover.jkt})


async def test_a_proof_works_once(gateway, secret):
    """The same proof again is refused, with a 400 that names it."""
    edge, once = Edge(gateway), proof(Prover.es256())
    assert (await minted(edge, secret, once)).status_code == 200
    response = await minted(edge, secret, once)
    assert (response.status_code, response.json()["error"]) == (400, "invalid_dpop_proof")


FAULTS = {
    "another origin": {"htu": "https://evil.example.org" + TOKEN},
    "another path": {"htu": PUBLIC + INTROSPECT},
    "the gRPC method": {"htu": PUBLIC + "/countersign.v1.TokenService/MintToken"},
    "another method": {"htm": "GET"},
    "long ago": {"iat": int(time.time()) - 3600},  # Further away only where the test runs later.
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_proof_for_something_else(gateway, secret, fault):
    """A proof is for this method and this URL, and fresh."""
    response = await minted(Edge(gateway), secret, proof(Prover.es256(), **FAULTS[fault]))
    assert (response.status_code, response.json()["error"]) == (400, "invalid_dpop_proof")


async def test_two_proofs(gateway, secret):
    """More than one DPoP header is refused (RFC 9449 §4.3, 1)."""
    prover = Prover.es256()
    response = await minted(Edge(gateway), secret, proof(prover), proof(prover))
    assert (response.status_code, response.json()["error"]) == (400, "invalid_dpop_proof")


async def test_a_proof_beside_a_certificate(gateway):
    """A certificate that authenticates and a proof that binds go together: the token has one binding."""
    edge, prover = Edge(gateway), Prover.es256()
    async with gateway.client(gateway.admin) as admin:
        await register(admin, "both", certificate_bound_access_tokens=False)
    response = await edge.post(
        TOKEN,
        identity=leaf(gateway, "both"),
        headers={"dpop": proof(prover, htu=MTLS + TOKEN)},
        data={**GRANT, "client_id": "both"},
    )
    answer = await edge.post(
        INTROSPECT, identity=gateway.api, data={"token": response.json()["access_token"]}
    )
    assert answer.json()["cnf"] == {"jkt": prover.jkt}


async def test_a_caller_with_a_bound_token(gateway, secret):
    """A token for the gateway itself authenticates its holder with a proof for this request, and only so."""
    edge, prover = Edge(gateway), Prover.es256()
    token = (await minted(edge, secret, proof(prover), resource=ISSUER)).json()["access_token"]
    ath = base64.urlsafe_b64encode(hashlib.sha256(token.encode()).digest()).rstrip(b"=").decode()

    async def asked(scheme: str, **claims) -> httpx.Response:
        shown = proof(prover, htu=PUBLIC + INTROSPECT, ath=ath, **claims)
        headers = {"authorization": f"{scheme} {token}", "dpop": shown}
        return await edge.post(INTROSPECT, headers=headers, data={"token": token})

    accepted = await asked("DPoP")
    assert accepted.json() == {"active": True, **accepted.json()}
    for response in (await asked("Bearer"), await asked("DPoP", htm="GET")):
        assert (response.status_code, response.json()["error"]) == (401, "invalid_token")
    challenge = (await asked("DPoP", htm="GET")).headers["www-authenticate"]
    assert challenge.startswith("DPoP ")
    assert 'algs="ES256 ES384 EdDSA PS256"' in challenge


async def test_nonces(tmp_path):
    """A proof without a nonce gets one with its 400, the next has it, and each success brings a fresh one."""
    (tmp_path / "nonces").write_bytes(os.urandom(32))
    tokens = {"dpop_nonce": "required", "dpop_nonce_secrets": ["nonces"]}
    async with running_gateway(tmp_path, tokens=tokens) as gateway:
        async with gateway.client(gateway.admin) as admin:
            secret = await register(admin, "backend", ClientSecretBasicAuth()) or ""
        edge, prover = Edge(gateway), Prover.es256()
        first = await minted(edge, secret, proof(prover, htu=ISSUER + TOKEN))
        assert (first.status_code, first.json()["error"]) == (400, "use_dpop_nonce")
        nonce = first.headers["dpop-nonce"]
        second = await minted(edge, secret, proof(prover, htu=ISSUER + TOKEN, nonce=nonce))
        assert second.status_code == 200
        assert second.headers["dpop-nonce"]
        wrong = await minted(edge, secret, proof(prover, htu=ISSUER + TOKEN, nonce="x" * 32))
        assert (wrong.status_code, wrong.json()["error"]) == (400, "use_dpop_nonce")
        assert "dpop-nonce" not in (await minted(edge, secret)).headers
