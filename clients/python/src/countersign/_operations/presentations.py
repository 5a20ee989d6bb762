"""The RPCs of PresentationService."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from google.protobuf.json_format import MessageToDict

from countersign._operations.operation import Operation
from countersign._wire import (
    enum_from_wire,
    enum_to_wire,
    required_time_from_wire,
    span_to_wire,
    time_from_wire,
    time_to_wire,
)
from countersign.presentations import (
    CreatedPresentationRequest,
    CredentialState,
    PresentationCheck,
    PresentationCheckOutcome,
    PresentationRequest,
    PresentationRequestState,
    PresentationResponseMode,
    PresentationVerification,
    PresentedCredential,
    VerifiedEmployeeQuery,
)
from countersign.v1 import presentation_service_pb2 as pb


@dataclass(frozen=True, slots=True)
class PresentationWish:
    """The arguments of CreatePresentationRequest, as `create_presentation_request` explains them."""

    verifier: str
    query: VerifiedEmployeeQuery | Mapping[str, Any] | str
    nonce: str
    state_parameter: str
    purpose: str
    client_name: str
    response_uri: str
    response_mode: PresentationResponseMode | None
    lifetime: timedelta | None
    qr_code: bool
    return_uri: str


def create_presentation_request(wish: PresentationWish) -> Operation[CreatedPresentationRequest]:
    def request() -> pb.CreatePresentationRequestRequest:
        return pb.CreatePresentationRequestRequest(
            verifier=wish.verifier,
            nonce=wish.nonce,
            state_parameter=wish.state_parameter,
            purpose=wish.purpose,
            client_name=wish.client_name,
            response_uri=wish.response_uri,
            response_mode=None
            if wish.response_mode is None
            else enum_to_wire(pb.PresentationResponseMode, wish.response_mode),
            lifetime=span_to_wire(wish.lifetime),
            qr_code=wish.qr_code,
            return_uri=wish.return_uri,
            **_query(wish.query),
        )

    def result(response: pb.CreatePresentationRequestResponse) -> CreatedPresentationRequest:
        return CreatedPresentationRequest(_request(response.request), response.qr_svg, response.qr_png)

    # A second attempt would make another request, or find its own nonce used.
    return Operation("presentations", "CreatePresentationRequest", request, result, repeatable=False)


def get_presentation_request(name: str) -> Operation[PresentationRequest]:
    return Operation(
        "presentations",
        "GetPresentationRequest",
        lambda: pb.GetPresentationRequestRequest(name=name),
        lambda response: _request(response.request),
    )


def watch_presentation_request(name: str) -> Operation[PresentationRequest]:
    return Operation(
        "presentations",
        "WatchPresentationRequest",
        lambda: pb.WatchPresentationRequestRequest(name=name),
        lambda response: _request(response.request),
    )


def get_request_object(name: str) -> Operation[str]:
    return Operation(
        "presentations",
        "GetRequestObject",
        lambda: pb.GetRequestObjectRequest(name=name),
        lambda response: response.request_object,
    )


def submit_presentation(
    state_parameter: str, id_token: str, vp_token: str, error: str
) -> Operation[PresentationRequest]:
    # An answer uses its request up: the second attempt would find it closed.
    return Operation(
        "presentations",
        "SubmitPresentation",
        lambda: pb.SubmitPresentationRequest(
            state_parameter=state_parameter, id_token=id_token, vp_token=vp_token, error=error
        ),
        lambda response: _request(response.request),
        repeatable=False,
    )


def verify_presentation(
    verifier: str,
    presentation_definition: Mapping[str, Any] | str,
    nonce: str,
    id_token: str,
    vp_token: str,
    at_time: datetime | None,
) -> Operation[PresentationVerification]:
    def request() -> pb.VerifyPresentationRequest:
        return pb.VerifyPresentationRequest(
            verifier=verifier,
            presentation_definition=_json(presentation_definition),
            nonce=nonce,
            id_token=id_token,
            vp_token=vp_token,
            at_time=time_to_wire(at_time),
        )

    return Operation(
        "presentations",
        "VerifyPresentation",
        request,
        lambda response: _verification(response.verification),
    )


def _query(query: VerifiedEmployeeQuery | Mapping[str, Any] | str) -> dict[str, Any]:
    if isinstance(query, VerifiedEmployeeQuery):
        employee = pb.VerifiedEmployeeQuery(required_claims=query.required_claims, purpose=query.purpose)
        return {"verified_employee": employee}
    return {"presentation_definition": _json(query)}


def _json(document: Mapping[str, Any] | str) -> str:
    return document if isinstance(document, str) else json.dumps(document)


def _request(request: pb.PresentationRequest) -> PresentationRequest:
    answered = request.HasField("verification")
    return PresentationRequest(
        name=request.name,
        verifier=request.verifier,
        state=enum_from_wire(PresentationRequestState, pb.PresentationRequestState, request.state),
        authorization_request_uri=request.authorization_request_uri,
        request_uri=request.request_uri,
        create_time=required_time_from_wire(request.create_time),
        expire_time=required_time_from_wire(request.expire_time),
        fetch_time=time_from_wire(request, "fetch_time"),
        submit_time=time_from_wire(request, "submit_time"),
        verification=_verification(request.verification) if answered else None,
        wallet_error=request.wallet_error,
        nonce=request.nonce,
        response_code=request.response_code,
    )


def _verification(verification: pb.PresentationVerification) -> PresentationVerification:
    return PresentationVerification(
        accepted=verification.accepted,
        checks=tuple(_check(each) for each in verification.checks),
        holder=verification.holder,
        credentials=tuple(_credential(each) for each in verification.credentials),
        evaluation_time=required_time_from_wire(verification.evaluation_time),
        at_time=verification.at_time,
    )


def _check(check: pb.PresentationCheck) -> PresentationCheck:
    return PresentationCheck(
        code=check.code,
        outcome=enum_from_wire(PresentationCheckOutcome, pb.PresentationCheckOutcome, check.outcome),
        clause=check.clause,
        path=check.path,
        detail=check.detail,
        advisory=check.advisory,
        reason=check.reason,
    )


def _credential(presented: pb.PresentedCredential) -> PresentedCredential:
    return PresentedCredential(
        descriptor_id=presented.descriptor_id,
        issuer=presented.issuer,
        subject=presented.subject,
        types=tuple(presented.types),
        credential=MessageToDict(presented.credential),
        state=enum_from_wire(CredentialState, pb.CredentialState, presented.state)
        if presented.state
        else None,
        linked_origin=presented.linked_origin,
    )
