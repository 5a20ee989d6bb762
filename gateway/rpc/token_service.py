"""countersign.v1.TokenService: convert, call, convert back."""

from typing import Final, TypeAlias

import grpc
from countersign.v1 import token_service_pb2, token_service_pb2_grpc

from gateway.enrollment.client_access_token import LIFETIME
from gateway.enrollment.minter import ClientTokenMinter, ClientTokenRequest
from gateway.errors import GatewayError, Reason, RequestError, StateError
from gateway.keys.keyring import Keyring
from gateway.rpc.current import counted_by, current_call, parsed_by
from gateway.rpc.dpop import ProvenCalls
from gateway.rpc.jwks_conversion import jwks_messages
from gateway.rpc.metadata_conversion import metadata_message
from gateway.rpc.status import to_status_proto
from gateway.rpc.token_conversion import (
    MintOrder,
    credential_of,
    fill_token,
    mint_order,
    token_request_of,
)
from gateway.tokens.dpop import DpopDoor
from gateway.tokens.grants import TokenRequest
from gateway.tokens.metadata import ServerMetadata
from gateway.tokens.mint import MAX_BATCH, MintedToken, TokenMinter
from gateway.tokens.revocation import TokenRevoker

_Context: TypeAlias = grpc.aio.ServicerContext
_SERVICE: Final = "/countersign.v1.TokenService/"
_MISSING_TARGET: Final = "Name the token, or its id."


class TokenService(token_service_pb2_grpc.TokenServiceServicer):
    """Mints and revokes access tokens, and tells how to verify them."""

    def __init__(
        self,
        *,
        minter: TokenMinter,
        revoker: TokenRevoker,
        dpop: DpopDoor,
        keyring: Keyring,
        metadata: ServerMetadata,
        jwks_max_age: int,
        client_tokens: ClientTokenMinter | None = None,
    ) -> None:
        """*jwks_max_age*: seconds that a verifier may keep the key set.

        *client_tokens*: None where no access tokens for enrolling devices are minted.
        """
        self._client_tokens = client_tokens
        self._minter = minter
        self._revoker = revoker
        self._minting = ProvenCalls(dpop, f"{_SERVICE}MintToken")
        self._batch_minting = ProvenCalls(dpop, f"{_SERVICE}BatchMintTokens")
        self._keyring = keyring
        self._metadata = token_service_pb2.GetServerMetadataResponse(
            metadata=metadata_message(metadata), metadata_json=metadata.to_json()
        )
        self._jwks_max_age = jwks_max_age

    @parsed_by(mint_order)
    async def MintToken(  # type: ignore[override]  # The pipeline hands over what `parsed_by` names.
        self, request: MintOrder, context: _Context
    ) -> token_service_pb2.MintTokenResponse:
        """One token."""
        minted = await self._minter.mint(
            self._minting.current(context), request.client_id, request.credential, request.request
        )
        response = token_service_pb2.MintTokenResponse()
        fill_token(response.token, minted)
        if minted.refresh_token is not None:
            response.refresh_token = minted.refresh_token.value
            response.refresh_token_expire_time.seconds = int(minted.refresh_token.expire_time)
        return response

    @counted_by(lambda request: len(request.items))
    async def BatchMintTokens(
        self, request: token_service_pb2.BatchMintTokensRequest, context: _Context
    ) -> token_service_pb2.BatchMintTokensResponse:
        """Up to 1,000 tokens under one authentication; each item succeeds or fails by itself."""
        if len(request.items) > MAX_BATCH:
            raise RequestError(Reason.INVALID_FIELD, f"At most {MAX_BATCH} items.", field="items")
        asked = [_item(item) for item in request.items]
        minted = iter(
            await self._minter.mint_many(
                self._batch_minting.current(context),
                request.client_id,
                credential_of(request.authentication),
                asked,
            )
        )
        return token_service_pb2.BatchMintTokensResponse(results=[_result(item) for item in minted])

    async def RevokeToken(
        self, request: token_service_pb2.RevokeTokenRequest, context: _Context
    ) -> token_service_pb2.RevokeTokenResponse:
        """RFC 7009, or by id for an administrator."""
        match request.WhichOneof("target"):
            case "token":
                await self._revoker.revoke(
                    current_call(),
                    request.client_id,
                    credential_of(request.authentication),
                    request.token,
                )
            case "token_id":
                await self._revoker.revoke_id(current_call(), request.token_id)
            case _:
                raise RequestError(Reason.MISSING_FIELD, _MISSING_TARGET, field="target")
        return token_service_pb2.RevokeTokenResponse()

    async def CreateClientNonce(
        self, request: token_service_pb2.CreateClientNonceRequest, context: _Context
    ) -> token_service_pb2.CreateClientNonceResponse:
        """For one proof of one device."""
        nonce = self._client_minter().issue_nonce(request.client_id)
        return token_service_pb2.CreateClientNonceResponse(nonce=nonce)

    async def MintClientAccessToken(
        self, request: token_service_pb2.MintClientAccessTokenRequest, context: _Context
    ) -> token_service_pb2.MintClientAccessTokenResponse:
        """What a backend says of its device, for the CA."""
        minted = await self._client_minter().mint(
            ClientTokenRequest(
                client_id=request.client_id,
                handle=request.handle,
                display_name=request.display_name,
                team=request.team or None,
                domain=request.domain,
                proof=request.dpop_proof,
                nonce=request.nonce or None,
            )
        )
        response = token_service_pb2.MintClientAccessTokenResponse(token=minted.value)
        response.expires_in.seconds = LIFETIME
        return response

    def _client_minter(self) -> ClientTokenMinter:
        if self._client_tokens is None:
            raise StateError(
                Reason.ENROLLMENT_NOT_FOUND, "This gateway mints no access tokens for enrolling devices."
            )
        return self._client_tokens

    async def GetServerMetadata(
        self, request: token_service_pb2.GetServerMetadataRequest, context: _Context
    ) -> token_service_pb2.GetServerMetadataResponse:
        """RFC 8414."""
        return self._metadata

    async def GetJwks(
        self, request: token_service_pb2.GetJwksRequest, context: _Context
    ) -> token_service_pb2.GetJwksResponse:
        """RFC 7517 §5."""
        jwks_json = self._keyring.view.jwks_json
        response = token_service_pb2.GetJwksResponse(keys=jwks_messages(jwks_json), jwks_json=jwks_json)
        response.max_age.seconds = self._jwks_max_age
        return response


def _item(message: token_service_pb2.BatchMintTokensItem) -> TokenRequest | GatewayError:
    """A malformed item fails alone, so it travels as its own error."""
    try:
        return token_request_of(message)
    except GatewayError as error:
        return error


def _result(outcome: MintedToken | GatewayError) -> token_service_pb2.BatchMintTokensResult:
    if isinstance(outcome, GatewayError):
        return token_service_pb2.BatchMintTokensResult(error=to_status_proto(outcome))
    result = token_service_pb2.BatchMintTokensResult()
    fill_token(result.token, outcome)
    return result
