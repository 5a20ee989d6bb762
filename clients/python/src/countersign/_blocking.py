"""Calls on a blocking channel."""

import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self, TypeVar

import grpc

from countersign._base import BaseClient, ClientNotOpenError
from countersign._operations.operation import Operation, Page
from countersign._status import ended_early, error_of_call
from countersign.tokens import RevocationBatch
from countersign.v1.audit_service_pb2_grpc import AuditServiceStub
from countersign.v1.authorization_service_pb2_grpc import AuthorizationServiceStub
from countersign.v1.client_service_pb2_grpc import ClientServiceStub
from countersign.v1.enrollment_service_pb2_grpc import EnrollmentServiceStub
from countersign.v1.introspection_service_pb2_grpc import IntrospectionServiceStub
from countersign.v1.key_service_pb2_grpc import KeyServiceStub
from countersign.v1.presentation_service_pb2_grpc import PresentationServiceStub
from countersign.v1.token_service_pb2_grpc import TokenServiceStub

Result = TypeVar("Result")


class BlockingCaller(BaseClient):
    """Opens and closes the channel, and makes every call by the policy of `BaseClient`."""

    _channel: Any = None

    def __enter__(self) -> Self:
        """Open the channel; connecting is left to the first call."""
        self._channel = grpc.secure_channel(
            self._address, self._tls.credentials(), options=self._channel_options()
        )
        self._stubs = {
            "tokens": TokenServiceStub(self._channel),
            "authorizations": AuthorizationServiceStub(self._channel),
            "introspection": IntrospectionServiceStub(self._channel),
            "keys": KeyServiceStub(self._channel),
            "clients": ClientServiceStub(self._channel),
            "enrollment": EnrollmentServiceStub(self._channel),
            "presentations": PresentationServiceStub(self._channel),
            "audit": AuditServiceStub(self._channel),
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the channel, and with it every call that is still under way."""
        channel, self._channel = self._channel, None
        channel.close()

    @property
    def tokens(self) -> TokenServiceStub:
        """The bare stub of TokenService."""
        stub: TokenServiceStub = self._stub("tokens")
        return stub

    @property
    def authorizations(self) -> AuthorizationServiceStub:
        """The bare stub of AuthorizationService."""
        stub: AuthorizationServiceStub = self._stub("authorizations")
        return stub

    @property
    def introspection(self) -> IntrospectionServiceStub:
        """The bare stub of IntrospectionService."""
        stub: IntrospectionServiceStub = self._stub("introspection")
        return stub

    @property
    def keys(self) -> KeyServiceStub:
        """The bare stub of KeyService."""
        stub: KeyServiceStub = self._stub("keys")
        return stub

    @property
    def clients(self) -> ClientServiceStub:
        """The bare stub of ClientService."""
        stub: ClientServiceStub = self._stub("clients")
        return stub

    @property
    def enrollment(self) -> EnrollmentServiceStub:
        """The bare stub of EnrollmentService."""
        stub: EnrollmentServiceStub = self._stub("enrollment")
        return stub

    @property
    def presentations(self) -> PresentationServiceStub:
        """The bare stub of PresentationService."""
        stub: PresentationServiceStub = self._stub("presentations")
        return stub

    @property
    def audit(self) -> AuditServiceStub:
        """The bare stub of AuditService."""
        stub: AuditServiceStub = self._stub("audit")
        return stub

    def _stub(self, service: str) -> Any:
        if self._channel is None:
            raise ClientNotOpenError("Use the client inside its with block.")
        return self._stubs[service]

    def _call(self, operation: Operation[Result], timeout: float | None) -> Result:
        method = getattr(self._stub(operation.service), operation.method)
        attempts = self._attempts(operation, timeout)
        request_id = self._new_request_id()
        while True:
            try:
                response = method(
                    operation.request(),
                    timeout=attempts.remaining(),
                    metadata=self._metadata(request_id, operation),
                    wait_for_ready=self._wait_for_ready,
                )
            except grpc.RpcError as failure:
                error = error_of_call(failure, request_id)
                pause = self._pause_after(attempts, error)
                if pause is None:
                    raise error from failure
            else:
                return operation.result(response)
            time.sleep(pause)

    def _resumed(
        self, stream: Callable[[str], Operation[RevocationBatch]], cursor: str
    ) -> Iterator[RevocationBatch]:
        """The batches of a stream that is opened again at its last cursor where it ends or breaks off."""
        attempts = self._stream_attempts()
        while True:
            operation = stream(cursor)
            method = getattr(self._stub(operation.service), operation.method)
            request_id = self._new_request_id()
            call = method(operation.request(), metadata=self._metadata(request_id, operation))
            try:
                for response in call:
                    batch = operation.result(response)
                    yield batch
                    cursor, attempts = batch.cursor, self._stream_attempts()
                # After a batch the pause is short; one that never gives any is not opened in a loop.
                error = ended_early(request_id)
                pause = self._pause_after(attempts, error)
                if pause is None:
                    raise error
            except grpc.RpcError as failure:
                error = error_of_call(failure, request_id)
                pause = self._pause_after(attempts, error)
                if pause is None:
                    raise error from failure
            finally:
                call.cancel()
            time.sleep(pause)

    def _watched(
        self, operation: Operation[Result], is_final: Callable[[Result], bool], timeout: float
    ) -> Iterator[Result]:
        """The values of a stream that tells the present first, each once, until one that is final.

        It is opened again where it ends before that, within *timeout* seconds for all of it.
        """
        attempts = self._attempts(operation, timeout)
        last: Result | None = None
        while True:
            method = getattr(self._stub(operation.service), operation.method)
            request_id = self._new_request_id()
            call = method(
                operation.request(),
                timeout=attempts.remaining(),
                metadata=self._metadata(request_id, operation),
                wait_for_ready=self._wait_for_ready,
            )
            try:
                for response in call:
                    attempts.answered()
                    value = operation.result(response)
                    if value != last:
                        yield value
                    last = value
                    if is_final(value):
                        return
                error = ended_early(request_id)
                pause = self._pause_after(attempts, error)
                if pause is None:
                    raise error
            except grpc.RpcError as failure:
                error = error_of_call(failure, request_id)
                pause = self._pause_after(attempts, error)
                if pause is None:
                    raise error from failure
            finally:
                call.cancel()
            time.sleep(pause)

    def _streamed(self, operation: Operation[Result], timeout: float) -> Iterator[Result]:
        """The values of a stream that ends by itself. It is opened again only as long as none came."""
        attempts, request_id, begun = self._attempts(operation, timeout), self._new_request_id(), False
        method = getattr(self._stub(operation.service), operation.method)
        while True:
            call = method(
                operation.request(),
                timeout=attempts.remaining(),
                metadata=self._metadata(request_id, operation),
                wait_for_ready=self._wait_for_ready,
            )
            try:
                for response in call:
                    begun = True
                    yield operation.result(response)
            except grpc.RpcError as failure:
                error = error_of_call(failure, request_id)
                pause = None if begun else self._pause_after(attempts, error)
                if pause is None:
                    raise error from failure
            else:
                return
            finally:
                call.cancel()
            time.sleep(pause)

    def _pages(
        self, page: Callable[[str], Operation[Page[Result]]], timeout: float | None
    ) -> Iterator[Result]:
        token = ""
        while True:
            answer = self._call(page(token), timeout)
            yield from answer.items
            if not (token := answer.next_page_token):
                return
