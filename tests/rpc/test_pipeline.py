"""What happens around every call, as a real client sees it."""

import asyncio
import logging

import grpc
import pytest
from countersign.v1 import token_service_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.authorization import POLICIES
from gateway.errors import AvailabilityError, GatewayError, Reason, RequestError
from gateway.failures import RETRY_AFTER
from gateway.principal import ANONYMOUS, Role
from gateway.rpc.current import current_call
from gateway.rpc.pipeline import Pipeline
from gateway.rpc.status import STATUS
from gateway.settings.callers import CallerSettings
from gateway.telemetry.request_id import current_request_id
from signers import SignerUnavailableError
from tests.support.pki import Authority
from tests.support.rpc_server import JWKS, LIST_KEYS, MINT, details_of, reason_of, serving

ROOT = Authority.root()
ALICE = ROOT.leaf("alice", uris=("spiffe://example.org/alice",))
ADMIN = ROOT.leaf("admin", uris=("spiffe://example.org/admin",))
CALLERS = (
    CallerSettings(san_uri="spiffe://example.org/alice", roles=(Role.CLIENT,)),
    CallerSettings(san_uri="spiffe://example.org/admin", roles=(Role.ADMIN,)),
)


@pytest.fixture
async def running(tmp_path):
    """A server that knows alice, a client, and an admin."""
    async with serving(tmp_path, root=ROOT, callers=CALLERS, default_deadline=5.0) as server:
        yield server


async def refused(running, *arguments, **options):
    """The error of a call that must fail."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await running.call(*arguments, **options)
    return caught.value


def raising(error):
    async def method(request, context):
        raise error

    return method


async def test_a_wellformed_request_id_is_kept(running):
    """The client's request id is used inside, logged, and returned in the trailing metadata."""
    seen = []

    async def mint(request, context):
        seen.append((current_call().request_id, current_request_id.get()))
        return token_service_pb2.MintTokenResponse()

    running.methods.behaviors["MintToken"] = mint
    call = await running.call(metadata=[("x-request-id", "abc-1._Z")])
    assert dict(await call.trailing_metadata())["x-request-id"] == "abc-1._Z"
    assert seen == [("abc-1._Z", "abc-1._Z")]
    assert running.records[0].request_id == "abc-1._Z"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a/b", "a,b"])
async def test_a_malformed_request_id_is_replaced(running, given):
    """What is not 1 to 64 safe characters never reaches a log; the call gets an id of ours."""
    call = await running.call(metadata=[("x-request-id", given)])
    returned = dict(await call.trailing_metadata())["x-request-id"]
    assert len(returned) == 16
    assert int(returned, 16) >= 0


async def test_a_refusal_tells_the_request_id(running):
    """An error carries the request id in ErrorInfo and in the trailing metadata."""
    error = await refused(running, LIST_KEYS, metadata=[("x-request-id", "abc")])
    assert details_of(error)["ErrorInfo"].metadata["request_id"] == "abc"
    assert dict(error.trailing_metadata())["x-request-id"] == "abc"


@pytest.mark.parametrize("reason", list(Reason))
async def test_a_client_sees_each_reason(running, reason):
    """Every reason arrives with its code, its ErrorInfo and its RetryInfo."""
    running.methods.behaviors["MintToken"] = raising(GatewayError(reason, "why", field="a.b", cause="hidden"))
    error = await refused(running)
    details = details_of(error)
    assert error.code() is STATUS[reason]
    assert details["ErrorInfo"].reason == reason
    assert details["ErrorInfo"].domain == "countersign"
    assert details["BadRequest"].field_violations[0].field == "a.b"
    assert ("RetryInfo" in details) == (reason in RETRY_AFTER)
    assert "hidden" not in str(error)
    assert running.records[0].reason == reason
    assert running.records[0].cause == "hidden"


async def test_a_large_error_arrives_whole(running):
    """A status of the largest texts still fits what a client accepts in trailers."""
    running.methods.behaviors["MintToken"] = raising(
        RequestError(
            Reason.INVALID_FIELD,
            "ü" * 10_000,
            field="f" * 10_000,
            metadata={f"key{n}": "v" * 10_000 for n in range(20)},
        )
    )
    assert reason_of(await refused(running)) == "INVALID_FIELD"


async def test_a_defect_is_internal_and_logged(running, caplog):
    """An unexpected exception tells the client nothing, and the log its trace."""
    running.methods.behaviors["MintToken"] = raising(ValueError("the PIN is 1234"))
    with caplog.at_level(logging.ERROR, "gateway.rpc.stages"):
        error = await refused(running)
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "1234" not in str(error)
    assert caplog.records[0].exc_info[1].args == ("the PIN is 1234",)
    assert running.faults == [Reason.INTERNAL]


async def test_a_signer_that_fails_is_unavailable(running):
    """A signer's error reaches the client as SIGNER_UNAVAILABLE, its cause the log; health hears of it."""
    running.methods.behaviors["MintToken"] = raising(SignerUnavailableError("token 'prod' is gone"))
    error = await refused(running)
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.UNAVAILABLE, "SIGNER_UNAVAILABLE")
    assert "prod" not in str(error)
    assert running.records[0].cause == "SignerUnavailableError: token 'prod' is gone"
    assert running.faults == [Reason.SIGNER_UNAVAILABLE]


async def test_a_clients_fault_does_not_disturb_health(running):
    """What the client did wrong is no reason to look at the signers."""
    running.methods.behaviors["MintToken"] = raising(RequestError(Reason.INVALID_SCOPE, "no"))
    await refused(running)
    assert running.faults == []


async def test_a_record_for_each_call(running):
    """The access record names method, code, caller, peer, duration and deadline."""
    await running.call(MINT, ALICE, timeout=3)
    (record,) = running.records
    assert (record.method, record.code, record.reason, record.cause) == (MINT, "OK", "", "")
    assert record.caller == "spiffe://example.org/alice"
    assert record.peer.startswith("ipv4:127.0.0.1:")
    assert 0 < record.duration_ms < 3000
    assert 1000 < record.deadline_ms <= 3000


async def test_the_default_deadline_applies(tmp_path):
    """A client without a deadline gets DEADLINE_EXCEEDED after the default one."""
    async with serving(tmp_path, default_deadline=0.05) as running:
        running.methods.behaviors["MintToken"] = lambda request, context: asyncio.Event().wait()
        error = await refused(running, timeout=None)
        assert (error.code(), reason_of(error)) == (
            grpc.StatusCode.DEADLINE_EXCEEDED,
            "DEADLINE_EXCEEDED",
        )
        assert running.records[0].deadline_ms == pytest.approx(50)


async def test_the_maximum_deadline_applies(tmp_path):
    """A client that grants an hour gets what the server grants."""
    async with serving(tmp_path, max_deadline=0.05, default_deadline=0.01) as running:
        running.methods.behaviors["MintToken"] = lambda request, context: asyncio.Event().wait()
        error = await refused(running, timeout=3600)
        assert reason_of(error) == "DEADLINE_EXCEEDED"


async def test_the_clients_own_deadline_applies(running):
    """The client's deadline cancels the work and is logged as such."""
    ended = asyncio.Event()

    async def mint(request, context):
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    running.methods.behaviors["MintToken"] = mint
    error = await refused(running, timeout=0.1)
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert (await running.records.first()).code == "DEADLINE_EXCEEDED"
    assert ended.is_set()


async def test_a_client_that_leaves_is_logged_as_cancelled(running, caplog):
    """A cancellation by the client ends the work and is no internal error."""
    started = asyncio.Event()

    async def mint(request, context):
        started.set()
        await asyncio.Event().wait()

    running.methods.behaviors["MintToken"] = mint
    async with running.channel() as channel:
        call = channel.unary_unary(MINT)(b"", timeout=10)
        await started.wait()
        call.cancel()
        record = await running.records.first()
    assert (record.code, record.reason) == ("CANCELLED", "")
    assert running.pipeline.admission.calls == 0
    assert not [each for each in caplog.records if each.levelno >= logging.ERROR]


async def test_a_call_that_never_sends_its_message_ends(tmp_path):
    """The deadline runs before the message is there, so that nobody holds a call open for nothing."""
    async with serving(tmp_path, default_deadline=0.05) as running, running.channel() as channel:
        call = channel.stream_unary(MINT)()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert reason_of(caught.value) == "DEADLINE_EXCEEDED"


async def test_a_call_without_a_message_is_refused(running):
    """A request stream that ends before its message is INVALID_REQUEST."""
    async with running.channel() as channel:
        call = channel.stream_unary(MINT)(timeout=5)
        await call.done_writing()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
    assert reason_of(caught.value) == "INVALID_REQUEST"


async def test_a_malformed_message_is_refused(running):
    """Bytes that are no protobuf are INVALID_REQUEST."""
    error = await refused(running, request=b"\xff\xff\xff")
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_REQUEST")


async def test_permission_comes_before_the_message(running):
    """Whoever may not call a method does not learn whether the message is well-formed."""
    assert reason_of(await refused(running, LIST_KEYS, request=b"\xff\xff")) == "CALLER_UNAUTHENTICATED"
    error = await refused(running, LIST_KEYS, ALICE, request=b"\xff\xff")
    assert (error.code(), reason_of(error)) == (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    await running.call(LIST_KEYS, ADMIN)


async def test_too_many_calls_are_refused_at_once(tmp_path):
    """Beyond the limit a call is OVERLOADED with RetryInfo; when one ends there is room again."""
    async with serving(tmp_path, max_concurrent_calls=1) as running, running.channel() as channel:
        started, finish = asyncio.Event(), asyncio.Event()

        async def mint(request, context):
            started.set()
            await finish.wait()
            return token_service_pb2.MintTokenResponse()

        running.methods.behaviors["MintToken"] = mint
        first = channel.unary_unary(MINT)(b"", timeout=10)
        await started.wait()
        error = await refused(running, JWKS)
        assert (error.code(), reason_of(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert "RetryInfo" in details_of(error)
        # Health answers when things go badly.
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        finish.set()
        await first
        await running.call(JWKS)


async def test_streams_have_a_bound_of_their_own(tmp_path):
    """Open streams leave the room of calls alone, and are bounded themselves."""
    async with serving(tmp_path, max_concurrent_calls=1) as running, running.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest())
        await watch.read()
        await running.call()
        second = stub.Watch(health_pb2.HealthCheckRequest())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await second.read()
        assert reason_of(caught.value) == "OVERLOADED"


async def test_an_unknown_method_is_unimplemented(running):
    """A method that nobody registered is UNIMPLEMENTED, and the table of methods does not grow."""
    before = running.pipeline.methods
    error = await refused(running, "/countersign.v1.TokenService/NoSuchMethod")
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert running.pipeline.methods == before


async def test_a_servicer_that_aborts_by_itself_is_heard(running):
    """A status that a servicer sets itself, as the protocol of health does, is passed on and logged."""
    async with running.channel() as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(health_pb2.HealthCheckRequest(service="no.such.Service"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
    assert (await running.records.first()).code == "NOT_FOUND"


async def test_a_stream_is_authorized_too(running, monkeypatch):
    """A stream whose method the caller may not call is refused before it begins."""
    monkeypatch.setattr(
        running.pipeline,
        "authorize",
        lambda method, principal: (_ for _ in ()).throw(RequestError(Reason.PERMISSION_DENIED, "no")),
    )
    async with running.channel() as channel:
        watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await watch.read()
    assert reason_of(caught.value) == "PERMISSION_DENIED"


async def test_the_call_is_known_inside_only(running):
    """`current_call` gives the principal within a call, and raises outside one."""
    seen = []

    async def mint(request, context):
        seen.append(current_call())
        return token_service_pb2.MintTokenResponse()

    running.methods.behaviors["MintToken"] = mint
    await running.call()
    await running.call(client=ALICE)
    assert seen[0].principal is ANONYMOUS
    assert seen[0].certificate is None
    assert seen[1].principal.name == "spiffe://example.org/alice"
    assert seen[1].certificate.der == ALICE.der
    with pytest.raises(LookupError):
        current_call()


async def test_an_error_that_cannot_be_retried_says_so(running):
    """A refusal for the request's own fault has no RetryInfo; one for want of a part has."""
    running.methods.behaviors["MintToken"] = raising(AvailabilityError(Reason.STORE_UNAVAILABLE, "no"))
    assert "RetryInfo" in details_of(await refused(running))
    running.methods.behaviors["MintToken"] = raising(RequestError(Reason.INVALID_TARGET, "no"))
    assert "RetryInfo" not in details_of(await refused(running))


async def test_every_method_has_a_policy(running):
    """No method is served that the authorization table does not list."""
    assert running.pipeline.methods <= POLICIES.keys()


def test_a_blocking_servicer_is_refused(running):
    """A servicer's method that is not a coroutine would take a thread for each call: it is a defect."""
    handler = grpc.unary_unary_rpc_method_handler(lambda request, context: b"")
    with pytest.raises(TypeError, match="coroutine"):
        Pipeline.add_registered_method_handlers(running.pipeline, "a.B", {"C": handler})
