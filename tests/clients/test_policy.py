"""What both clients do around a call: errors, repetition, deadlines, request ids."""

import asyncio
import socket

import grpc
import pytest
from countersign import (
    AssertionKey,
    ClientNotOpenError,
    ClientSecret,
    ClientSecretBasicAuth,
    ConflictError,
    CountersignError,
    DeadlineExceededError,
    FieldViolation,
    GatewayClient,
    InvalidRequestError,
    KeyPurpose,
    RetryPolicy,
    SignatureAlgorithm,
    SyncGatewayClient,
    TlsConfig,
    UnavailableError,
)
from countersign.v1 import client_service_pb2, key_service_pb2, token_service_pb2
from google.protobuf.duration_pb2 import Duration
from google.rpc import error_details_pb2

from tests.clients.gateway_double import failure, status
from tests.support.pki import Authority, new_key

CODE = grpc.StatusCode
UNAVAILABLE = failure(CODE.UNAVAILABLE, "SIGNER_UNAVAILABLE")
MINTED = token_service_pb2.MintTokenResponse()


def busy(seconds: float) -> object:
    delay = Duration()
    delay.FromNanoseconds(int(seconds * 1e9))
    return failure(CODE.RESOURCE_EXHAUSTED, "SIGNER_BUSY", error_details_pb2.RetryInfo(retry_delay=delay))


async def for_ever(_request, _context):
    await asyncio.Event().wait()


class TestErrors:
    """A failed call."""

    async def test_error_carries_the_details(self, client, double):
        """Reason, message, fields, metadata, code and request id reach the caller typed."""
        violation = error_details_pb2.BadRequest.FieldViolation(field="scope", description="Not granted.")
        double.will(
            "MintToken",
            failure(
                CODE.INVALID_ARGUMENT,
                "INVALID_SCOPE",
                error_details_pb2.BadRequest(field_violations=[violation]),
                message="Scope admin is not granted.",
                scope="admin",
            ),
        )
        with pytest.raises(InvalidRequestError) as caught:
            await client.mint_token("billing", scope=["admin"])
        error = caught.value
        assert error.reason == "INVALID_SCOPE"
        assert error.message == "Scope admin is not granted."
        assert error.field_violations == (FieldViolation("scope", "Not granted."),)
        assert error.metadata == {"scope": "admin"}
        assert error.retry_after is None
        assert error.code is CODE.INVALID_ARGUMENT
        assert error.request_id == double.calls[0].metadata["x-request-id"]
        assert str(error) == (
            f"INVALID_SCOPE: Scope admin is not granted.; scope: Not granted.; request id {error.request_id}"
        )

    @pytest.mark.parametrize("where", ["send_initial_metadata", "set_trailing_metadata"])
    async def test_request_id_of_the_gateway(self, client, double, where):
        """An id that the gateway sends back, before or after, is the one that its log has."""

        async def refuse(_request, context):
            sent = getattr(context, where)((("x-request-id", "from-gateway"),))
            if sent is not None:
                await sent
            await context.abort(CODE.INTERNAL, "Broken.")

        double.will("MintToken", refuse)
        with pytest.raises(CountersignError) as caught:
            await client.mint_token("billing")
        assert caught.value.request_id == "from-gateway"

    async def test_details_that_contradict_the_status(self, client, double):
        """Details for another code than the call's are not believed."""

        async def contradict(_request, context):
            forged = status(CODE.NOT_FOUND, "Forged.").SerializeToString()
            context.set_trailing_metadata((("grpc-status-details-bin", forged),))
            await context.abort(CODE.PERMISSION_DENIED, "Refused.")

        double.will("MintToken", contradict)
        with pytest.raises(CountersignError) as caught:
            await client.mint_token("billing")
        assert (caught.value.code, caught.value.message) == (CODE.PERMISSION_DENIED, "Refused.")

    async def test_nobody_listens(self, connect):
        """Without a gateway the error has no reason, as nobody gave one, but the id that was sent."""
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            target = f"127.0.0.1:{reserved.getsockname()[1]}"
            async with connect(target, new_request_id=lambda: "mine") as client:
                with pytest.raises(UnavailableError) as caught:
                    await client.mint_token("billing")
        assert caught.value.reason is None
        assert caught.value.request_id == "mine"


class TestRepetition:
    """A call that is safe to repeat."""

    async def test_unavailable_is_repeated(self, client, double):
        """A mint is repeated until it succeeds, under one request id."""
        double.will("MintToken", UNAVAILABLE, UNAVAILABLE, MINTED)
        await client.mint_token("billing")
        assert len(double.calls) == 3
        assert len({call.metadata["x-request-id"] for call in double.calls}) == 1

    async def test_repetition_is_bounded(self, client, double):
        """After four attempts the last error is final."""
        double.will("MintToken", UNAVAILABLE)
        with pytest.raises(UnavailableError) as caught:
            await client.mint_token("billing")
        assert caught.value.reason == "SIGNER_UNAVAILABLE"
        assert len(double.calls) == 4

    async def test_every_attempt_has_a_new_assertion(self, client, double):
        """An assertion is good for one call, so that a second attempt brings its own."""
        double.will("MintToken", UNAVAILABLE, MINTED)
        key = AssertionKey(new_key(), "ES256", "https://gateway.example")
        await client.mint_token("billing", credential=key)
        first, second = (
            request.authentication.private_key_jwt.assertion for request in double.requests("MintToken")
        )
        assert first != second

    async def test_busy_with_a_time_is_repeated(self, client, double):
        """An overloaded gateway that says when to come back is asked again."""
        double.will("MintToken", busy(0.001), MINTED)
        await client.mint_token("billing")
        assert len(double.calls) == 2

    async def test_busy_without_a_time_is_final(self, client, double):
        """RESOURCE_EXHAUSTED alone may mean that the message is too large, which no repetition cures."""
        double.will("MintToken", failure(CODE.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE"), MINTED)
        with pytest.raises(InvalidRequestError):
            await client.mint_token("billing")
        assert len(double.calls) == 1

    async def test_a_time_beyond_the_deadline_is_final(self, client, double):
        """A pause that outlasts the deadline is not begun: the caller learns at once when to come back."""
        double.will("MintToken", busy(3600), MINTED)
        with pytest.raises(UnavailableError) as caught:
            await client.mint_token("billing")
        assert caught.value.retry_after.total_seconds() == 3600
        assert len(double.calls) == 1

    @pytest.mark.parametrize("code", [CODE.INTERNAL, CODE.ABORTED, CODE.UNAUTHENTICATED, CODE.UNKNOWN])
    async def test_other_failures_are_final(self, client, double, code):
        """What a second attempt cannot cure is not attempted."""
        double.will("MintToken", status(code, "No."), MINTED)
        with pytest.raises(CountersignError):
            await client.mint_token("billing")
        assert len(double.calls) == 1

    @pytest.mark.parametrize(
        ("rpc", "method", "arguments"),
        [
            ("UpdateClient", "update_client", {"client_id": "a", "disabled": True}),
            ("DeleteClient", "delete_client", {"client_id": "a"}),
            ("RotateClientSecret", "rotate_client_secret", {"client_id": "a", "etag": "1"}),
        ],
    )
    async def test_unsafe_calls_are_not_repeated(self, client, double, rpc, method, arguments):
        """A call that would be answered otherwise the second time is made once."""
        double.will(rpc, UNAVAILABLE)
        with pytest.raises(UnavailableError):
            await getattr(client, method)(**arguments)
        assert len(double.calls) == 1

    async def test_creations_repeat_under_one_request_id(self, client, double):
        """What is created is created once: every attempt carries the same request id."""
        double.will("CreateKey", UNAVAILABLE, key_service_pb2.CreateKeyResponse())
        double.will("RotateKey", UNAVAILABLE, key_service_pb2.RotateKeyResponse())
        double.will("CreateClient", UNAVAILABLE, client_service_pb2.CreateClientResponse())
        arguments = (KeyPurpose.TOKENS, SignatureAlgorithm.ES256)
        await client.create_key(*arguments, create_uri="file:k")
        await client.rotate_key(*arguments)
        await client.create_client(authentication=ClientSecretBasicAuth())
        for rpc in ("CreateKey", "RotateKey", "CreateClient"):
            first, second = double.requests(rpc)
            assert first.request_id
            assert first.request_id == second.request_id

    async def test_secret_without_etag_is_rotated_again(self, client, double):
        """A secret that got lost on the way is replaced by the next one."""
        generated = client_service_pb2.RotateClientSecretResponse(client_secret="second")
        double.will("RotateClientSecret", UNAVAILABLE, generated)
        assert (await client.rotate_client_secret("a")).client_secret == "second"

    async def test_repetition_can_be_turned_off(self, connect, double):
        """With one attempt the first failure is final."""
        double.will("MintToken", UNAVAILABLE)
        async with connect(retry=RetryPolicy(max_attempts=1)) as client:
            with pytest.raises(UnavailableError):
                await client.mint_token("billing")
        assert len(double.calls) == 1


class TestDeadlines:
    """The time for a call."""

    async def test_a_call_ends_with_its_deadline(self, client, double):
        """A gateway that hangs costs the caller its own timeout and no more."""
        double.will("MintToken", for_ever)
        with pytest.raises(DeadlineExceededError) as caught:
            await client.mint_token("billing", timeout=0.2)
        assert caught.value.code is CODE.DEADLINE_EXCEEDED
        assert 0 < double.calls[0].seconds_left <= 0.2

    async def test_default_deadline(self, connect, double):
        """Without a timeout of its own a call has the client's."""
        double.will("MintToken", MINTED)
        async with connect(timeout=3) as client:
            await client.mint_token("billing")
        assert 2 < double.calls[0].seconds_left <= 3

    async def test_attempts_share_the_deadline(self, client, double):
        """A second attempt has only what the first one and the pause left."""
        double.will("MintToken", busy(0.25), MINTED)
        await client.mint_token("billing", timeout=5)
        assert double.calls[1].seconds_left <= 4.75

    async def test_a_timeout_is_above_zero(self, client, connect):
        """A timeout of nothing is a mistake of the program, said at once."""
        with pytest.raises(ValueError, match="above 0"):
            await client.mint_token("billing", timeout=0)
        with pytest.raises(ValueError, match="above 0"):
            async with connect(timeout=-1):
                pass

    async def test_wait_for_ready(self, connect):
        """A client that waits for a connection reports its deadline, not the lack of one."""
        with socket.socket() as reserved:
            reserved.bind(("127.0.0.1", 0))
            target = f"127.0.0.1:{reserved.getsockname()[1]}"
            async with connect(target, wait_for_ready=True) as client:
                with pytest.raises(DeadlineExceededError):
                    await client.mint_token("billing", timeout=0.2)

    async def test_cancellation_reaches_the_gateway(self, double, listeners, tls):
        """A cancelled task ends its call on the other side too."""
        begun, ended = asyncio.Event(), asyncio.Event()

        async def watched(_request, _context):
            begun.set()
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        double.will("MintToken", watched)
        async with GatewayClient(listeners.tls, tls=tls) as client:
            task = asyncio.create_task(client.mint_token("billing"))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            async with asyncio.timeout(5):
                await ended.wait()


class TestConnections:
    """Which listener, and whom the parties see."""

    async def test_certificate_goes_to_mutual_tls(self, connect, double, listeners, mutual_tls):
        """With a certificate every call goes to the mutual-TLS listener, which sees it."""
        double.will("MintToken", MINTED)
        async with connect(mtls_target=listeners.mtls, tls=mutual_tls) as client:
            await client.mint_token("billing")
        assert double.calls[0].subjects == ["billing"]

    async def test_without_certificate_goes_to_tls(self, connect, double, listeners):
        """Without a certificate the TLS listener serves, and a token names the caller."""
        double.will("MintToken", MINTED)
        async with connect(mtls_target=listeners.mtls, caller_token=lambda: "tok") as client:
            await client.mint_token("billing")
        assert double.calls[0].subjects == []
        assert double.calls[0].metadata["authorization"] == "Bearer tok"

    async def test_certificate_from_files(self, connect, double, listeners, pki, tmp_path):
        """Paths and PEM text mean the same."""
        certificate, key = pki.client.write(tmp_path, "billing")
        (tmp_path / "ca.pem").write_bytes(pki.root.pem)
        files = TlsConfig(ca=str(tmp_path / "ca.pem"), certificate=certificate, private_key=key)
        double.will("MintToken", MINTED)
        async with connect(listeners.mtls, tls=files) as client:
            await client.mint_token("billing")
        assert double.calls[0].subjects == ["billing"]

    async def test_foreign_authority(self, connect, double):
        """A gateway with a certificate of another authority gets no request."""
        async with connect(tls=TlsConfig(ca=Authority.root("Other").pem)) as client:
            with pytest.raises(UnavailableError):
                await client.mint_token("billing", credential=ClientSecret("s3cret"))
        assert double.calls == []

    async def test_other_name(self, connect, double, pki):
        """A certificate that does not hold the expected name is refused, one that does is taken."""
        double.will("MintToken", MINTED)
        async with connect(tls=TlsConfig(ca=pki.root.pem, server_name="elsewhere.example")) as client:
            with pytest.raises(UnavailableError):
                await client.mint_token("billing")
        assert double.calls == []
        async with connect(tls=TlsConfig(ca=pki.root.pem, server_name="localhost")) as client:
            await client.mint_token("billing")

    async def test_bare_stubs(self, double, listeners, tls):
        """The generated stubs are at hand in both clients."""
        double.will("GetJwks", token_service_pb2.GetJwksResponse(jwks_json=b"{}"))
        async with GatewayClient(listeners.tls, tls=tls) as client:
            answer = await client.tokens.GetJwks(token_service_pb2.GetJwksRequest())
            assert answer.jwks_json == b"{}"
        with SyncGatewayClient(listeners.tls, tls=tls) as sync:
            answer = await asyncio.to_thread(sync.tokens.GetJwks, token_service_pb2.GetJwksRequest())
            assert answer.jwks_json == b"{}"
            for stub in (sync.introspection.IntrospectToken, sync.keys.GetKey, sync.clients.GetClient):
                assert callable(stub)

    async def test_closed_client(self, connect):
        """A client outside its with block says so."""
        async with connect() as client:
            pass
        with pytest.raises(ClientNotOpenError):
            await client.get_jwks()

    async def test_conflict_class(self, client, double):
        """A changed etag is a conflict."""
        double.will("DeleteClient", failure(CODE.ABORTED, "ETAG_MISMATCH"))
        with pytest.raises(ConflictError):
            await client.delete_client("a", etag="1")
