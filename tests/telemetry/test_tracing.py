"""Traces: what a collector is sent by a gateway that serves."""

import asyncio
import secrets
from functools import partial

import grpc
import pytest
import pytest_asyncio
from countersign import ClientSecretPostAuth, PrivateKeyJwtAuth
from countersign.v1 import (
    introspection_service_pb2,
    introspection_service_pb2_grpc,
    token_service_pb2,
    token_service_pb2_grpc,
)
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from gateway import application
from gateway.fetching import DangerousLoopbackDoor, GuardedClient
from gateway.telemetry import span_queue
from gateway.telemetry.spans import ATTRIBUTES
from tests.support.assertions import claims, jwks_of, signed
from tests.support.edge import TOKEN, Edge, leaf, register
from tests.support.gateway import ADMIN, SteppedClock, running_gateway
from tests.support.otlp import grpc_collector
from tests.support.pki import Authority, new_key
from tests.support.scripted_server import ScriptedServer, reply, server_context

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOST = "keys.example.test"
MINT = "countersign.v1.TokenService/MintToken"
INTROSPECT = "countersign.v1.IntrospectionService/IntrospectToken"
SERVER, CLIENT = 2, 3


@pytest.fixture(scope="module")
def collector():
    """A collector, which is told of spans without delay."""
    with grpc_collector() as (running, port), pytest.MonkeyPatch.context() as patch:
        patch.setattr(span_queue, "INTERVAL", 0.02)
        running.port = port
        yield running


@pytest.fixture(scope="module")
def authority():
    """Who certifies the server that publishes a client's keys."""
    return Authority.root("Publishing Root")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def gateway(collector, authority, tmp_path_factory):
    """A gateway with a key in SoftHSM that traces everything, whatever its callers say."""
    door = DangerousLoopbackDoor(names=frozenset({HOST}), ca_pem=authority.pem.decode())
    tracing = {"enabled": True, "endpoint": f"http://127.0.0.1:{collector.port}", "ratio": 1.0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(application, "GuardedClient", partial(GuardedClient, door=door))
        folder = tmp_path_factory.mktemp("traced")
        async with running_gateway(folder, key_uri="softhsm", tracing=tracing) as running:
            async with running.client(running.admin) as admin:
                await register(admin, "backend")
                running.__dict__["secret"] = await register(admin, "by-post", ClientSecretPostAuth())
            yield running


def traceparent(flags="00"):
    """A trace of a caller's own: its id, and the field."""
    trace_id = secrets.token_hex(16)
    return trace_id, f"00-{trace_id}-{secrets.token_hex(8)}-{flags}"


async def arrived(collector, trace_id, *names):
    """The spans of a trace, once those of *names* have come."""
    return await asyncio.to_thread(collector.wait, trace_id, *names)


def one(spans, name):
    """The only span of that name."""
    (found,) = [each for each in spans if each.name == name]
    return found


async def minted(gateway, field=None):
    """What MintToken answers."""
    async with gateway.channel(leaf(gateway, "backend")) as channel:
        return await token_service_pb2_grpc.TokenServiceStub(channel).MintToken(
            token_service_pb2.MintTokenRequest(
                client_id="backend",
                client_credentials=token_service_pb2.ClientCredentialsGrant(),
                scope=["read"],
            ),
            metadata=() if field is None else (("traceparent", field),),
        )


async def test_one_trace_from_the_client_to_the_token(gateway, collector):
    """The caller's span, the call, its statement and its signature with all stages are one tree."""
    provider = TracerProvider(shutdown_on_exit=False)
    exporter = OTLPSpanExporter(endpoint=f"http://127.0.0.1:{collector.port}", insecure=True)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    carrier = {}
    with provider.get_tracer("backend").start_as_current_span("order") as order:
        TraceContextTextMapPropagator().inject(carrier)
        trace_id = format(order.get_span_context().trace_id, "032x")
        await minted(gateway, carrier["traceparent"])
    await asyncio.to_thread(provider.shutdown)

    spans = await arrived(collector, trace_id, "order", MINT)
    tree = {each.name: each for each in spans}
    called, signature = tree[MINT], tree["sign"]
    assert called.parent == tree["order"].span_id
    assert tree["order"].parent == ""
    assert tree["clients.find"].parent == called.span_id
    assert signature.parent == called.span_id
    assert {each.name for each in spans if each.parent == signature.span_id} == {
        "sign.queue", "sign.sign", "sign.verify",
    }  # fmt: skip
    assert (called.kind, tree["clients.find"].kind) == (SERVER, CLIENT)
    assert called.attributes["rpc.grpc.status_code"] == 0
    assert called.attributes["rpc.method"] == "MintToken"
    assert tree["clients.find"].attributes["db.system.name"] == "sqlite"
    assert signature.attributes["countersign.backend"] == "pkcs11"
    assert signature.attributes["countersign.key_id"]
    assert signature.attributes["countersign.signatures"] == 1
    parts = sum(tree[f"sign.{stage}"].seconds for stage in ("queue", "sign", "verify"))
    assert 0 < parts <= signature.seconds <= called.seconds


async def test_a_trace_begins_here_where_the_caller_has_none(gateway, collector):
    """Without a field the span of the call is a root; its id is in the access record."""
    await minted(gateway)
    record = gateway.log.records[-1]
    spans = await arrived(collector, record.trace_id, MINT)
    assert one(spans, MINT).parent == ""
    assert one(spans, MINT).attributes["countersign.request_id"] == record.request_id


async def test_statements_of_a_transaction(gateway, collector):
    """A revocation is a unit of work, whose statements are parts of it."""
    token = (await minted(gateway)).token.value
    trace_id, field = traceparent()
    async with gateway.channel(leaf(gateway, "backend")) as channel:
        await token_service_pb2_grpc.TokenServiceStub(channel).RevokeToken(
            token_service_pb2.RevokeTokenRequest(client_id="backend", token=token),
            metadata=(("traceparent", field),),
        )
    spans = await arrived(collector, trace_id, "countersign.v1.TokenService/RevokeToken")
    unit = one(spans, "transaction")
    inside = [each for each in spans if each.parent == unit.span_id]
    assert {each.name.partition(".")[0] for each in inside} >= {"revocations", "counters"}
    assert all(each.seconds <= unit.seconds for each in inside)


async def test_a_refused_call(gateway, collector):
    """Its reason is there; what a caller did wrong is no failure of ours."""
    trace_id, field = traceparent()
    async with gateway.channel() as channel:
        with pytest.raises(grpc.aio.AioRpcError):
            await introspection_service_pb2_grpc.IntrospectionServiceStub(channel).IntrospectToken(
                introspection_service_pb2.IntrospectTokenRequest(token="some-token-of-mine"),
                metadata=(("traceparent", field),),
            )
    span = one(await arrived(collector, trace_id, INTROSPECT), INTROSPECT)
    assert span.attributes["countersign.reason"] == "CALLER_UNAUTHENTICATED"
    assert span.attributes["rpc.grpc.status_code"] == grpc.StatusCode.UNAUTHENTICATED.value[0]
    assert not span.failed


async def test_two_fields_are_none(gateway):
    """Of two traces none can be chosen: the request begins its own. gRPC's core gives on the first alone."""
    (one_id, first), (other_id, second) = traceparent(), traceparent()
    await Edge(gateway).get("/healthz", headers=[("traceparent", first), ("traceparent", second)])
    assert gateway.log.records[-1].trace_id not in {"", one_id, other_id}


async def test_an_https_request(gateway, collector):
    """Named by its route, under the span of the field that came as a header."""
    trace_id, field = traceparent()
    form = {"grant_type": "client_credentials", "client_id": "by-post", "client_secret": gateway.secret}
    response = await Edge(gateway).post(TOKEN, data=form, headers={"traceparent": field})
    assert response.status_code == 200
    spans = await arrived(collector, trace_id, f"POST {TOKEN}")
    served = one(spans, f"POST {TOKEN}")
    assert served.parent == field.split("-")[2]
    assert served.attributes["http.route"] == TOKEN
    assert served.attributes["http.response.status_code"] == 200
    assert one(spans, "sign").parent == served.span_id


async def test_a_path_that_nobody_serves(gateway, collector):
    """What a client tries stands in no span."""
    trace_id, field = traceparent()
    await Edge(gateway).get("/wp-admin/swordfish", headers={"traceparent": field})
    span = one(await arrived(collector, trace_id, "HTTPS request"), "HTTPS request")
    assert "http.route" not in span.attributes
    assert "swordfish" not in str(collector.requests)


async def test_a_request_to_somebody_else(gateway, collector, authority):
    """Keys that a client publishes: the host is told, the path is not, and no trace is told to them."""
    key = new_key()
    async with ScriptedServer(tls=server_context(authority.server(HOST))) as publisher:
        publisher.routes["/swordfish-keys"] = reply(body=jwks_of(key, kids=("own",)))
        uri = f"https://{HOST}:{publisher.port}/swordfish-keys"
        async with gateway.client(gateway.admin) as admin:
            await register(admin, "publishing", PrivateKeyJwtAuth(jwks_uri=uri))
        trace_id, field = traceparent()
        assertion = signed(key, claims(SteppedClock()(), "publishing"), kid="own")
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": assertion,
        }
        response = await Edge(gateway).post(TOKEN, data=form, headers={"traceparent": field})
        assert response.status_code == 200, response.text
        asked = str(publisher.requests)
    fetch = one(await arrived(collector, trace_id, f"POST {TOKEN}", "fetch"), "fetch")
    assert fetch.attributes == {"http.request.method": "GET", "server.address": HOST}
    assert fetch.kind == CLIENT
    assert "traceparent" not in asked
    assert "swordfish" not in str(collector.requests)


async def test_streams_have_a_span(gateway, collector):
    """From its beginning to its end."""
    trace_id, field = traceparent()
    async with gateway.channel(gateway.api) as channel:
        stub = introspection_service_pb2_grpc.IntrospectionServiceStub(channel)
        call = stub.WatchRevocations(
            introspection_service_pb2.WatchRevocationsRequest(), metadata=(("traceparent", field),)
        )
        await call.read()
        call.cancel()
    name = "countersign.v1.IntrospectionService/WatchRevocations"
    span = one(await arrived(collector, trace_id, name), name)
    assert span.attributes["rpc.grpc.status_code"] == grpc.StatusCode.CANCELLED.value[0]


async def test_who_sends_them(gateway, collector):
    """The service, its version and the process; nothing of the machine or its environment."""
    await minted(gateway)
    await arrived(collector, gateway.log.records[-1].trace_id, MINT)
    (ours,) = {tuple(sorted(each)) for each in collector.resources if each["service.name"] == "countersign"}
    assert ours == ("service.instance.id", "service.name", "service.version")


async def test_nothing_but_what_is_listed_leaves(gateway, collector):
    """Every attribute has a listed name, and no secret, token or caller is in what was sent so far."""
    response = await minted(gateway)
    await arrived(collector, gateway.log.records[-1].trace_id, MINT)
    spans = [each for each in collector.spans() if each.name != "order"]
    assert {name for each in spans for name in each.attributes} <= ATTRIBUTES
    assert not any(each.extra for each in spans)
    sent = b"".join(collector.requests)
    hidden = [response.token.value, gateway.secret, ADMIN, "backend.example.org", "some-token-of-mine"]
    for text in [*hidden, *response.token.value.split(".")]:
        assert text.encode() not in sent
