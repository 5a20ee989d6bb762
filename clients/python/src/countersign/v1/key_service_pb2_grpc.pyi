"""Types of the services in countersign/v1/key_service.proto. Written by protos/generate.py; do not edit."""

from collections.abc import Awaitable
from typing import Any

from countersign._multicallable import AsyncUnaryUnary, UnaryUnary
from countersign.v1 import key_service_pb2


class KeyServiceStub:
    def __init__(self, channel: Any) -> None: ...
    ListKeys: UnaryUnary[key_service_pb2.ListKeysRequest, key_service_pb2.ListKeysResponse]
    GetKey: UnaryUnary[key_service_pb2.GetKeyRequest, key_service_pb2.GetKeyResponse]
    CreateKey: UnaryUnary[key_service_pb2.CreateKeyRequest, key_service_pb2.CreateKeyResponse]
    RotateKey: UnaryUnary[key_service_pb2.RotateKeyRequest, key_service_pb2.RotateKeyResponse]
    DisableKey: UnaryUnary[key_service_pb2.DisableKeyRequest, key_service_pb2.DisableKeyResponse]
    CheckKey: UnaryUnary[key_service_pb2.CheckKeyRequest, key_service_pb2.CheckKeyResponse]

class KeyServiceAsyncStub:
    def __init__(self, channel: Any) -> None: ...
    ListKeys: AsyncUnaryUnary[key_service_pb2.ListKeysRequest, key_service_pb2.ListKeysResponse]
    GetKey: AsyncUnaryUnary[key_service_pb2.GetKeyRequest, key_service_pb2.GetKeyResponse]
    CreateKey: AsyncUnaryUnary[key_service_pb2.CreateKeyRequest, key_service_pb2.CreateKeyResponse]
    RotateKey: AsyncUnaryUnary[key_service_pb2.RotateKeyRequest, key_service_pb2.RotateKeyResponse]
    DisableKey: AsyncUnaryUnary[key_service_pb2.DisableKeyRequest, key_service_pb2.DisableKeyResponse]
    CheckKey: AsyncUnaryUnary[key_service_pb2.CheckKeyRequest, key_service_pb2.CheckKeyResponse]

class KeyServiceServicer:
    def ListKeys(
        self, request: key_service_pb2.ListKeysRequest, context: Any
    ) -> Awaitable[key_service_pb2.ListKeysResponse] | key_service_pb2.ListKeysResponse: ...
    def GetKey(
        self, request: key_service_pb2.GetKeyRequest, context: Any
    ) -> Awaitable[key_service_pb2.GetKeyResponse] | key_service_pb2.GetKeyResponse: ...
    def CreateKey(
        self, request: key_service_pb2.CreateKeyRequest, context: Any
    ) -> Awaitable[key_service_pb2.CreateKeyResponse] | key_service_pb2.CreateKeyResponse: ...
    def RotateKey(
        self, request: key_service_pb2.RotateKeyRequest, context: Any
    ) -> Awaitable[key_service_pb2.RotateKeyResponse] | key_service_pb2.RotateKeyResponse: ...
    def DisableKey(
        self, request: key_service_pb2.DisableKeyRequest, context: Any
    ) -> Awaitable[key_service_pb2.DisableKeyResponse] | key_service_pb2.DisableKeyResponse: ...
    def CheckKey(
        self, request: key_service_pb2.CheckKeyRequest, context: Any
    ) -> Awaitable[key_service_pb2.CheckKeyResponse] | key_service_pb2.CheckKeyResponse: ...

def add_KeyServiceServicer_to_server(servicer: KeyServiceServicer, server: Any) -> None: ...
