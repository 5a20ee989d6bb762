"""Types of the services in countersign/v1/presentation_service.proto. Written by protos/generate.py; do not edit."""

from collections.abc import AsyncIterator, Awaitable, Iterator
from typing import Any

from countersign._multicallable import AsyncUnaryStream, AsyncUnaryUnary, UnaryStream, UnaryUnary
from countersign.v1 import presentation_service_pb2


class PresentationServiceStub:
    def __init__(self, channel: Any) -> None: ...
    CreatePresentationRequest: UnaryUnary[presentation_service_pb2.CreatePresentationRequestRequest, presentation_service_pb2.CreatePresentationRequestResponse]
    GetPresentationRequest: UnaryUnary[presentation_service_pb2.GetPresentationRequestRequest, presentation_service_pb2.GetPresentationRequestResponse]
    WatchPresentationRequest: UnaryStream[presentation_service_pb2.WatchPresentationRequestRequest, presentation_service_pb2.WatchPresentationRequestResponse]
    GetRequestObject: UnaryUnary[presentation_service_pb2.GetRequestObjectRequest, presentation_service_pb2.GetRequestObjectResponse]
    SubmitPresentation: UnaryUnary[presentation_service_pb2.SubmitPresentationRequest, presentation_service_pb2.SubmitPresentationResponse]
    VerifyPresentation: UnaryUnary[presentation_service_pb2.VerifyPresentationRequest, presentation_service_pb2.VerifyPresentationResponse]

class PresentationServiceAsyncStub:
    def __init__(self, channel: Any) -> None: ...
    CreatePresentationRequest: AsyncUnaryUnary[presentation_service_pb2.CreatePresentationRequestRequest, presentation_service_pb2.CreatePresentationRequestResponse]
    GetPresentationRequest: AsyncUnaryUnary[presentation_service_pb2.GetPresentationRequestRequest, presentation_service_pb2.GetPresentationRequestResponse]
    WatchPresentationRequest: AsyncUnaryStream[presentation_service_pb2.WatchPresentationRequestRequest, presentation_service_pb2.WatchPresentationRequestResponse]
    GetRequestObject: AsyncUnaryUnary[presentation_service_pb2.GetRequestObjectRequest, presentation_service_pb2.GetRequestObjectResponse]
    SubmitPresentation: AsyncUnaryUnary[presentation_service_pb2.SubmitPresentationRequest, presentation_service_pb2.SubmitPresentationResponse]
    VerifyPresentation: AsyncUnaryUnary[presentation_service_pb2.VerifyPresentationRequest, presentation_service_pb2.VerifyPresentationResponse]

class PresentationServiceServicer:
    def CreatePresentationRequest(
        self, request: presentation_service_pb2.CreatePresentationRequestRequest, context: Any
    ) -> Awaitable[presentation_service_pb2.CreatePresentationRequestResponse] | presentation_service_pb2.CreatePresentationRequestResponse: ...
    def GetPresentationRequest(
        self, request: presentation_service_pb2.GetPresentationRequestRequest, context: Any
    ) -> Awaitable[presentation_service_pb2.GetPresentationRequestResponse] | presentation_service_pb2.GetPresentationRequestResponse: ...
    def WatchPresentationRequest(
        self, request: presentation_service_pb2.WatchPresentationRequestRequest, context: Any
    ) -> AsyncIterator[presentation_service_pb2.WatchPresentationRequestResponse] | Iterator[presentation_service_pb2.WatchPresentationRequestResponse]: ...
    def GetRequestObject(
        self, request: presentation_service_pb2.GetRequestObjectRequest, context: Any
    ) -> Awaitable[presentation_service_pb2.GetRequestObjectResponse] | presentation_service_pb2.GetRequestObjectResponse: ...
    def SubmitPresentation(
        self, request: presentation_service_pb2.SubmitPresentationRequest, context: Any
    ) -> Awaitable[presentation_service_pb2.SubmitPresentationResponse] | presentation_service_pb2.SubmitPresentationResponse: ...
    def VerifyPresentation(
        self, request: presentation_service_pb2.VerifyPresentationRequest, context: Any
    ) -> Awaitable[presentation_service_pb2.VerifyPresentationResponse] | presentation_service_pb2.VerifyPresentationResponse: ...

def add_PresentationServiceServicer_to_server(servicer: PresentationServiceServicer, server: Any) -> None: ...
