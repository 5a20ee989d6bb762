"""Types of the services in countersign/v1/client_service.proto. Written by protos/generate.py; do not edit."""

from collections.abc import Awaitable
from typing import Any

from countersign._multicallable import AsyncUnaryUnary, UnaryUnary
from countersign.v1 import client_service_pb2


class ClientServiceStub:
    def __init__(self, channel: Any) -> None: ...
    CreateClient: UnaryUnary[client_service_pb2.CreateClientRequest, client_service_pb2.CreateClientResponse]
    GetClient: UnaryUnary[client_service_pb2.GetClientRequest, client_service_pb2.GetClientResponse]
    ListClients: UnaryUnary[client_service_pb2.ListClientsRequest, client_service_pb2.ListClientsResponse]
    UpdateClient: UnaryUnary[client_service_pb2.UpdateClientRequest, client_service_pb2.UpdateClientResponse]
    DeleteClient: UnaryUnary[client_service_pb2.DeleteClientRequest, client_service_pb2.DeleteClientResponse]
    RotateClientSecret: UnaryUnary[client_service_pb2.RotateClientSecretRequest, client_service_pb2.RotateClientSecretResponse]

class ClientServiceAsyncStub:
    def __init__(self, channel: Any) -> None: ...
    CreateClient: AsyncUnaryUnary[client_service_pb2.CreateClientRequest, client_service_pb2.CreateClientResponse]
    GetClient: AsyncUnaryUnary[client_service_pb2.GetClientRequest, client_service_pb2.GetClientResponse]
    ListClients: AsyncUnaryUnary[client_service_pb2.ListClientsRequest, client_service_pb2.ListClientsResponse]
    UpdateClient: AsyncUnaryUnary[client_service_pb2.UpdateClientRequest, client_service_pb2.UpdateClientResponse]
    DeleteClient: AsyncUnaryUnary[client_service_pb2.DeleteClientRequest, client_service_pb2.DeleteClientResponse]
    RotateClientSecret: AsyncUnaryUnary[client_service_pb2.RotateClientSecretRequest, client_service_pb2.RotateClientSecretResponse]

class ClientServiceServicer:
    def CreateClient(
        self, request: client_service_pb2.CreateClientRequest, context: Any
    ) -> Awaitable[client_service_pb2.CreateClientResponse] | client_service_pb2.CreateClientResponse: ...
    def GetClient(
        self, request: client_service_pb2.GetClientRequest, context: Any
    ) -> Awaitable[client_service_pb2.GetClientResponse] | client_service_pb2.GetClientResponse: ...
    def ListClients(
        self, request: client_service_pb2.ListClientsRequest, context: Any
    ) -> Awaitable[client_service_pb2.ListClientsResponse] | client_service_pb2.ListClientsResponse: ...
    def UpdateClient(
        self, request: client_service_pb2.UpdateClientRequest, context: Any
    ) -> Awaitable[client_service_pb2.UpdateClientResponse] | client_service_pb2.UpdateClientResponse: ...
    def DeleteClient(
        self, request: client_service_pb2.DeleteClientRequest, context: Any
    ) -> Awaitable[client_service_pb2.DeleteClientResponse] | client_service_pb2.DeleteClientResponse: ...
    def RotateClientSecret(
        self, request: client_service_pb2.RotateClientSecretRequest, context: Any
    ) -> Awaitable[client_service_pb2.RotateClientSecretResponse] | client_service_pb2.RotateClientSecretResponse: ...

def add_ClientServiceServicer_to_server(servicer: ClientServiceServicer, server: Any) -> None: ...
