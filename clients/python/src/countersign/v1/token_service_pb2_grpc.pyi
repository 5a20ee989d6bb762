"""Types of the services in countersign/v1/token_service.proto. Written by protos/generate.py; do not edit."""

from collections.abc import Awaitable
from typing import Any

from countersign._multicallable import AsyncUnaryUnary, UnaryUnary
from countersign.v1 import token_service_pb2


class TokenServiceStub:
    def __init__(self, channel: Any) -> None: ...
    MintToken: UnaryUnary[token_service_pb2.MintTokenRequest, token_service_pb2.MintTokenResponse]
    BatchMintTokens: UnaryUnary[token_service_pb2.BatchMintTokensRequest, token_service_pb2.BatchMintTokensResponse]
    RevokeToken: UnaryUnary[token_service_pb2.RevokeTokenRequest, token_service_pb2.RevokeTokenResponse]
    CreateClientNonce: UnaryUnary[token_service_pb2.CreateClientNonceRequest, token_service_pb2.CreateClientNonceResponse]
    MintClientAccessToken: UnaryUnary[token_service_pb2.MintClientAccessTokenRequest, token_service_pb2.MintClientAccessTokenResponse]
    GetServerMetadata: UnaryUnary[token_service_pb2.GetServerMetadataRequest, token_service_pb2.GetServerMetadataResponse]
    GetJwks: UnaryUnary[token_service_pb2.GetJwksRequest, token_service_pb2.GetJwksResponse]

class TokenServiceAsyncStub:
    def __init__(self, channel: Any) -> None: ...
    MintToken: AsyncUnaryUnary[token_service_pb2.MintTokenRequest, token_service_pb2.MintTokenResponse]
    BatchMintTokens: AsyncUnaryUnary[token_service_pb2.BatchMintTokensRequest, token_service_pb2.BatchMintTokensResponse]
    RevokeToken: AsyncUnaryUnary[token_service_pb2.RevokeTokenRequest, token_service_pb2.RevokeTokenResponse]
    CreateClientNonce: AsyncUnaryUnary[token_service_pb2.CreateClientNonceRequest, token_service_pb2.CreateClientNonceResponse]
    MintClientAccessToken: AsyncUnaryUnary[token_service_pb2.MintClientAccessTokenRequest, token_service_pb2.MintClientAccessTokenResponse]
    GetServerMetadata: AsyncUnaryUnary[token_service_pb2.GetServerMetadataRequest, token_service_pb2.GetServerMetadataResponse]
    GetJwks: AsyncUnaryUnary[token_service_pb2.GetJwksRequest, token_service_pb2.GetJwksResponse]

class TokenServiceServicer:
    def MintToken(
        self, request: token_service_pb2.MintTokenRequest, context: Any
    ) -> Awaitable[token_service_pb2.MintTokenResponse] | token_service_pb2.MintTokenResponse: ...
    def BatchMintTokens(
        self, request: token_service_pb2.BatchMintTokensRequest, context: Any
    ) -> Awaitable[token_service_pb2.BatchMintTokensResponse] | token_service_pb2.BatchMintTokensResponse: ...
    def RevokeToken(
        self, request: token_service_pb2.RevokeTokenRequest, context: Any
    ) -> Awaitable[token_service_pb2.RevokeTokenResponse] | token_service_pb2.RevokeTokenResponse: ...
    def CreateClientNonce(
        self, request: token_service_pb2.CreateClientNonceRequest, context: Any
    ) -> Awaitable[token_service_pb2.CreateClientNonceResponse] | token_service_pb2.CreateClientNonceResponse: ...
    def MintClientAccessToken(
        self, request: token_service_pb2.MintClientAccessTokenRequest, context: Any
    ) -> Awaitable[token_service_pb2.MintClientAccessTokenResponse] | token_service_pb2.MintClientAccessTokenResponse: ...
    def GetServerMetadata(
        self, request: token_service_pb2.GetServerMetadataRequest, context: Any
    ) -> Awaitable[token_service_pb2.GetServerMetadataResponse] | token_service_pb2.GetServerMetadataResponse: ...
    def GetJwks(
        self, request: token_service_pb2.GetJwksRequest, context: Any
    ) -> Awaitable[token_service_pb2.GetJwksResponse] | token_service_pb2.GetJwksResponse: ...

def add_TokenServiceServicer_to_server(servicer: TokenServiceServicer, server: Any) -> None: ...
