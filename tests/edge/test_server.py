"""The listeners' life: certificates exchanged, overload told, drained, health."""

import asyncio
import gc
import os
import ssl

import httpx
import pytest

from gateway.edge import tls as edge_tls
from gateway.edge.protocol import EdgeProtocol
from gateway.edge.server import EdgeServer
from gateway.edge.tls import RotatingContext
from gateway.keys.keyring import KeyringView
from gateway.ports import ListenError
from gateway.tls_reload import ListenerTls
from tests.support.edge import TOKEN, Edge, free_ports, leaf, register, register_certificates
from tests.support.gateway import RunningGateway, prepare, running_gateway
from tests.support.pki import Authority, self_signed

GRANT = {"grant_type": "client_credentials"}
JWKS = b"GET /oauth2/jwks HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
async def gateway(tmp_path):
    """A gateway of the test's own that looks at its files only when told to."""
    async with running_gateway(tmp_path, server={"tls_reload_interval": 3600}) as running:
        yield running


async def served(edge: Edge) -> bytes:
    """The certificate that a new connection is shown, DER."""
    async with edge.connection() as (_, writer):
        return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)


async def test_a_new_pair_is_served(gateway: RunningGateway):
    """New connections see the new certificate as soon as gRPC's do; open ones go on."""
    edge = Edge(gateway)
    before = await served(edge)
    async with edge.connection() as (reader, writer):
        fresh = gateway.root.server()
        fresh.write(gateway.prepared.folder, "server")
        await gateway.server._tls.look()
        assert await served(edge) == fresh.der != before
        writer.write(JWKS)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")


async def test_half_of_a_pair_is_not_used(gateway: RunningGateway):
    """A certificate without its key changes nothing."""
    edge = Edge(gateway)
    before = await served(edge)
    (gateway.prepared.folder / "server.pem").write_bytes(gateway.root.server().chain_pem)
    await gateway.server._tls.look()
    assert await served(edge) == before


async def test_new_client_roots(gateway: RunningGateway):
    """A root that is added is trusted, and one that is removed no longer is."""
    edge, other = Edge(gateway), Authority.root("Other")
    late = other.leaf("late")
    with pytest.raises(httpx.TransportError):
        await edge.get("/healthz", identity=late)
    (gateway.prepared.folder / "client-ca.pem").write_bytes(other.pem)
    await gateway.server._tls.look()
    assert (await edge.get("/healthz", identity=late)).status_code == 200
    assert gateway.log.records[-1].caller == "CN=late"
    with pytest.raises(httpx.TransportError):
        await edge.get("/healthz", identity=gateway.admin)


async def test_registered_certificates(gateway: RunningGateway):
    """A registered leaf passes the handshake, self-signed or issued by anybody; what it issued does not."""
    edge = Edge(gateway)
    foreign = Authority.root("Foreign")
    own, issued = self_signed("own"), foreign.leaf("issued")
    async with gateway.client(gateway.admin) as admin:
        await register_certificates(admin, "devices", [own, issued])
        await gateway.server._tls.look()
        for certificate in (own, issued):
            response = await edge.post(TOKEN, identity=certificate, data={**GRANT, "client_id": "devices"})
            assert response.status_code == 200
            assert gateway.log.records[-1].caller == ""
        with pytest.raises(httpx.TransportError):
            await edge.get("/healthz", identity=foreign.leaf("another"))
        await admin.delete_client("devices")
    await gateway.server._tls.look()
    with pytest.raises(httpx.TransportError):
        await edge.get("/healthz", identity=own)


async def test_a_client_certificate_is_required(gateway: RunningGateway):
    """The mutual-TLS port serves nobody without one; the other port never asks."""
    edge = Edge(gateway)
    async with httpx.AsyncClient(verify=edge.context(), trust_env=False) as client:
        with pytest.raises(httpx.TransportError):
            await client.get(f"https://localhost:{edge.mtls_port}/healthz")
        response = await client.get(f"https://localhost:{edge.port}/healthz")
        assert response.status_code == 200


async def test_sessions_are_not_resumed(gateway: RunningGateway):
    """A connection with a client certificate always proves it anew, intermediates included."""
    edge = Edge(gateway)
    context = edge.context(gateway.root.intermediate().leaf("chained"))
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    sessions = []
    for _ in range(2):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", edge.mtls_port, ssl=context, server_hostname="localhost"
        )
        writer.write(JWKS)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        sessions.append(writer.get_extra_info("ssl_object").session)
        writer.close()
    assert not any(session.has_ticket for session in sessions)
    assert gateway.log.records[-1].caller == "CN=chained"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_old_protocols(gateway: RunningGateway, version, recwarn):
    """Nothing below TLS 1.2."""
    context = Edge(gateway).context()
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = version
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await asyncio.open_connection(
            "127.0.0.1", gateway.server.ports.https, ssl=context, server_hostname="localhost"
        )


def test_without_memory_files(monkeypatch):
    """Where the system has no files in memory a private temporary one does."""
    monkeypatch.delattr(os, "memfd_create")
    root = Authority.root()
    server = root.server()
    material = ListenerTls(server.chain_pem, server.key_pem, root.pem)
    context = RotatingContext.of(material, mutual=False)
    assert context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True).server_side
    assert "PRIVATE" not in repr(material)
    assert (
        edge_tls.presented_chain(context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_side=True)) == ()
    )


async def test_an_address_that_is_taken(tmp_path, gateway: RunningGateway):
    """A start with an address in use fails and names it."""
    address = f"127.0.0.1:{gateway.server.ports.https}"
    with pytest.raises(ListenError, match=address):
        async with running_gateway(tmp_path / "second", server={"https_address": address}):
            pass


async def test_the_edge_can_be_off(tmp_path):
    """Empty addresses turn it off; the metadata then name no endpoints."""
    server = {"https_address": "", "https_mtls_address": ""}
    async with running_gateway(tmp_path, server=server) as gateway:
        assert (gateway.server.ports.https, gateway.server.ports.https_mtls) == (None, None)
        async with gateway.client() as client:
            metadata = await client.get_server_metadata()
        assert (metadata.token_endpoint, metadata.jwks_uri) == ("", "")


async def test_overload(tmp_path):
    """Calls over gRPC and over HTTPS share the room; who finds none is told when to come again."""
    async with running_gateway(tmp_path, server={"max_concurrent_calls": 1}) as gateway:
        edge = Edge(gateway)
        gateway.server._pipeline.admission.enter()
        response = await edge.get("/oauth2/jwks")
        assert (response.status_code, response.headers["retry-after"]) == (503, "1")
        assert response.json()["error"] == "temporarily_unavailable"
        assert (await edge.get("/healthz")).status_code == 200
        gateway.server._pipeline.admission.leave()
        assert (await edge.get("/oauth2/jwks")).status_code == 200


async def test_health(tmp_path):
    """Live and ready; ready is told truly once the gateway drains."""
    async with running_gateway(tmp_path) as gateway:
        edge = Edge(gateway)
        assert (await edge.get("/readyz")).status_code == 200
        gateway.server._health.drain()
        response = await edge.get("/readyz")
        assert (response.status_code, response.text) == (503, "not serving\n")
        assert (await edge.get("/healthz")).text == "serving\n"


def holding(gateway: RunningGateway, monkeypatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Make authorization at the edge wait: an event when it has begun, and one to let it go on."""
    started, finish = asyncio.Event(), asyncio.Event()
    callers = gateway.server._edge._application._callers
    resolve = callers.resolve

    async def wait(*arguments, **options):
        started.set()
        await finish.wait()
        return await resolve(*arguments, **options)

    monkeypatch.setattr(callers, "resolve", wait)
    return started, finish


async def test_drain_waits_for_requests_under_way(tmp_path, monkeypatch):
    """Draining closes idle connections and the listeners, and answers what is under way."""
    async with running_gateway(tmp_path) as gateway:
        edge = Edge(gateway)
        async with edge.connection() as (idle, _), edge.connection() as (busy, writer):
            started, finish = holding(gateway, monkeypatch)
            writer.write(JWKS)
            await started.wait()
            drain = asyncio.create_task(gateway.server.drain())
            async with asyncio.timeout(5):
                assert await idle.read() == b""
            with pytest.raises(ConnectionError):
                async with edge.connection():
                    pass
            assert not drain.done()
            finish.set()
            answer = await busy.read()
            assert answer.startswith(b"HTTP/1.1 200")
            assert b"connection: close" in answer
            await drain


async def test_drain_gives_up(tmp_path, monkeypatch):
    """What is still under way at the end of the drain timeout is told that another replica can help."""
    async with running_gateway(tmp_path, server={"drain_timeout": 0.1}) as gateway:
        edge = Edge(gateway)
        async with edge.connection() as (reader, writer):
            started, _ = holding(gateway, monkeypatch)
            writer.write(JWKS)
            await started.wait()
            await gateway.server.drain()
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in answer
        assert gateway.log.records[-1].reason == "SHUTTING_DOWN"


async def test_deadline(tmp_path, monkeypatch):
    """A request that takes longer than the default deadline is 504."""
    async with running_gateway(tmp_path, server={"default_deadline": 0.1}) as gateway:
        edge = Edge(gateway)
        holding(gateway, monkeypatch)
        response = await edge.get("/oauth2/jwks")
        assert response.status_code == 504
        assert gateway.log.records[-1].reason == "DEADLINE_EXCEEDED"


async def test_internal_errors_tell_nothing(gateway: RunningGateway, monkeypatch, caplog):
    """Whatever is raised becomes a server_error; the log has what happened."""
    edge = Edge(gateway)

    async def fail(*_arguments, **_options):
        raise RuntimeError("the password is 1234")

    monkeypatch.setattr(gateway.server._edge._application._callers, "resolve", fail)
    response = await edge.get("/oauth2/jwks")
    assert (response.status_code, response.json()["error"]) == (500, "server_error")
    assert "1234" not in response.text
    assert "the password is 1234" in caplog.text


async def test_both_doors(tmp_path):
    """One process serves all four ports, and a token is the same through each door."""
    prepared = await prepare(tmp_path)
    async with running_gateway(tmp_path, prepared=prepared) as gateway:
        ports = gateway.server.ports
        assert len({ports.tls, ports.mtls, ports.https, ports.https_mtls}) == 4
        async with gateway.client(gateway.admin) as admin:
            await register(admin, "both")
        certificate = leaf(gateway, "both")
        async with gateway.client(certificate) as client:
            over_grpc = await client.mint_token("both")
        response = await Edge(gateway).post(TOKEN, identity=certificate, data={**GRANT, "client_id": "both"})
        assert response.status_code == 200
        assert over_grpc.token_type == response.json()["token_type"]


async def test_workers_share_the_ports(gateway: RunningGateway):
    """Several workers bind the same addresses; a single one takes them alone."""
    (port,) = free_ports(1)
    shared = gateway.prepared.settings.server.model_copy(
        update={"workers": 2, "https_address": f"127.0.0.1:{port}", "https_mtls_address": ""}
    )
    original = gateway.server._edge
    application = original._application
    material = gateway.server._tls._for_listeners(gateway.server._tls._material)
    servers = [
        EdgeServer(settings=shared, application=application, callers=application._callers) for _ in range(2)
    ]
    for server in servers:
        assert await server.open(material) == (port, None)
    alone = EdgeServer(
        settings=shared.model_copy(update={"workers": 1}),
        application=application,
        callers=application._callers,
    )
    with pytest.raises(ListenError):
        await alone.open(material)
    await servers[0].drain(1)
    async with httpx.AsyncClient(verify=Edge(gateway).context(), trust_env=False) as client:
        for _ in range(5):
            assert (await client.get(f"https://localhost:{port}/healthz")).status_code == 200
    await servers[1].drain(1)


async def test_a_signer_that_is_gone(gateway: RunningGateway):
    """Where nothing can sign a client is told to come again, and health hears of it."""
    edge = Edge(gateway)
    async with gateway.client(gateway.admin) as admin:
        await register(admin, "unsigned")
    keyring = gateway.server._edge._application._routes["/oauth2/jwks"].route.endpoint._keyring
    keyring.replace(KeyringView())
    response = await edge.post(
        TOKEN, identity=leaf(gateway, "unsigned"), data={**GRANT, "client_id": "unsigned"}
    )
    assert (response.status_code, response.json()["error"]) == (503, "temporarily_unavailable")
    assert int(response.headers["retry-after"]) >= 1
    assert gateway.log.records[-1].reason == "NO_ACTIVE_KEY"


async def test_a_connection_leaves_nothing_to_the_collector(gateway: RunningGateway):
    """What a connection holds, TLS and its buffers above all, goes with it, whatever was asked on it."""
    edge = Edge(gateway)

    def connections() -> int:
        return sum(type(each) is EdgeProtocol for each in gc.get_objects())

    async def gone() -> None:
        while connections():  # noqa: ASYNC110 - nobody is told when memory is given back
            await asyncio.sleep(0.01)

    gc.collect()
    gc.disable()
    try:
        assert (await edge.get("/oauth2/jwks")).status_code == 200
        assert (await edge.post(TOKEN, data=GRANT)).status_code == 400
        assert (await edge.get("/nowhere")).status_code == 404
        async with edge.connection() as (_, writer):
            writer.write(b"POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nhalf")
            await writer.drain()
        _, raw = await asyncio.open_connection("127.0.0.1", edge.port)
        raw.write(b"no TLS at all\r\n\r\n")
        await raw.drain()
        raw.close()
        await asyncio.wait_for(gone(), 30)
    finally:
        gc.enable()
