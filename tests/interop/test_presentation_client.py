"""The Python client's presentations against a real gateway and a real wallet, asyncio and threads."""

import asyncio
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from countersign import (
    ConflictError,
    CredentialState,
    GatewayClient,
    InvalidRequestError,
    NotFoundError,
    PresentationRequestState,
    RetryPolicy,
    SyncGatewayClient,
    TlsConfig,
    VerifiedEmployeeQuery,
)

from signers import Algorithm
from tests.support.presenting import NAME, presenting


class Breakable:
    """A way to the gateway that can break off; TLS goes through it as it is."""

    def __init__(self, port):
        self._target = port
        self._writers = set()
        self.connections = 0

    async def __aenter__(self):
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"localhost:{self._server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *_):
        self._server.close()
        self.break_off()

    def break_off(self):
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader, writer):
        self.connections += 1
        ours, theirs = await asyncio.open_connection("127.0.0.1", self._target)
        self._writers |= {writer, theirs}
        await asyncio.gather(self._copy(reader, theirs), self._copy(ours, writer))

    async def _copy(self, source, sink):
        with suppress(ConnectionError):
            while octets := await source.read(65_536):
                sink.write(octets)
                await sink.drain()
        sink.transport.abort()


@pytest.fixture
async def stage(tmp_path):
    """A gateway with a verifier, and whom a wallet needs."""
    async with presenting(tmp_path) as running:
        yield running


@pytest.fixture
def wallet(stage):
    """A function that makes a wallet with one credential; it is given the HTTP client."""
    issuer, holder = stage.issuer(), stage.identity("holder", "jwk", Algorithm.ES256)
    credential = issuer.issue(holder.did, status=True)
    stage.publish(issuer)
    return lambda http: stage.wallet(holder, [credential], http)


async def test_a_watch_outlives_its_connection(stage, wallet):
    """It goes on where the connection broke, and what was seen before is not seen again."""
    way = Breakable(stage.gateway.server.ports.mtls)
    tls = TlsConfig(
        ca=stage.gateway.root.pem, certificate=stage.caller.chain_pem, private_key=stage.caller.key_pem
    )
    seen = []
    async with (
        way as target,
        GatewayClient(target, tls=tls, retry=RetryPolicy(max_attempts=20)) as client,
        stage.http() as http,
    ):
        created = await client.create_presentation_request(NAME, VerifiedEmployeeQuery())
        async for now in client.watch_presentation_request(created.request.name):
            seen.append(now.state)
            if now.state is PresentationRequestState.CREATED:
                way.break_off()
                await wallet(http).present(now.authorization_request_uri)
    assert way.connections >= 2
    assert seen[0] is PresentationRequestState.CREATED
    assert seen[-1] is PresentationRequestState.VERIFIED
    assert len(seen) == len(set(seen))


async def test_an_answer_that_the_caller_carries(stage, wallet):
    """It is taken once, verified with the same result without a request, and judged as of another time."""
    async with stage.gateway.client(stage.caller) as client, stage.http() as http:
        created = await client.create_presentation_request(
            NAME, VerifiedEmployeeQuery(("mail",)), qr_code=True
        )
        holder = wallet(http)
        asked = await holder.read(created.request.authorization_request_uri)
        form = holder.answer(asked)
        tokens = {"id_token": form["id_token"], "vp_token": form["vp_token"]}

        taken = await client.submit_presentation(form["state"], **tokens)
        with pytest.raises(ConflictError) as closed:
            await client.submit_presentation(form["state"], **tokens)
        definition = dict(asked.definition)
        again = await client.verify_presentation(NAME, definition, nonce=asked.nonce, **tokens)
        later = datetime.now(UTC) + timedelta(days=400)
        late = await client.verify_presentation(
            NAME, json.dumps(definition), nonce=asked.nonce, at_time=later, **tokens
        )
        other = await client.verify_presentation(NAME, definition, nonce="x" * 22, **tokens)

    assert created.qr_svg.lstrip().startswith(b"<")
    assert created.qr_png.startswith(b"\x89PNG")
    assert taken.state is PresentationRequestState.VERIFIED
    report = taken.verification
    assert (report.accepted, report.objections, report.holder) == (True, (), holder.holder.did)
    (credential,) = report.credentials
    assert credential.credential["credentialSubject"]["displayName"] == "Alice Smith"
    assert credential.state is CredentialState.ACTIVE
    assert closed.value.reason == "PRESENTATION_REQUEST_CLOSED"
    assert (again.accepted, again.at_time) == (True, False)
    assert (late.accepted, late.at_time) == (False, True)
    assert {"id_token_validity", "presentation_validity"} <= {check.code for check in late.objections}
    assert {check.code for check in other.objections} == {"id_token_nonce", "presentation_nonce"}


async def test_the_blocking_client(stage, wallet):
    """Threads see the same states and the same report."""
    tls = TlsConfig(
        ca=stage.gateway.root.pem, certificate=stage.caller.chain_pem, private_key=stage.caller.key_pem
    )

    def states(client, name):
        return [each.state.value for each in client.watch_presentation_request(name)]

    with SyncGatewayClient(f"localhost:{stage.gateway.server.ports.mtls}", tls=tls) as client:
        created = await asyncio.to_thread(client.create_presentation_request, NAME, VerifiedEmployeeQuery())
        watching = asyncio.create_task(asyncio.to_thread(states, client, created.request.name))
        async with stage.http() as http:
            await wallet(http).present(created.request.authorization_request_uri)
        seen = await asyncio.wait_for(watching, 20)
        found = await asyncio.to_thread(client.get_presentation_request, created.request.name)
        assert seen[-1] == "verified"
        assert found.verification.accepted


async def test_what_is_refused(stage):
    """Each refusal has its class and its reason."""
    async with stage.gateway.client(stage.caller) as client:
        with pytest.raises(NotFoundError) as verifier:
            await client.create_presentation_request("nobody", VerifiedEmployeeQuery())
        with pytest.raises(InvalidRequestError) as definition:
            await client.create_presentation_request(NAME, {"id": "d"})
        with pytest.raises(NotFoundError) as request:
            await client.get_presentation_request("presentationRequests/none")
        with pytest.raises(NotFoundError):
            await anext(client.watch_presentation_request("presentationRequests/none"))
        with pytest.raises(InvalidRequestError) as answer:
            await client.submit_presentation("s" * 22)
    assert verifier.value.reason == "VERIFIER_NOT_FOUND"
    assert definition.value.reason == "INVALID_PRESENTATION_DEFINITION"
    assert request.value.reason == "PRESENTATION_REQUEST_NOT_FOUND"
    assert answer.value.reason == "INVALID_PRESENTATION_RESPONSE"
