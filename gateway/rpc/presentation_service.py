"""countersign.v1.PresentationService: convert, call, convert back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final, TypeAlias
from uuid import uuid4

import grpc
from countersign.v1 import presentation_service_pb2 as pb
from countersign.v1 import presentation_service_pb2_grpc

from gateway.errors import Reason, RequestError
from gateway.jose.jwt import MAX_NUMERIC_DATE
from gateway.presentations.core import Presentations
from gateway.presentations.definitions import definition_of
from gateway.presentations.qr import qr_png, qr_svg
from gateway.presentations.request import (
    MAX_ID_TOKEN,
    MAX_VP_TOKEN,
    PresentationResponse,
    RequestRecord,
    RequestWish,
)
from gateway.presentations.verification import VerificationInput
from gateway.presentations.verified_employee import verified_employee_definition
from gateway.rpc.current import current_call
from gateway.rpc.presentation_conversion import (
    COLLECTION,
    request_message,
    response_mode_of,
    verification_message,
)
from gateway.rpc.resources import resource_id

_Context: TypeAlias = grpc.aio.ServicerContext
MAX_STREAM: Final = 3600.0
"""Seconds of a watch; then the caller is looked at anew."""
_MAX_NONCE: Final = 256  # characters


class PresentationService(presentation_service_pb2_grpc.PresentationServiceServicer):
    """Asks wallets for credentials and verifies what they answer; every request belongs to its caller."""

    def __init__(self, presentations: Presentations) -> None:
        self._presentations = presentations

    async def CreatePresentationRequest(
        self, request: pb.CreatePresentationRequestRequest, context: _Context
    ) -> pb.CreatePresentationRequestResponse:
        """A signed request, for one answer."""
        _require("verifier", request.verifier, None)
        wish = RequestWish(
            verifier=request.verifier,
            definition=_definition_text(request),
            nonce=request.nonce or None,
            state=request.state_parameter or None,
            purpose=request.purpose or None,
            client_name=request.client_name or None,
            response_uri=request.response_uri or None,
            response_mode=response_mode_of(request.response_mode),
            return_uri=request.return_uri or None,
            lifetime=_lifetime(request),
        )
        record = await self._presentations.requests.create(wish, owner=_owner())
        response = pb.CreatePresentationRequestResponse(request=self._message(record))
        if request.qr_code:
            text = record.request.authorization_request_uri
            response.qr_svg, response.qr_png = qr_svg(text), qr_png(text)
        return response

    async def GetPresentationRequest(
        self, request: pb.GetPresentationRequestRequest, context: _Context
    ) -> pb.GetPresentationRequestResponse:
        """One request, as it is now."""
        record = await self._presentations.requests.get(resource_id(request.name, COLLECTION), owner=_owner())
        return pb.GetPresentationRequestResponse(request=self._message(record))

    async def WatchPresentationRequest(
        self, request: pb.WatchPresentationRequestRequest, context: _Context
    ) -> AsyncIterator[pb.WatchPresentationRequestResponse]:
        """One request, whenever its state changes, until a state that is final."""
        loop = asyncio.get_running_loop()
        end = loop.time() + MAX_STREAM
        request_id = resource_id(request.name, COLLECTION)
        async with aclosing(self._presentations.requests.watch(request_id, owner=_owner())) as records:
            async for record in records:
                yield pb.WatchPresentationRequestResponse(request=self._message(record))
                if loop.time() >= end:
                    return

    async def GetRequestObject(
        self, request: pb.GetRequestObjectRequest, context: _Context
    ) -> pb.GetRequestObjectResponse:
        """The signed JWT, for a caller that serves it itself."""
        request_id = resource_id(request.name, COLLECTION)
        signed = await self._presentations.requests.request_object(request_id, owner=_owner())
        return pb.GetRequestObjectResponse(request_object=signed)

    async def SubmitPresentation(
        self, request: pb.SubmitPresentationRequest, context: _Context
    ) -> pb.SubmitPresentationResponse:
        """A wallet's answer, for a caller that receives it itself."""
        response = PresentationResponse.of(
            state=request.state_parameter,
            id_token=request.id_token,
            vp_token=request.vp_token,
            error=request.error,
        )
        record = await self._presentations.submissions.submit(response, owner=_owner())
        return pb.SubmitPresentationResponse(request=self._message(record))

    async def VerifyPresentation(
        self, request: pb.VerifyPresentationRequest, context: _Context
    ) -> pb.VerifyPresentationResponse:
        """The report on an answer to a request of the caller's own."""
        for name, value, limit in (
            ("verifier", request.verifier, None),
            ("presentation_definition", request.presentation_definition, None),
            ("nonce", request.nonce, _MAX_NONCE),
            ("id_token", request.id_token, MAX_ID_TOKEN),
            ("vp_token", request.vp_token, MAX_VP_TOKEN),
        ):
            _require(name, value, limit)
        asked = VerificationInput(
            verifier=self._presentations.verifiers.named(request.verifier, caller=_owner()),
            definition=definition_of(request.presentation_definition),
            nonce=request.nonce,
            id_token=request.id_token,
            vp_token=request.vp_token,
            at_time=_at_time(request),
        )
        result = await self._presentations.verifier.verify(asked)
        return pb.VerifyPresentationResponse(verification=verification_message(result))

    def _message(self, record: RequestRecord) -> pb.PresentationRequest:
        return request_message(record, self._presentations.requests.clock())


def _owner() -> str:
    return current_call().principal.name


def _definition_text(request: pb.CreatePresentationRequestRequest) -> str:
    match request.WhichOneof("query"):
        case "presentation_definition" if request.presentation_definition:
            return request.presentation_definition
        case "verified_employee":
            query = request.verified_employee
            return verified_employee_definition(uuid4(), tuple(query.required_claims), query.purpose)
    raise RequestError(Reason.MISSING_FIELD, "Say what is asked for.", field="presentation_definition")


def _lifetime(request: pb.CreatePresentationRequestRequest) -> int | None:
    if not request.HasField("lifetime"):
        return None
    if request.lifetime.nanos:
        raise RequestError(Reason.INVALID_FIELD, "A lifetime is in whole seconds.", field="lifetime")
    return request.lifetime.seconds


def _at_time(request: pb.VerifyPresentationRequest) -> int | None:
    if not request.HasField("at_time"):
        return None
    if not 0 <= request.at_time.seconds <= MAX_NUMERIC_DATE:
        raise RequestError(Reason.INVALID_FIELD, "The time is out of range.", field="at_time")
    return request.at_time.seconds


def _require(name: str, value: str, limit: int | None) -> None:
    if not value:
        raise RequestError(Reason.MISSING_FIELD, f"{name} is required.", field=name)
    if limit is not None and (len(value) > limit or not value.isascii()):
        raise RequestError(
            Reason.INVALID_PRESENTATION_RESPONSE,
            f"{name} has at most {limit} characters of ASCII.",
            field=name,
        )
