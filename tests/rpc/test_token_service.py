"""TokenService over real TLS: what travels, what the log says of a refusal, and attacks end to end."""

import asyncio
import hashlib
import json
import subprocess
from pathlib import Path

import grpc
import pytest
from countersign import (
    AssertionKey,
    CertificateName,
    ClientSecret,
    ClientSecretPostAuth,
    CountersignError,
    GrantType,
    PrivateKeyJwtAuth,
    SelfSignedTlsClientAuth,
    TlsClientAuth,
    TokenRequest,
)
from countersign.v1 import token_service_pb2 as pb
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from tests.support.assertions import jwks_of
from tests.support.gateway import ISSUER, RESOURCE, RunningGateway, running_gateway
from tests.support.pki import Authority, Issued, as_authority, new_key, self_signed
from tests.support.rpc_server import details_of, reason_of
from tests.support.shared_gateway import admin, shared

__all__ = ["admin", "shared"]
pytestmark = pytest.mark.asyncio(loop_scope="module")

GRANTED = {
    "grant_types": [GrantType.CLIENT_CREDENTIALS],
    "scopes": ["read", "write"],
    "audiences": [RESOURCE, ISSUER],
    "default_audience": RESOURCE,
}
CREDENTIALS = pb.ClientCredentialsGrant()


def by_name(name: str) -> TlsClientAuth:
    return TlsClientAuth(CertificateName.SAN_DNS, f"{name}.example.org")


async def register(admin, name: str, authentication=None, **fields):
    return await admin.create_client(
        name, authentication=authentication or by_name(name), **{**GRANTED, **fields}
    )


def leaf(gateway: RunningGateway, name: str) -> Issued:
    return gateway.root.leaf(dns=(f"{name}.example.org",))


async def refused(gateway: RunningGateway, call) -> tuple[str, str]:
    """The reason that the client sees, and the cause that our log has."""
    with pytest.raises(CountersignError) as caught:
        await call
    return caught.value.reason, gateway.log.cause_of(caught.value)


async def test_mint_by_certificate(shared, admin):
    """A client certificate over mutual TLS mints a bound token, and the reply says what the token says."""
    await register(admin, "bound")
    certificate = leaf(shared, "bound")
    async with shared.client(certificate) as client:
        token = await client.mint_token("bound", scope=["write"])
    assert (token.scope, token.audience, token.token_type) == (("write",), (RESOURCE,), "Bearer")
    assert token.x5t_s256 == hashlib.sha256(certificate.der).digest()
    assert (token.expire_time - token.issue_time).total_seconds() == 600


async def test_mint_by_assertion(shared, admin):
    """A signed assertion mints over TLS without any client certificate."""
    key = new_key()
    await register(admin, "signing", PrivateKeyJwtAuth(jwks_of(key).decode()))
    credential = AssertionKey(key, "ES256", ISSUER)
    async with shared.client() as client:
        token = await client.mint_token("signing", credential=credential)
        assert token.x5t_s256 is None
        foreign = AssertionKey(new_key(), "ES256", ISSUER)
        call = client.mint_token("signing", credential=foreign)
        assert await refused(shared, call) == (
            "INVALID_CLIENT",
            "assertion_signature_invalid: JoseError: signature_invalid: the signature does not verify",
        )


async def test_mint_on_the_port_without_certificates(shared, admin):
    """On the TLS port there is no certificate, so a client by certificate cannot be proven there."""
    await register(admin, "plain")
    async with shared.client() as nobody:
        assert await refused(shared, nobody.mint_token("plain")) == ("INVALID_CLIENT", "certificate_missing")


async def test_refusals_do_not_differ(shared, admin):
    """An unknown client and a wrong certificate get the same words; only our log tells them apart."""
    await register(admin, "known")
    messages = set()
    async with shared.client(leaf(shared, "somebody")) as client:
        for name in ("known", "unknown"):
            with pytest.raises(CountersignError) as caught:
                await client.mint_token(name)
            messages.add((caught.value.reason, caught.value.message, caught.value.code))
            assert set(caught.value.metadata) <= {"request_id"}
    assert messages == {("INVALID_CLIENT", "Client authentication failed.", grpc.StatusCode.UNAUTHENTICATED)}


async def test_foreign_certificate_ends_the_handshake(shared):
    """A certificate that leads to no root, and is not registered, does not get through TLS."""
    foreign = Authority.root("Other").leaf(dns=("known.example.org",))
    async with shared.client(foreign) as client:
        with pytest.raises(CountersignError) as caught:
            await client.mint_token("known")
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert caught.value.reason is None


async def admitted(gateway: RunningGateway, certificate: Issued) -> None:
    """Wait until the mutual-TLS listener lets *certificate* through."""
    async with asyncio.timeout(10):
        while True:
            async with gateway.channel(certificate) as channel:
                try:
                    await channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=2)
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                else:
                    return


def made_by_openssl(folder: Path) -> Issued:
    """What a plain ``openssl req -x509`` makes, and many a client registers: CA:TRUE, without key usage."""
    key, certificate = folder / "rogue.key", folder / "rogue.pem"
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=rogue"
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*command.split(), *files], check=True, capture_output=True)
    return Issued(
        x509.load_pem_x509_certificate(certificate.read_bytes()),
        serialization.load_pem_private_key(key.read_bytes(), None),
    )


async def test_leaf_under_a_registered_certificate(shared, admin, tmp_path):
    """A leaf minted under another client's registered CA:TRUE certificate passes TLS and proves nothing.

    It carries the victim's name, an administrator's name and the other client's key: none of it counts.
    """
    await register(admin, "victim")
    rogue = made_by_openssl(tmp_path)
    assert rogue.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    await register(admin, "rogue", SelfSignedTlsClientAuth((rogue.der,)))
    await admitted(shared, rogue)
    async with shared.client(rogue) as client:
        assert await client.mint_token("rogue")
    forged = as_authority(rogue).leaf(
        "victim", dns=("victim.example.org",), uris=("spiffe://example.org/admin",)
    )
    await admitted(shared, forged)
    async with shared.client(forged) as client:
        call = client.mint_token("victim")
        reason, cause = await refused(shared, call)
        assert (reason, cause.partition(":")[0]) == ("INVALID_CLIENT", "certificate_untrusted")
        reason, cause = await refused(shared, client.mint_token("rogue"))
        assert (reason, cause) == ("INVALID_CLIENT", "certificate_not_registered")
        reason, _ = await refused(shared, client.get_client("victim"))
        assert reason == "CALLER_UNAUTHENTICATED"


async def test_registered_certificate_is_no_caller(shared, admin):
    """A registered certificate with an administrator's name in it makes no administrator."""
    name = self_signed("sneaky", uris=("spiffe://example.org/admin",))
    await register(admin, "sneaky", SelfSignedTlsClientAuth((name.der,)))
    await admitted(shared, name)
    async with shared.client(name) as client:
        reason, _ = await refused(shared, client.get_client("sneaky"))
    assert reason == "CALLER_UNAUTHENTICATED"


async def test_bound_client_without_certificate(shared, admin):
    """A client whose tokens must be bound gets no unbound one."""
    key = new_key()
    await register(
        admin, "strict", PrivateKeyJwtAuth(jwks_of(key).decode()), certificate_bound_access_tokens=True
    )
    async with shared.client() as client:
        call = client.mint_token("strict", credential=AssertionKey(key, "ES256", ISSUER))
        assert await refused(shared, call) == ("CLIENT_CERTIFICATE_REQUIRED", "")


async def test_batch(shared, admin):
    """A batch answers in order, with a whole status for each item that was refused."""
    await register(admin, "many")
    async with shared.client(leaf(shared, "many")) as client:
        results = await client.batch_mint_tokens(
            "many", [TokenRequest(("read",)), TokenRequest(("x",)), TokenRequest((), ("https://x",))]
        )
        response = await client.tokens.BatchMintTokens(
            pb.BatchMintTokensRequest(
                client_id="many",
                items=[
                    pb.BatchMintTokensItem(),
                    pb.BatchMintTokensItem(client_credentials=CREDENTIALS, scope=["read"] * 101),
                    pb.BatchMintTokensItem(client_credentials=CREDENTIALS, resource=[RESOURCE] * 101),
                    pb.BatchMintTokensItem(client_credentials=CREDENTIALS),
                ],
            )
        )
    assert [getattr(each, "reason", "token") for each in results] == [
        "token",
        "INVALID_SCOPE",
        "INVALID_TARGET",
    ]
    assert results[1].metadata["scope"] == "x"
    outcomes = [each.error.code if each.HasField("error") else 0 for each in response.results]
    assert outcomes == [3, 3, 3, 0]


@pytest.mark.parametrize("size", [0, 1001])
async def test_batch_of_a_wrong_size(shared, admin, size):
    """An empty batch and one too large fail as a whole."""
    items = [pb.BatchMintTokensItem(client_credentials=CREDENTIALS)] * size
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await admin.tokens.BatchMintTokens(pb.BatchMintTokensRequest(client_id="many", items=items))
    assert reason_of(caught.value) == "INVALID_FIELD"
    assert details_of(caught.value)["BadRequest"].field_violations[0].field == "items"


async def test_batch_of_the_largest_size(shared, admin):
    """A thousand tokens travel in one reply."""
    await register(admin, "thousand")
    async with shared.client(leaf(shared, "thousand")) as client:
        tokens = await client.batch_mint_tokens("thousand", [TokenRequest()] * 1000)
        assert len({token.token_id for token in tokens}) == 1000
        answers = await client.batch_introspect_tokens(
            [token.value for token in tokens], client_id="thousand"
        )
    assert [answer.token_id for answer in answers] == [token.token_id for token in tokens]


@pytest.mark.parametrize(
    ("request_message", "field"),
    [
        (pb.MintTokenRequest(client_id="x"), "grant"),
        (pb.MintTokenRequest(client_id="x", client_credentials=CREDENTIALS, scope=["a"] * 101), "scope"),
        (
            pb.MintTokenRequest(client_id="x", client_credentials=CREDENTIALS, resource=["a"] * 101),
            "resource",
        ),
    ],
)
async def test_request_malformed(admin, request_message, field):
    """A request without a grant, or with too many names, is refused by the name of the field."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await admin.tokens.MintToken(request_message)
    assert details_of(caught.value)["BadRequest"].field_violations[0].field == field


async def test_revoke(shared, admin):
    """A client revokes its own token and no other's; who it belongs to is refused by name."""
    await register(admin, "revoking")
    await register(admin, "other")
    async with shared.client(leaf(shared, "revoking")) as client:
        token = await client.mint_token("revoking")
        async with shared.client(leaf(shared, "other")) as other:
            call = other.revoke_token(token.value, client_id="other")
            assert await refused(shared, call) == ("UNAUTHORIZED_CLIENT", "token_of_another_client")
        assert await client.introspect_token(token.value, client_id="revoking")
        await client.revoke_token(token.value, client_id="revoking")
        await client.revoke_token(token.value, client_id="revoking")
        await client.revoke_token("garbage", client_id="revoking")
        assert await client.introspect_token(token.value, client_id="revoking") is None


async def test_revoke_by_id(shared, admin):
    """An administrator revokes by id; nobody else, authenticated or not."""
    await register(admin, "by-id")
    async with shared.client(leaf(shared, "by-id")) as client, shared.client() as nobody:
        token = await client.mint_token("by-id")
        for caller in (client, nobody):
            reason, _ = await refused(shared, caller.revoke_token_id(token.token_id))
            assert reason == "PERMISSION_DENIED"
        await admin.revoke_token_id(token.token_id)
        assert await client.introspect_token(token.value, client_id="by-id") is None


async def test_revoke_nothing(admin):
    """A revocation that names neither a token nor an id is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await admin.tokens.RevokeToken(pb.RevokeTokenRequest())
    assert reason_of(caught.value) == "MISSING_FIELD"


async def test_metadata_and_keys_are_public(shared):
    """Nobody in particular may read the metadata and the key set; the typed forms agree with the JSON."""
    async with shared.client() as nobody:
        metadata = await nobody.get_server_metadata()
        keys = await nobody.get_jwks()
    document = json.loads(metadata.document)
    assert (metadata.issuer, document["issuer"]) == (ISSUER, ISSUER)
    assert document["grant_types_supported"] == sorted(set(GrantType) - {GrantType.UNRECOGNIZED})
    assert document["tls_client_certificate_bound_access_tokens"] is True
    assert "none" in document["token_endpoint_auth_methods_supported"]
    assert list(metadata.token_endpoint_auth_signing_alg_values_supported) == [
        "ES256",
        "ES384",
        "EdDSA",
        "PS256",
    ]
    (key,) = keys.keys
    (members,) = json.loads(keys.document)["keys"]
    assert set(members) == {"kty", "crv", "x", "y", "kid", "alg", "use"}
    assert (members["kty"], members["crv"], members["alg"], members["use"]) == ("EC", "P-256", "ES256", "sig")
    assert (key.kid, len(key.public_key.x)) == (members["kid"], 32)
    assert keys.max_age.total_seconds() == 300


async def test_caller_by_token(shared, admin):
    """A token for the gateway itself is a credential of its API, on its own certificate only where bound."""
    await register(admin, "calling")
    certificate = leaf(shared, "calling")
    async with shared.client(certificate) as client:
        own = (await client.mint_token("calling", resource=[ISSUER])).value
        other = (await client.mint_token("calling")).value
    async with shared.client(certificate, caller_token=lambda: own) as client:
        assert (await client.introspect_token(other)).client_id == "calling"
        assert (await refused(shared, client.get_client("calling")))[0] == "PERMISSION_DENIED"
    async with shared.client(caller_token=lambda: own) as client:
        assert await refused(shared, client.introspect_token(other)) == (
            "INVALID_TOKEN",
            "certificate_binding_mismatch",
        )
    async with shared.client(certificate, caller_token=lambda: other) as client:
        assert await refused(shared, client.introspect_token(other)) == (
            "INVALID_TOKEN",
            "audience_is_not_the_gateway",
        )


@pytest.mark.parametrize(
    ("entries", "cause"),
    [
        (["Bearer {0}", "Bearer {0}"], "authorization_repeated"),
        (["DPoP {0}"], "scheme_not_supported"),
        (["Basic {0}"], "scheme_not_supported"),
        (["{0}"], "authorization_malformed"),
        (["Bearer {0} {0}"], "authorization_malformed"),
        (["Bearer x"], "malformed_compact"),
    ],
)
async def test_authorization_entries(shared, admin, entries, cause):
    """A wrong authorization entry is refused, even beside an administrator's certificate."""
    name = "entries"
    if name not in {client.client_id async for client in admin.list_clients(page_size=1000)}:
        await register(admin, name, ClientSecretPostAuth())
    secret = ClientSecret((await admin.rotate_client_secret(name)).client_secret)
    async with shared.client() as client:
        token = (await client.mint_token(name, credential=secret, resource=[ISSUER])).value
    metadata = [("authorization", entry.format(token)) for entry in entries]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await admin.tokens.GetJwks(pb.GetJwksRequest(), metadata=metadata)
    assert reason_of(caught.value) == "INVALID_TOKEN"
    assert shared.log.records[-1].cause.partition(":")[0] == cause


async def test_replicas_share_what_was_decided(tmp_path):
    """A revocation and a disabled client are seen at once by a second gateway on the same database."""
    async with (
        running_gateway(tmp_path) as first,
        running_gateway(tmp_path, prepared=first.prepared) as second,
        first.client(first.admin) as admin,
    ):
        await register(admin, "shared")
        certificate = leaf(first, "shared")
        async with first.client(certificate) as here, second.client(certificate) as there:
            tokens = [await here.mint_token("shared") for _ in range(3)]
            for token in tokens:
                assert await there.introspect_token(token.value, client_id="shared")
            await here.revoke_token(tokens[0].value, client_id="shared")
            assert await there.introspect_token(tokens[0].value, client_id="shared") is None
            async with second.client(second.api) as api:
                assert await api.introspect_token(tokens[1].value)
                await admin.update_client("shared", disabled=True)
                assert await api.introspect_token(tokens[1].value) is None
            assert (await refused(second, there.mint_token("shared"))) == (
                "INVALID_CLIENT",
                "client_disabled",
            )


async def test_with_a_key_in_softhsm(tmp_path):
    """The whole path with a key that never leaves its token."""
    async with (
        running_gateway(tmp_path, key_uri="softhsm") as gateway,
        gateway.client(gateway.admin) as admin,
    ):
        await register(admin, "hsm")
        async with gateway.client(leaf(gateway, "hsm")) as client:
            token = await client.mint_token("hsm")
            assert (await client.introspect_token(token.value, client_id="hsm")).token_id == token.token_id
