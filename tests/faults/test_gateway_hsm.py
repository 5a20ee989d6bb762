"""The HSM behind a whole gateway is killed, hung and brought back, while callers go on calling."""

import asyncio
import time

import pytest
from countersign import CountersignError, DeadlineExceededError, UnavailableError
from countersign.clients import CertificateName, GrantType, TlsClientAuth

from tests.support.gateway import RESOURCE, running_gateway

BACKEND = "spiffe://example.org/backend"


@pytest.fixture
async def gateway(tmp_path, network_hsm):
    """A gateway whose key is in that HSM; a signature is given up after one second."""
    async with running_gateway(
        tmp_path,
        key_uri=network_hsm.uri("tokens-es256"),
        pkcs11={"sign_timeout": 1.0, "sessions": 2},
        health={"interval": 0.2, "timeout": 1.0},
    ) as running:
        async with running.client(running.admin) as admin:
            await admin.create_client(
                "backend",
                authentication=TlsClientAuth(CertificateName.SAN_URI, BACKEND),
                grant_types=[GrantType.CLIENT_CREDENTIALS],
                audiences=[RESOURCE],
                default_audience=RESOURCE,
            )
        yield running


async def minted(client) -> str | CountersignError:
    try:
        return (await client.mint_token("backend", timeout=3.0)).value
    except CountersignError as error:
        return error


async def signing_again(client, *, within: float) -> None:
    deadline = time.monotonic() + within
    while isinstance(await minted(client), CountersignError):
        assert time.monotonic() < deadline, "signing is not back"
        await asyncio.sleep(0.02)


async def test_every_call_ends_while_the_hsm_is_killed_and_signing_returns_with_it(gateway, network_hsm):
    """Under load each call has a token that is active or UNAVAILABLE; signing is back 2 s after the HSM."""
    outcomes = []
    stop = asyncio.Event()

    async def call(client):
        while not stop.is_set():
            outcomes.append(await minted(client))

    async with (
        gateway.client(gateway.root.leaf("backend", uris=(BACKEND,))) as backend,
        gateway.client(gateway.api) as api,
    ):
        callers = [asyncio.create_task(call(backend)) for _ in range(8)]
        await asyncio.sleep(0.3)
        network_hsm.kill()
        await asyncio.sleep(0.5)
        network_hsm.start()
        await signing_again(backend, within=2.0)
        stop.set()
        await asyncio.gather(*callers)
        tokens = [each for each in outcomes if isinstance(each, str)]
        answers = await api.batch_introspect_tokens(tokens[-1000:])

    failures = [each for each in outcomes if isinstance(each, CountersignError)]
    assert tokens
    assert failures
    assert all(answer is not None for answer in answers)
    assert {True} == {isinstance(error, UnavailableError | DeadlineExceededError) for error in failures}


async def test_a_hung_hsm_blocks_nobody_who_needs_no_signature(gateway, network_hsm):
    """Introspection goes on, minting fails in time, health tells, and liveness stays."""
    async with (
        gateway.client(gateway.root.leaf("backend", uris=(BACKEND,))) as backend,
        gateway.client(gateway.api) as api,
    ):
        token = await minted(backend)
        network_hsm.stop()
        hanging = [asyncio.create_task(minted(backend)) for _ in range(8)]
        for _ in range(20):
            assert await api.introspect_token(token, timeout=1.0) is not None
        outcomes = await asyncio.gather(*hanging)
        monitor = gateway.server._health
        async with asyncio.timeout(5):
            while "stuck" not in monitor.states["signers"].detail:
                await monitor.wait_for_change()
        minting = monitor.serves("countersign.v1.TokenService")
        live, introspection = monitor.serves("live"), monitor.serves("countersign.v1.IntrospectionService")
        network_hsm.resume()
        await signing_again(backend, within=5.0)

    assert {True} == {isinstance(each, UnavailableError | DeadlineExceededError) for each in outcomes}
    assert (live, introspection) == (True, True)
    assert minting is False
