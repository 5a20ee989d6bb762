"""Keys and metadata, as discovery finds them."""

import json

import pytest
from countersign.v1 import token_service_pb2, token_service_pb2_grpc

from gateway.tokens.client import ClientAuthenticationMethod
from tests.support.edge import Edge
from tests.support.gateway import ISSUER, RunningGateway, running_gateway

PUBLIC = "https://id.example.org:8443"
MTLS = "https://mtls.id.example.org"
PATHS = ("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")


async def over_grpc(gateway: RunningGateway) -> token_service_pb2.GetServerMetadataResponse:
    async with gateway.channel() as channel:
        stub = token_service_pb2_grpc.TokenServiceStub(channel)
        return await stub.GetServerMetadata(token_service_pb2.GetServerMetadataRequest())


async def test_keys(tmp_path):
    """The JWK Set is the keyring's, and may be kept as long as a key is published before it signs."""
    async with running_gateway(tmp_path, tokens={"jwks_max_age": 77}) as gateway:
        response = await Edge(gateway).get("/oauth2/jwks")
        async with gateway.channel() as channel:
            stub = token_service_pb2_grpc.TokenServiceStub(channel)
            keys = await stub.GetJwks(token_service_pb2.GetJwksRequest())
    assert response.content == keys.jwks_json
    assert response.headers["cache-control"] == "public, max-age=77"
    assert response.headers["content-type"] == "application/json"
    assert "private" not in response.text
    assert all("d" not in key for key in response.json()["keys"])


async def test_metadata(tmp_path):
    """Both well-known paths give one document, byte for byte that of GetServerMetadata."""
    edge_settings = {"public_url": PUBLIC, "mtls_public_url": MTLS}
    async with running_gateway(tmp_path, edge=edge_settings) as gateway:
        first, second = [await Edge(gateway).get(path) for path in PATHS]
        message = await over_grpc(gateway)
    assert first.content == second.content == message.metadata_json
    assert first.headers["content-type"] == "application/json"
    document = first.json()
    assert document["issuer"] == ISSUER
    endpoints = {
        "token_endpoint": "/oauth2/token",
        "introspection_endpoint": "/oauth2/introspect",
        "revocation_endpoint": "/oauth2/revoke",
    }
    for name, path in endpoints.items():
        assert document[name] == PUBLIC + path == getattr(message.metadata, name)
        assert document["mtls_endpoint_aliases"][name] == MTLS + path
        assert getattr(message.metadata.mtls_endpoint_aliases, name) == MTLS + path
        methods = document[f"{name}_auth_methods_supported"]
        assert set(methods) >= set(ClientAuthenticationMethod)
        assert "ES256" in document[f"{name}_auth_signing_alg_values_supported"]
    assert document["jwks_uri"] == PUBLIC + "/oauth2/jwks" == message.metadata.jwks_uri
    assert document["tls_client_certificate_bound_access_tokens"] is True
    assert "ES256" in document["dpop_signing_alg_values_supported"]
    assert "client_credentials" in document["grant_types_supported"]


async def test_defaults(tmp_path):
    """Without configuration the URLs begin with the issuer's origin, and there are no aliases."""
    async with running_gateway(tmp_path) as gateway:
        document = (await Edge(gateway).get(PATHS[0])).json()
    assert document["token_endpoint"] == ISSUER + "/oauth2/token"
    assert "mtls_endpoint_aliases" not in document


async def test_issuer_with_a_path(tmp_path):
    """RFC 8414 §3.1 puts the well-known name before the issuer's path, OpenID Connect behind it."""
    issuer = "https://id.example.org/tenants/one"
    async with running_gateway(tmp_path, tokens={"issuer": issuer}) as gateway:
        edge = Edge(gateway)
        for path in (f"{PATHS[0]}/tenants/one", f"/tenants/one{PATHS[1]}"):
            document = json.loads((await edge.get(path)).content)
            assert document["issuer"] == issuer
            assert document["token_endpoint"] == "https://id.example.org/oauth2/token"
        assert (await edge.get(PATHS[0])).status_code == 404


@pytest.mark.parametrize("path", PATHS)
async def test_only_mutual_tls(tmp_path, path):
    """Where only the mutual-TLS listener is on, its endpoints are the endpoints."""
    async with running_gateway(
        tmp_path, server={"https_address": ""}, edge={"mtls_public_url": MTLS}
    ) as gateway:
        document = (await Edge(gateway).get(path, identity=gateway.api)).json()
    assert document["token_endpoint"] == MTLS + "/oauth2/token"
