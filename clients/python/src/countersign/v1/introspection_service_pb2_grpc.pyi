"""Types of the services in countersign/v1/introspection_service.proto. Written by protos/generate.py; do not edit."""

from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

from countersign._multicallable import AsyncUnaryStream, AsyncUnaryUnary, UnaryStream, UnaryUnary
from countersign.v1 import introspection_service_pb2


class IntrospectionServiceStub:
    def __init__(self, channel: Any) -> None: ...
    IntrospectToken: UnaryUnary[introspection_service_pb2.IntrospectTokenRequest, introspection_service_pb2.IntrospectTokenResponse]
    BatchIntrospectTokens: UnaryUnary[introspection_service_pb2.BatchIntrospectTokensRequest, introspection_service_pb2.BatchIntrospectTokensResponse]
    WatchRevocations: UnaryStream[introspection_service_pb2.WatchRevocationsRequest, introspection_service_pb2.WatchRevocationsResponse]

class IntrospectionServiceAsyncStub:
    def __init__(self, channel: Any) -> None: ...
    IntrospectToken: AsyncUnaryUnary[introspection_service_pb2.IntrospectTokenRequest, introspection_service_pb2.IntrospectTokenResponse]
    BatchIntrospectTokens: AsyncUnaryUnary[introspection_service_pb2.BatchIntrospectTokensRequest, introspection_service_pb2.BatchIntrospectTokensResponse]
    WatchRevocations: AsyncUnaryStream[introspection_service_pb2.WatchRevocationsRequest, introspection_service_pb2.WatchRevocationsResponse]

class IntrospectionServiceServicer:
    def IntrospectToken(
        self, request: introspection_service_pb2.IntrospectTokenRequest, context: Any
    ) -> Awaitable[introspection_service_pb2.IntrospectTokenResponse] | introspection_service_pb2.IntrospectTokenResponse: ...
    def BatchIntrospectTokens(
        self, request: introspection_service_pb2.BatchIntrospectTokensRequest, context: Any
    ) -> Awaitable[introspection_service_pb2.BatchIntrospectTokensResponse] | introspection_service_pb2.BatchIntrospectTokensResponse: ...
    def WatchRevocations(
        self, request: introspection_service_pb2.WatchRevocationsRequest, context: Any
    ) -> AsyncIterator[introspection_service_pb2.WatchRevocationsResponse] | Iterator[introspection_service_pb2.WatchRevocationsResponse]: ...

def add_IntrospectionServiceServicer_to_server(servicer: IntrospectionServiceServicer, server: Any) -> None: ...
