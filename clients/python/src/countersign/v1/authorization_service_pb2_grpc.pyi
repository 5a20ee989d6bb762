"""Types of the services in countersign/v1/authorization_service.proto. Written by protos/generate.py; do not edit."""

from collections.abc import Awaitable
from typing import Any

from countersign._multicallable import AsyncUnaryUnary, UnaryUnary
from countersign.v1 import authorization_service_pb2


class AuthorizationServiceStub:
    def __init__(self, channel: Any) -> None: ...
    PushAuthorizationRequest: UnaryUnary[authorization_service_pb2.PushAuthorizationRequestRequest, authorization_service_pb2.PushAuthorizationRequestResponse]
    CreateAuthorizationCode: UnaryUnary[authorization_service_pb2.CreateAuthorizationCodeRequest, authorization_service_pb2.CreateAuthorizationCodeResponse]

class AuthorizationServiceAsyncStub:
    def __init__(self, channel: Any) -> None: ...
    PushAuthorizationRequest: AsyncUnaryUnary[authorization_service_pb2.PushAuthorizationRequestRequest, authorization_service_pb2.PushAuthorizationRequestResponse]
    CreateAuthorizationCode: AsyncUnaryUnary[authorization_service_pb2.CreateAuthorizationCodeRequest, authorization_service_pb2.CreateAuthorizationCodeResponse]

class AuthorizationServiceServicer:
    def PushAuthorizationRequest(
        self, request: authorization_service_pb2.PushAuthorizationRequestRequest, context: Any
    ) -> Awaitable[authorization_service_pb2.PushAuthorizationRequestResponse] | authorization_service_pb2.PushAuthorizationRequestResponse: ...
    def CreateAuthorizationCode(
        self, request: authorization_service_pb2.CreateAuthorizationCodeRequest, context: Any
    ) -> Awaitable[authorization_service_pb2.CreateAuthorizationCodeResponse] | authorization_service_pb2.CreateAuthorizationCodeResponse: ...

def add_AuthorizationServiceServicer_to_server(servicer: AuthorizationServiceServicer, server: Any) -> None: ...
