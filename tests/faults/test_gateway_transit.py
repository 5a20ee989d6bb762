"""Transit behind a whole gateway goes wrong, while callers go on calling."""

import asyncio
import time
from datetime import timedelta

import grpc
import pytest
from countersign import CountersignError, DeadlineExceededError, UnavailableError
from countersign.clients import CertificateName, GrantType, TlsClientAuth

from tests.support.gateway import RESOURCE, running_gateway

BACKEND = "spiffe://example.org/backend"
KEY = "ecdsa-p256"


async def backend_of(gateway):
    """Register the caller that mints, and return its certificate."""
    async with gateway.client(gateway.admin) as admin:
        await admin.create_client(
            "backend",
            authentication=TlsClientAuth(CertificateName.SAN_URI, BACKEND),
            grant_types=[GrantType.CLIENT_CREDENTIALS],
            audiences=[RESOURCE],
            default_audience=RESOURCE,
        )
    return gateway.root.leaf("backend", uris=(BACKEND,))


async def minted(client):
    try:
        return (await client.mint_token("backend", timeout=3.0)).value
    except CountersignError as error:
        return error


async def signing_again(client, *, within):
    deadline = time.monotonic() + within
    while isinstance(await minted(client), CountersignError):
        assert time.monotonic() < deadline, "signing is not back"
        await asyncio.sleep(0.02)


async def test_every_call_ends_while_the_server_is_sealed_and_killed(tmp_path, own_openbao):
    """Under load each call has a token that is active, or UNAVAILABLE; signing returns with the server."""
    outcomes = []
    stop = asyncio.Event()

    async def call(client):
        while not stop.is_set():
            outcomes.append(await minted(client))

    uri = own_openbao.uri(KEY, **own_openbao.app_role())
    async with running_gateway(tmp_path, key_uri=uri) as gateway:
        identity = await backend_of(gateway)
        async with gateway.client(identity) as backend, gateway.client(gateway.api) as api:
            callers = [asyncio.create_task(call(backend)) for _ in range(8)]
            await asyncio.sleep(0.3)
            await asyncio.to_thread(own_openbao.seal)
            await asyncio.sleep(0.5)
            await asyncio.to_thread(own_openbao.unseal)
            await signing_again(backend, within=1.0)
            own_openbao.kill()
            await asyncio.sleep(0.3)
            await asyncio.to_thread(own_openbao.start)
            await asyncio.to_thread(own_openbao.unseal)
            await signing_again(backend, within=1.0)
            stop.set()
            await asyncio.gather(*callers)
            tokens = [each for each in outcomes if isinstance(each, str)]
            answers = await api.batch_introspect_tokens(tokens[-1000:])
    failures = [each for each in outcomes if isinstance(each, CountersignError)]
    assert tokens
    assert failures
    assert all(answer is not None for answer in answers)
    assert all(isinstance(error, UnavailableError | DeadlineExceededError) for error in failures)
    assert all(error.retry_after for error in failures if isinstance(error, UnavailableError))


async def test_a_used_up_budget_is_resource_exhausted(tmp_path, openbao):
    """Beyond the budget callers get RESOURCE_EXHAUSTED at once, with RetryInfo; the others get tokens."""
    uri = openbao.uri(KEY, **openbao.app_role("gateway-budget"))
    budget = {"budget": 10.0, "burst": 5, "batch": 1, "budget_wait": 0.1}
    async with running_gateway(tmp_path, key_uri=uri, vault=budget) as gateway:
        identity = await backend_of(gateway)
        async with gateway.client(identity) as backend:
            outcomes = await asyncio.gather(*(minted(backend) for _ in range(40)))
    refused = [each for each in outcomes if isinstance(each, CountersignError)]
    # Of the burst of 5 the gateway's own probe may have taken some.
    assert 1 <= len(outcomes) - len(refused) <= 20
    for error in refused:
        assert (error.reason, error.code) == ("SIGNER_BUSY", grpc.StatusCode.RESOURCE_EXHAUSTED)
        assert timedelta(seconds=0.1) < error.retry_after < timedelta(seconds=5)


async def test_absent_at_start(tmp_path, own_openbao):
    """A gateway starts without its server, says that it cannot sign, and signs when the server is there."""
    uri = own_openbao.uri(KEY, **own_openbao.app_role())
    own_openbao.kill()
    async with running_gateway(tmp_path, key_uri=uri) as gateway:
        identity = await backend_of(gateway)
        async with gateway.client(identity) as backend:
            assert isinstance(await minted(backend), UnavailableError)
            await asyncio.to_thread(own_openbao.start)
            await asyncio.to_thread(own_openbao.unseal)
            await signing_again(backend, within=5.0)


@pytest.mark.parametrize("pinned", [False, True], ids=["latest", "pinned"])
async def test_a_gateway_keeps_its_key_through_a_rotation_at_the_server(tmp_path, openbao, pinned):
    """A key that was rotated at the server is found again after a restart, by the hash on record."""
    name = f"restart-{pinned}"
    openbao.create_key(name)
    version = ";version=1" if pinned else ""
    uri = openbao.uri(f"{name}{version}", **openbao.app_role(f"restart-{pinned}"))
    async with running_gateway(tmp_path, key_uri=uri) as gateway:
        identity = await backend_of(gateway)
        async with gateway.client(identity) as backend:
            token = await minted(backend)
    openbao.rotate(name)
    async with (
        running_gateway(tmp_path, prepared=gateway.prepared) as again,
        again.client(again.api) as api,
        again.client(identity) as backend,
    ):
        assert await api.introspect_token(token) is not None
        assert isinstance(await minted(backend), str)
