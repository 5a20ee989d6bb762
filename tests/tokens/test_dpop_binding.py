"""What tokens are bound to, and DPoP over gRPC, through the real gateway."""

import asyncio
import time

import grpc
import pytest
from countersign import (
    AuthenticationError,
    DpopKey,
    InvalidRequestError,
    Reason,
    TlsClientAuth,
    TokenType,
)
from countersign.clients import CertificateName
from countersign.v1 import token_service_pb2, token_service_pb2_grpc
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.jose import base64url
from tests.support.dpop import Prover
from tests.support.gateway import ISSUER, RESOURCE, running_gateway

BACKEND = "spiffe://example.org/backend"
PATH = "/countersign.v1.TokenService/MintToken"


async def register(gateway, client_id="backend", **fields):
    """A client that authenticates by certificate and whose tokens may be bound to anything."""
    async with gateway.client(gateway.admin) as admin:
        values = {
            "authentication": TlsClientAuth(CertificateName.SAN_URI, BACKEND),
            "grant_types": ["client_credentials"],
            "scopes": ["read"],
            "audiences": [RESOURCE, ISSUER],
            "default_audience": RESOURCE,
        } | fields
        values["grant_types"] = list(map(_grant, values["grant_types"]))
        return await admin.create_client(client_id, **values)


def _grant(name):
    from countersign import GrantType  # noqa: PLC0415 - by value, for tests that name more of them

    return GrantType(name)


@pytest.fixture
async def backend(gateway):
    """The certificate of a registered client."""
    await register(gateway)
    return gateway.root.leaf("backend", uris=(BACKEND,))


def key():
    return DpopKey(ec.generate_private_key(ec.SECP256R1()), "ES256", ISSUER)


async def mint_with(gateway, identity, *proofs, client_id="backend"):
    """The bare call with any `dpop` metadata."""
    async with gateway.channel(identity) as channel:
        stub = token_service_pb2_grpc.TokenServiceStub(channel)
        request = token_service_pb2.MintTokenRequest(
            client_id=client_id, client_credentials=token_service_pb2.ClientCredentialsGrant()
        )
        return await stub.MintToken(request, metadata=[("dpop", proof) for proof in proofs])


def proof_for(prover, **claims):
    return prover.proof(**({"htu": ISSUER + PATH, "iat": int(time.time())} | claims))


async def refusal(gateway, *arguments, **options):
    """The ErrorInfo reason and the logged cause of a bare call that must fail."""
    from countersign._status import error_of_call  # noqa: PLC0415 - the one reader of a Status

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await mint_with(gateway, *arguments, **options)
    error = error_of_call(caught.value, "")
    return error.reason, gateway.log.cause_of(error)


async def test_a_proof_binds_the_token_to_its_key(gateway, backend):
    """With mutual TLS and a proof, the token is bound to the DPoP key alone, and introspection shows it."""
    dpop = key()
    async with gateway.client(backend, dpop=dpop) as client:
        token = await client.mint_token("backend")
    assert token.token_type is TokenType.DPOP
    assert token.x5t_s256 is None
    async with gateway.client(gateway.api) as api:
        seen = await api.introspect_token(token.value)
    assert (seen.token_type, seen.jkt, seen.x5t_s256) == (TokenType.DPOP, token.jkt, None)
    prover = Prover(dpop.private_key, "ES256")
    assert base64url.encode(token.jkt) == prover.jkt


async def test_without_a_proof_the_certificate_binds(gateway, backend):
    """The certificate that authenticates is the one that is bound."""
    async with gateway.client(backend) as client:
        token = await client.mint_token("backend")
    assert (token.token_type, token.jkt) == (TokenType.BEARER, None)
    assert token.x5t_s256 is not None


async def test_a_batch_is_bound_too(gateway, backend):
    """One proof, made for the batch method, binds every token of the batch."""
    from countersign import TokenRequest  # noqa: PLC0415 - used here only

    async with gateway.client(backend, dpop=key()) as client:
        tokens = await client.batch_mint_tokens("backend", [TokenRequest(), TokenRequest(("read",))])
    assert len({token.jkt for token in tokens}) == 1
    assert {token.token_type for token in tokens} == {TokenType.DPOP}


async def test_a_client_that_must_use_dpop_gets_nothing_without(gateway):
    """No silent downgrade to a certificate or to a bearer token (RFC 9449 §5.2)."""
    await register(gateway, dpop_bound_access_tokens=True)
    leaf = gateway.root.leaf("backend", uris=(BACKEND,))
    async with gateway.client(leaf) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.mint_token("backend")
    assert caught.value.reason == Reason.INVALID_DPOP_PROOF
    async with gateway.client(leaf, dpop=key()) as client:
        assert (await client.mint_token("backend")).token_type is TokenType.DPOP


async def test_a_client_that_must_use_its_certificate_cannot_use_dpop(gateway):
    """A proof would bind the token to something else than was registered."""
    await register(gateway, certificate_bound_access_tokens=True)
    async with gateway.client(gateway.root.leaf("backend", uris=(BACKEND,)), dpop=key()) as client:
        with pytest.raises(InvalidRequestError) as caught:
            await client.mint_token("backend")
    assert caught.value.reason == Reason.INVALID_REQUEST
    assert gateway.log.cause_of(caught.value) == "two_bindings"


async def test_a_client_is_not_registered_for_both(gateway):
    """One token has one binding."""
    with pytest.raises(InvalidRequestError) as caught:
        await register(gateway, certificate_bound_access_tokens=True, dpop_bound_access_tokens=True)
    assert caught.value.reason == Reason.INVALID_CLIENT_METADATA


async def test_a_proof_is_accepted_once(gateway, backend):
    """Twenty calls at the same time with one proof: one token."""
    proof = proof_for(Prover.es256())
    results = await asyncio.gather(
        *(mint_with(gateway, backend, proof) for _ in range(20)), return_exceptions=True
    )
    assert sum(not isinstance(result, Exception) for result in results) == 1
    assert await refusal(gateway, backend, proof) == (
        Reason.INVALID_DPOP_PROOF,
        "dpop_replayed: DpopError: dpop_replayed: the proof was used before",
    )


@pytest.mark.parametrize(
    ("claims", "cause"),
    [
        ({"htm": "GET"}, "dpop_method_mismatch"),
        ({"htu": "https://evil.example" + PATH}, "dpop_target_mismatch"),
        ({"htu": ISSUER + "/countersign.v1.TokenService/BatchMintTokens"}, "dpop_target_mismatch"),
        ({"htu": ISSUER + PATH.lower()}, "dpop_target_mismatch"),
        ({"iat": 1}, "dpop_issued_too_long_ago"),
    ],
)
async def test_a_proof_for_another_request(gateway, backend, claims, cause):
    """Method, origin, full gRPC method and time must be those of this very call."""
    reason, logged = await refusal(gateway, backend, proof_for(Prover.es256(), **claims))
    assert (reason, logged.partition(":")[0]) == (Reason.INVALID_DPOP_PROOF, cause)


async def test_query_and_case_of_the_host_do_not_matter(gateway, backend):
    """`htu` is compared in normal form (RFC 9449 §4.3)."""
    htu = ISSUER.replace("id.example", "ID.Example") + ":443" + PATH + "?x=1#y"
    response = await mint_with(gateway, backend, proof_for(Prover.es256(), htu=htu))
    assert response.token.confirmation.WhichOneof("method") == "jkt"


async def test_two_proofs_are_none(gateway, backend):
    """Exactly one `dpop` entry (RFC 9449 §4.3, 1)."""
    prover = Prover.es256()
    reason, cause = await refusal(gateway, backend, proof_for(prover), proof_for(prover))
    assert (reason, cause.partition(":")[0]) == (Reason.INVALID_DPOP_PROOF, "dpop_header_repeated")


async def test_a_configured_origin_counts(tmp_path):
    """It is compared whole: the same host at another port is another origin."""
    origin = "https://gateway.example.net:8443"
    async with running_gateway(tmp_path, tokens={"origins": [origin]}) as gateway:
        await register(gateway)
        leaf = gateway.root.leaf("backend", uris=(BACKEND,))
        await mint_with(gateway, leaf, proof_for(Prover.es256(), htu=origin + PATH))
        other = proof_for(Prover.es256(), htu="https://gateway.example.net" + PATH)
        reason, cause = await refusal(gateway, leaf, other)
        assert (reason, cause.partition(":")[0]) == (Reason.INVALID_DPOP_PROOF, "dpop_target_mismatch")


@pytest.fixture
def nonce_tokens(tmp_path):
    """Configuration that asks for nonces."""
    (tmp_path / "nonces.key").write_bytes(bytes(range(32)))
    return {"dpop_nonce": "required", "dpop_nonce_secrets": ["nonces.key"]}


async def test_a_nonce_is_asked_for_and_taken(tmp_path, nonce_tokens):
    """USE_DPOP_NONCE brings a nonce in the trailing metadata; the client's second proof carries it."""
    async with running_gateway(tmp_path, tokens=nonce_tokens) as gateway:
        await register(gateway)
        leaf = gateway.root.leaf("backend", uris=(BACKEND,))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await mint_with(gateway, leaf, proof_for(Prover.es256()))
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert [key for key, _ in caught.value.trailing_metadata()].count("dpop-nonce") == 1
        async with gateway.client(leaf, dpop=key()) as client:
            first = await client.mint_token("backend")
            second = await client.mint_token("backend")
        assert first.jkt == second.jkt
        refused = [record for record in gateway.log.records if record.reason == Reason.USE_DPOP_NONCE]
        assert len(refused) == 2


async def test_success_brings_a_fresh_nonce(tmp_path, nonce_tokens):
    """The request id stays in the trailing metadata beside it."""
    async with running_gateway(tmp_path, tokens=nonce_tokens) as gateway:
        await register(gateway)
        leaf = gateway.root.leaf("backend", uris=(BACKEND,))
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await mint_with(gateway, leaf, proof_for(Prover.es256()))
        nonce = dict(caught.value.trailing_metadata())["dpop-nonce"]
        async with gateway.channel(leaf) as channel:
            call = token_service_pb2_grpc.TokenServiceStub(channel).MintToken(
                token_service_pb2.MintTokenRequest(
                    client_id="backend", client_credentials=token_service_pb2.ClientCredentialsGrant()
                ),
                metadata=[("dpop", proof_for(Prover.es256(), nonce=nonce))],
            )
            await call
            names = [name for name, _ in await call.trailing_metadata()]
        assert sorted(names) == ["dpop-nonce", "x-request-id"]


async def test_a_nonce_of_nobody_is_refused(tmp_path, nonce_tokens):
    """A nonce that the gateway did not make is answered with one that it did."""
    async with running_gateway(tmp_path, tokens=nonce_tokens) as gateway:
        await register(gateway)
        leaf = gateway.root.leaf("backend", uris=(BACKEND,))
        reason, cause = await refusal(gateway, leaf, proof_for(Prover.es256(), nonce="A" * 32))
        assert (reason, cause.partition(":")[0]) == (Reason.USE_DPOP_NONCE, "dpop_nonce_mismatch")


class TestCallers:
    """An access token of the gateway as the credential of its own API, bound to a DPoP key."""

    @pytest.fixture
    async def bound(self, tmp_path):
        """A gateway, a key, and a resource server's token bound to it."""
        callers = [
            {"san_uri": "spiffe://example.org/admin", "roles": ["admin"]},
            {"client_id": "backend", "roles": ["admin"]},
        ]
        async with running_gateway(tmp_path, callers=callers) as gateway:
            await register(gateway)
            dpop = key()
            leaf = gateway.root.leaf("backend", uris=(BACKEND,))
            async with gateway.client(leaf, dpop=dpop) as client:
                token = await client.mint_token("backend", resource=[ISSUER])
            yield gateway, dpop, token.value

    async def test_a_bound_token_with_its_proof(self, bound):
        """Every call of the client carries a new proof for its own method (RFC 9449 §7.1)."""
        gateway, dpop, token = bound
        async with gateway.client(dpop=dpop, caller_token=lambda: token) as client:
            assert (await client.get_client("backend")).client_id == "backend"
            assert [each.client_id async for each in client.list_clients()] == ["backend"]

    async def test_a_bound_token_as_bearer(self, bound):
        """The proof cannot be left out (RFC 9449 §7.2)."""
        gateway, _, token = bound
        async with gateway.client(caller_token=lambda: token) as client:
            with pytest.raises(AuthenticationError) as caught:
                await client.get_client("backend")
        assert caught.value.reason == Reason.INVALID_TOKEN
        assert gateway.log.cause_of(caught.value) == "dpop_bound_token_as_bearer"

    async def test_a_proof_of_another_key(self, bound):
        """Who stole the token has another key."""
        gateway, _, token = bound
        async with gateway.client(dpop=key(), caller_token=lambda: token) as client:
            with pytest.raises(AuthenticationError) as caught:
                await client.get_client("backend")
        assert gateway.log.cause_of(caught.value).startswith("dpop_jkt_mismatch")

    async def test_an_unbound_token_under_the_scheme(self, bound):
        """A token that is bound to no key gains nothing from a proof."""
        gateway, dpop, _ = bound
        leaf = gateway.root.leaf("backend", uris=(BACKEND,))
        async with gateway.client(leaf) as client:
            token = await client.mint_token("backend", resource=[ISSUER])
        async with gateway.client(dpop=dpop, caller_token=lambda: token.value) as client:
            with pytest.raises(AuthenticationError) as caught:
                await client.get_client("backend")
        assert gateway.log.cause_of(caught.value) == "token_not_bound_to_a_key"

    async def test_one_proof_serves_caller_and_binding(self, bound):
        """A caller with a bound token that mints binds the new token to the same key, by one proof."""
        gateway, dpop, token = bound
        leaf = gateway.root.leaf("backend", uris=(BACKEND,))
        async with gateway.client(leaf, dpop=dpop, caller_token=lambda: token) as client:
            minted = await client.mint_token("backend")
        assert base64url.encode(minted.jkt) == Prover(dpop.private_key, "ES256").jkt
