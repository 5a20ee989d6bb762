"""Clients whose keys and certificates are at a `jwks_uri`, over real HTTPS."""

import json
import ssl
from base64 import b64encode
from functools import partial

import httpx
import pytest
from countersign import PrivateKeyJwtAuth, SelfSignedTlsClientAuth

from gateway import application
from gateway.fetching import DangerousLoopbackDoor, GuardedClient
from signers.jose_form import public_jwk
from tests.support.assertions import claims, jwks_of, signed
from tests.support.edge import TOKEN, Edge, register
from tests.support.gateway import CALLERS, SteppedClock, running_gateway
from tests.support.pki import Authority, Issued, new_key, self_signed
from tests.support.scripted_server import ScriptedServer, reply, server_context

HOST = "keys.example.test"
PROXY = "spiffe://example.org/proxy"
HEADER = "x-wso2-mtls-cert"
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@pytest.fixture
async def publisher():
    """A server whose keys the gateway may fetch."""
    authority = Authority.root("Publishing Root")
    door = DangerousLoopbackDoor(names=frozenset({HOST}), ca_pem=authority.pem.decode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "GuardedClient", partial(GuardedClient, door=door))
        async with ScriptedServer(tls=server_context(authority.server(HOST))) as running:
            yield running


@pytest.fixture
async def edge(publisher, tmp_path):
    """The edge of a gateway that trusts a terminator."""
    terminator = {"trusted": [PROXY], "header": HEADER, "format": "pem"}
    async with running_gateway(tmp_path, terminator=terminator, callers=CALLERS) as running:
        yield Edge(running)


def at(publisher: ScriptedServer) -> str:
    return f"https://{HOST}:{publisher.port}/keys"


def certificates(*issued: Issued) -> bytes:
    """A JWK Set that publishes certificates."""
    members = [
        {**public_jwk(each.certificate.public_key()), "x5c": [b64encode(each.der).decode()]}
        for each in issued
    ]
    return json.dumps({"keys": members}).encode()


async def test_an_assertion(edge, publisher):
    """private_key_jwt with the key that the client publishes; one that it does not is refused."""
    key = new_key()
    publisher.routes["/keys"] = reply(body=jwks_of(key, kids=("own",)))
    async with edge.gateway.client(edge.gateway.admin) as admin:
        await register(admin, "publishing", PrivateKeyJwtAuth(jwks_uri=at(publisher)))
    outcomes = []
    for kid in ("own", "other"):
        assertion = signed(key, claims(SteppedClock()(), "publishing"), kid=kid)
        data = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion,
        }
        outcomes.append(await edge.post(TOKEN, data=data))
    assert [each.status_code for each in outcomes] == [200, 401]
    assert outcomes[1].json()["error"] == "invalid_client"


async def test_a_self_signed_certificate(edge, publisher):
    """Through the terminator it is let in; the gateway's own handshake does not know it."""
    own = self_signed("own")
    publisher.routes["/keys"] = reply(body=certificates(own))
    async with edge.gateway.client(edge.gateway.admin) as admin:
        await register(admin, "publishing", SelfSignedTlsClientAuth(jwks_uri=at(publisher)))
    data = {"grant_type": "client_credentials", "client_id": "publishing"}
    proxy = edge.gateway.root.leaf("proxy", uris=(PROXY,))
    headers = {HEADER: own.pem.decode().replace("\n", "")}
    response = await edge.post(TOKEN, identity=proxy, headers=headers, data=data)
    assert response.status_code == 200
    with pytest.raises((httpx.TransportError, ssl.SSLError)):
        await edge.post(TOKEN, identity=own, data=data)


async def test_a_certificate_of_a_trusted_root(edge, publisher):
    """It passes the gateway's own handshake, and counts because it is published."""
    leaf, other = (edge.gateway.root.leaf("publishing") for _ in range(2))
    publisher.routes["/keys"] = reply(body=certificates(leaf))
    async with edge.gateway.client(edge.gateway.admin) as admin:
        await register(admin, "publishing", SelfSignedTlsClientAuth(jwks_uri=at(publisher)))
    data = {"grant_type": "client_credentials", "client_id": "publishing"}
    answers = [await edge.post(TOKEN, identity=each, data=data) for each in (leaf, other)]
    assert [each.status_code for each in answers] == [200, 401]
