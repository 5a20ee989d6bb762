"""npm oauth4webapi and openid-client, unmodified, against the edge."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from countersign import GrantType, Pkce

from tests.support import node
from tests.support.edge import (
    Edge,
    free_ports,
    leaf,
    register,
    register_basic,
    register_certificates,
    register_key,
    register_post,
)
from tests.support.gateway import ADMIN, RESOURCE, RunningGateway, make_key, running_gateway
from tests.support.pki import Issued, new_key, self_signed
from tests.support.private_jwk import private_jwk

SOURCES = Path(__file__).parent / "oauth_clients"


@asynccontextmanager
async def reachable_gateway(
    folder: Path, options: Mapping[str, Any] | None = None, **tokens: Any
) -> AsyncIterator[RunningGateway]:
    """A gateway whose issuer and public URLs are where it listens."""
    plain, mtls = free_ports(2)
    async with running_gateway(
        folder,
        server={"https_address": f"127.0.0.1:{plain}", "https_mtls_address": f"127.0.0.1:{mtls}"},
        edge={
            "mtls_public_url": f"https://localhost:{mtls}",
            "authorization_url": "https://login.example.org/authorize",
        },
        tokens={"issuer": f"https://localhost:{plain}", **tokens},
        **(options or {}),
    ) as gateway:
        yield gateway


def identity_of(issued: Issued) -> dict[str, str]:
    return {"cert": issued.chain_pem.decode(), "key": issued.key_pem.decode()}


async def registered(gateway: RunningGateway) -> list[dict[str, Any]]:
    """One client of each authentication, as the scripts are told of them."""
    key, own = new_key(), self_signed("own")
    async with gateway.client(gateway.admin) as admin:
        basic = await register_basic(admin, "basic", audiences=["https://api.example.org"])
        post = await register_post(admin, "post", audiences=["https://api.example.org"])
        await register_key(admin, "jwt", key)
        await register(admin, "pki")
        await register_certificates(admin, "own", [own])
    await Edge(gateway).admitted(own)
    return [
        {"client_id": "basic", "method": "client_secret_basic", "secret": basic},
        {"client_id": "post", "method": "client_secret_post", "secret": post},
        {
            "client_id": "jwt",
            "method": "private_key_jwt",
            "jwk": json.loads(private_jwk(key)),
        },
        {
            "client_id": "pki",
            "method": "tls_client_auth",
            "identity": identity_of(leaf(gateway, "pki")),
        },
        {
            "client_id": "own",
            "method": "self_signed_tls_client_auth",
            "identity": identity_of(own),
        },
    ]


def named(clients: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each client as it is, and each once more with DPoP."""
    plain = [{**each, "name": each["client_id"]} for each in clients]
    proven = [{**each, "name": f"{each['client_id']}+dpop", "dpop": True} for each in clients]
    return [*plain, *proven]


def check(name: str, story: dict[str, Any]) -> None:
    """What every story must have come to."""
    first, kind = story["first"], "dpop" if name.endswith("+dpop") else "bearer"
    assert (story["token"]["token_type"].lower(), story["token"]["scope"]) == (kind, "read")
    assert story["token"]["expires_in"] == 600
    assert (first["active"], first["token_type"].lower()) == (True, kind)
    assert story["second"] == {"active": False}
    if kind == "dpop":
        assert set(first["cnf"]) == {"jkt"}
    elif name in ("pki", "own"):
        assert set(first["cnf"]) == {"x5t#S256"}
    else:
        assert "cnf" not in first


async def task_of(gateway: RunningGateway) -> dict[str, Any]:
    return {
        "issuer": gateway.prepared.settings.tokens.issuer,
        "ca": gateway.root.pem.decode(),
        "clients": named(await registered(gateway)),
        "failing": [
            {
                "name": "basic",
                "client_id": "basic",
                "method": "client_secret_basic",
                "secret": "wrong",
            },
            {"name": "post", "client_id": "post", "method": "client_secret_post", "secret": "wrong"},
            {
                "name": "certificate",
                "client_id": "pki",
                "method": "tls_client_auth",
                "identity": identity_of(leaf(gateway, "other")),
            },
        ],
    }


@pytest.mark.parametrize("nonce", ["off", "required"])
async def test_oauth4webapi(tmp_path, nonce):
    """Discovery, each client authentication with and without DPoP, introspection (JSON and JWT), revocation,
    errors.
    """
    async with reachable_gateway(tmp_path, keys(tmp_path), **nonces(tmp_path, nonce)) as gateway:
        answer = await asyncio.to_thread(node.run, SOURCES, "oauth4webapi.mjs", await task_of(gateway))
    assert answer["same"]
    for name, story in answer["stories"].items():
        check(name, story)
        media_type = "application/token-introspection+jwt"
        assert story["signed"] == {"mediaType": media_type, "claims": story["first"]}
        assert story["signedSecond"] == {"mediaType": media_type, "claims": {"active": False}}
        assert story["retried"] == (nonce == "required" and name.endswith("+dpop"))
    assert len(answer["stories"]) == 10
    assert answer["failures"]["basic"]["challenge"] == "basic"
    for name in ("post", "certificate"):
        failure = answer["failures"][name]
        assert (failure["name"], failure["error"], failure["status"]) == (
            "ResponseBodyError",
            "invalid_client",
            401,
        )


@pytest.mark.parametrize("nonce", ["off", "required"])
async def test_openid_client(tmp_path, nonce):
    """The same through openid-client, which retries with a nonce by itself."""
    async with reachable_gateway(tmp_path, **nonces(tmp_path, nonce)) as gateway:
        answer = await asyncio.to_thread(node.run, SOURCES, "openid_client.mjs", await task_of(gateway))
    assert len(answer["stories"]) == 10
    for name, story in answer["stories"].items():
        check(name, story)


def nonces(folder: Path, nonce: str) -> dict[str, Any]:
    """Settings of the DPoP nonces."""
    if nonce == "off":
        return {}
    (folder / "nonces").write_bytes(os.urandom(32))
    return {"dpop_nonce": nonce, "dpop_nonce_secrets": ["nonces"]}


def keys(folder: Path) -> dict[str, Any]:
    """Keys for tokens and for signed introspection responses."""
    purposes = ("tokens", "introspection")
    return {
        "keys": [{"purpose": each, "algorithm": "ES256", "uri": make_key(folder, each)} for each in purposes]
    }


LOGIN = "spiffe://example.org/login"
REDIRECT = "https://app.example.org/callback"


async def test_the_code_flow(tmp_path):
    """PAR, code with PKCE and issuer, refresh and revocation by both packages; others log in."""
    callers = [{"san_uri": ADMIN, "roles": ["admin"]}, {"san_uri": LOGIN, "roles": ["login"]}]
    async with reachable_gateway(tmp_path, {"callers": callers}) as gateway:
        async with gateway.client(gateway.admin) as admin:
            secret = await register_basic(
                admin,
                "app",
                grant_types=[GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN],
                redirect_uris=[REDIRECT],
                audiences=[RESOURCE],
            )
        task = {
            "issuer": gateway.prepared.settings.tokens.issuer,
            "ca": gateway.root.pem.decode(),
            "client_id": "app",
            "secret": secret,
            "redirect_uri": REDIRECT,
            "verifier": Pkce().verifier,
        }
        pushed = await asyncio.to_thread(node.run, SOURCES, "code_flow.mjs", {**task, "step": "push"})
        async with gateway.client(gateway.root.leaf("login", uris=(LOGIN,))) as login:
            locations = {
                name: (await login.create_authorization_code("app", uri, subject="alice")).location
                for name, uri in pushed.items()
            }
        task |= {"step": "redeem", "locations": locations}
        answers = await asyncio.to_thread(node.run, SOURCES, "code_flow.mjs", task)
    for answer in answers.values():
        assert answer["first"]["scope"] == answer["second"]["scope"] == "read"
        assert answer["first"]["access_token"] != answer["second"]["access_token"]
        assert answer["after"] == {"active": False}
