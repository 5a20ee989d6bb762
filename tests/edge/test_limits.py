"""Limits at the HTTPS edge: the same rules as over gRPC, told as 429 (RFC 6585 §4)."""

from contextlib import asynccontextmanager

import pytest

from gateway.authorization import POLICIES
from gateway.config import ConfigurationError
from gateway.limits.method_classes import MethodClass, Priority, class_of
from tests.support.acme import acme_gateway
from tests.support.edge import INTROSPECT, REVOKE, TOKEN, Edge, leaf, register, register_post
from tests.support.gateway import CALLERS, prepare, running_gateway

GRANT = {"grant_type": "client_credentials"}
HOUR = 1 / 3600
JWKS = "/oauth2/jwks"
PROXY = "spiffe://example.org/proxy"


@asynccontextmanager
async def limited(folder, *rules, **sections):
    """The edge of a gateway with *rules*."""
    async with running_gateway(folder, rate_limits=list(rules), **sections) as gateway:
        yield Edge(gateway)


async def test_an_address_that_calls_too_often(tmp_path):
    """A client without a certificate is limited by its address: 429 with Retry-After, before its secret is
    looked at; what no rule is for goes on.
    """
    async with limited(tmp_path, {"methods": ["mint"], "rate": HOUR, "burst": 2}) as edge:
        async with edge.gateway.client(edge.gateway.admin) as admin:
            secret = await register_post(admin, "often")
        form = {**GRANT, "client_id": "often", "client_secret": secret}
        assert (await edge.post(TOKEN, data=form)).status_code == 200
        assert (await edge.post(TOKEN, data=form | {"client_secret": "wrong"})).status_code == 401
        response = await edge.post(TOKEN, data=form)
        assert (response.status_code, response.json()["error"]) == (429, "temporarily_unavailable")
        assert 3500 < int(response.headers["retry-after"]) <= 3600
        assert edge.cause(response) == ("RATE_LIMITED", "rate")
        assert (await edge.get(JWKS)).status_code == 200
        revoked = await edge.post(REVOKE, data=form | {"token": "x"})
        assert revoked.status_code == 200


async def test_both_doors_have_one_bucket(tmp_path):
    """Who has used up its calls over gRPC has none left over HTTPS."""
    async with limited(tmp_path, {"methods": ["mint"], "rate": HOUR, "burst": 1}) as edge:
        gateway = edge.gateway
        async with gateway.client(gateway.admin) as admin:
            await register(admin, "both")
        certificate = leaf(gateway, "both")
        async with gateway.client(certificate) as client:
            await client.mint_token("both")
        response = await edge.post(TOKEN, identity=certificate, data={**GRANT, "client_id": "both"})
        assert response.status_code == 429


async def test_a_bad_token_counts_as_nobody(tmp_path):
    """Guesses are limited by address where the caller is not limited by name."""
    async with limited(tmp_path, {"anonymous": True, "rate": HOUR, "burst": 1}) as edge:
        guess = {"headers": {"authorization": "Bearer wrong"}, "data": {"token": "x"}}
        assert (await edge.post(INTROSPECT, **guess)).status_code == 401
        assert (await edge.post(INTROSPECT, **guess)).status_code == 429


async def test_health_is_not_limited(tmp_path):
    """Orchestrators ask as often as they like."""
    async with limited(tmp_path, {"rate": HOUR, "burst": 1}) as edge:
        for path in ("/healthz", "/readyz") * 3:
            assert (await edge.get(path)).status_code == 200


async def test_addresses_behind_a_terminator(tmp_path):
    """What a trusted terminator says of the address counts, what anybody else says does not."""
    terminator = {"trusted": [PROXY], "address_header": "x-forwarded-for"}
    rule = {"anonymous": True, "rate": HOUR, "burst": 1}
    async with limited(tmp_path, rule, terminator=terminator) as edge:
        proxy = edge.gateway.root.leaf("proxy", uris=(PROXY,))

        async def asked(address, identity=None) -> int:
            headers = {"x-forwarded-for": address}
            return (await edge.get(JWKS, identity=identity, headers=headers)).status_code

        assert await asked("192.0.2.1", proxy) == 200
        assert await asked("203.0.113.7, 192.0.2.1", proxy) == 429
        assert await asked("192.0.2.1, 192.0.2.2", proxy) == 200
        assert await asked("192.0.2.3") == 200
        assert await asked("192.0.2.4") == 429


async def test_calls_of_one_caller(tmp_path):
    """Over HTTPS too a caller has a part of the calls under way."""
    async with limited(tmp_path, limits={"calls_per_caller": 1}) as edge:
        admission = edge.gateway.server._pipeline.admission
        admission.enter_caller("127.0.0.1")
        response = await edge.get(JWKS)
        assert response.status_code == 429
        assert edge.cause(response) == ("RATE_LIMITED", "too_many_calls_of_caller")
        admission.leave_caller("127.0.0.1")
        assert (await edge.get(JWKS)).status_code == 200


async def test_minting_is_refused_first(tmp_path):
    """While calls wait too long the token endpoint answers 503 with Retry-After; introspection and revocation
    go on.
    """
    async with limited(tmp_path) as edge:
        async with edge.gateway.client(edge.gateway.admin) as admin:
            secret = await register_post(admin, "first")
        form = {**GRANT, "client_id": "first", "client_secret": secret}
        shedder = edge.gateway.server._pipeline.admission.shedder
        shedder.look = lambda **_: None
        shedder.share = 0.1
        response = await edge.post(TOKEN, data=form)
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert edge.cause(response) == ("OVERLOADED", "waiting_too_long")
        assert (await edge.post(REVOKE, data=form | {"token": "x"})).status_code == 200
        asked = await edge.post(INTROSPECT, identity=edge.gateway.api, data={"token": "x"})
        assert (asked.status_code, asked.json()) == (200, {"active": False})


async def test_acme_tells_rate_limited(tmp_path):
    """An ACME client is told `rateLimited` with a time, and with a nonce to go on with (RFC 8555 §6.6)."""
    rule = {"methods": ["enroll"], "rate": HOUR, "burst": 3}
    async with acme_gateway(tmp_path, rate_limits=[rule]) as served, served.client("tls") as client:
        # A nonce, the account, and one more.
        assert (await client.register()).status_code == 201
        client.kid = None
        assert (await client.register()).status_code == 200
        client.kid = None
        response = await client.register()
        assert response.status_code == 429
        document = response.json()
        assert document["type"] == "urn:ietf:params:acme:error:rateLimited"
        assert document["subproblems"][0]["reason"] == "RATE_LIMITED"
        assert 3500 < int(response.headers["retry-after"]) <= 3600
        assert response.headers["replay-nonce"]
        # Whether a certificate is revoked is still told.
        assert (await client.http.get(f"{client.base}/crl")).status_code == 200


async def test_every_route_counts_as_a_method(tmp_path):
    """Each path of the edge has the limits and the priority of an RPC that does the same."""
    async with acme_gateway(tmp_path) as served:
        pipeline = served.gateway.server._edge._application
        listed = [*pipeline._routes.values(), *(each for _, each in pipeline._patterns)]
        assert {each.route.counts_as for each in listed} <= POLICIES.keys()
        revoking = [each for each in listed if each.route.path.endswith(("/oauth2/revoke", "/revoke-cert"))]
        assert len(revoking) >= 2
        assert {each.priority for each in revoking} == {Priority.CRITICAL}
        minting = [each for each in listed if class_of(each.route.counts_as) is MethodClass.MINT]
        assert {each.priority for each in minting} == {Priority.ORDINARY}


@pytest.mark.parametrize(
    ("rule", "complaint"),
    [
        ({"methods": ["mints"], "rate": 1.0}, "names no method"),
        ({"methods": ["health"], "rate": 1.0}, "names no method"),
        ({"rate": 0.0}, "greater than 0"),
        ({"burst": 1}, "burst is of a rate"),
        ({"rate": 1.0, "roles": ["nobody"]}, "roles"),
        ({"rate": 1.0, "caller": "x"}, "there is no such field"),
    ],
)
async def test_rules_that_mean_nothing(tmp_path, rule, complaint):
    """A rule that names nobody's methods, or says nothing, stops the start."""
    with pytest.raises(ConfigurationError, match=complaint):
        await prepare(tmp_path, rate_limits=[rule], callers=CALLERS)
