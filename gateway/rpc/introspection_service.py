"""countersign.v1.IntrospectionService: convert, call, convert back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final, TypeAlias

import grpc
from countersign.v1 import introspection_service_pb2, introspection_service_pb2_grpc

from gateway.errors import Reason, RequestError
from gateway.introspection.feed import RevocationFeed
from gateway.introspection.introspect import MAX_BATCH, Introspector
from gateway.introspection.signed_response import SigningIntrospector
from gateway.rpc.current import counted_by, current_call
from gateway.rpc.introspection_conversion import introspected_message, revocations_message
from gateway.rpc.token_conversion import credential_of

_Context: TypeAlias = grpc.aio.ServicerContext
MAX_STREAM: Final = 3600.0
_UNSPECIFIED = introspection_service_pb2.TOKEN_TYPE_HINT_UNSPECIFIED


class IntrospectionService(introspection_service_pb2_grpc.IntrospectionServiceServicer):
    """Tells who may ask whether a token is active, and what it says."""

    def __init__(
        self, introspector: Introspector, signing: SigningIntrospector, feed: RevocationFeed
    ) -> None:
        self._introspector = introspector
        self._signing = signing
        self._feed = feed

    async def IntrospectToken(
        self, request: introspection_service_pb2.IntrospectTokenRequest, context: _Context
    ) -> introspection_service_pb2.IntrospectTokenResponse:
        """RFC 7662. The hint is advisory: a wrong one never changes the answer (RFC 7662 §2.1)."""
        _check(request, "")
        asked = (
            current_call(),
            request.client_id or None,
            credential_of(request.authentication),
            request.token,
        )
        response = introspection_service_pb2.IntrospectTokenResponse()
        if request.sign_response:
            answer, response.signed_response = await self._signing.introspect(*asked)
            accepted = answer.token
        else:
            accepted = await self._introspector.introspect(*asked)
        if accepted is not None:
            response.active = True
            response.token.CopyFrom(introspected_message(accepted))
        return response

    async def WatchRevocations(
        self, request: introspection_service_pb2.WatchRevocationsRequest, context: _Context
    ) -> AsyncIterator[introspection_service_pb2.WatchRevocationsResponse]:
        """Revocations as they happen, for `MAX_STREAM` seconds: then the caller is looked at anew."""
        loop = asyncio.get_running_loop()
        end = loop.time() + MAX_STREAM
        async with aclosing(self._feed.watch(request.cursor)) as batches:
            async for batch in batches:
                yield revocations_message(batch)
                if loop.time() >= end:
                    return

    @counted_by(lambda request: len(request.items))
    async def BatchIntrospectTokens(
        self, request: introspection_service_pb2.BatchIntrospectTokensRequest, context: _Context
    ) -> introspection_service_pb2.BatchIntrospectTokensResponse:
        """As IntrospectToken, for up to 1,000 tokens in order."""
        if len(request.items) > MAX_BATCH:
            raise RequestError(Reason.INVALID_FIELD, f"At most {MAX_BATCH} items.", field="items")
        for index, item in enumerate(request.items):
            _check(item, f"items[{index}].")
        answers = await self._introspector.introspect_many(
            current_call(),
            request.client_id or None,
            credential_of(request.authentication),
            [item.token for item in request.items],
        )
        result = introspection_service_pb2.BatchIntrospectTokensResult
        return introspection_service_pb2.BatchIntrospectTokensResponse(
            results=[
                result() if accepted is None else result(active=True, token=introspected_message(accepted))
                for accepted in answers
            ]
        )


def _check(
    message: introspection_service_pb2.IntrospectTokenRequest
    | introspection_service_pb2.BatchIntrospectTokensItem,
    prefix: str,
) -> None:
    if not message.token:
        raise RequestError(Reason.MISSING_FIELD, "Send the token.", field=f"{prefix}token")
    if message.HasField("token_type_hint") and message.token_type_hint == _UNSPECIFIED:
        raise RequestError(
            Reason.INVALID_FIELD, "Leave the hint out, or name a type.", field=f"{prefix}token_type_hint"
        )
