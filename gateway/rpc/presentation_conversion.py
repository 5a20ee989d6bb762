"""Between the rules and the wire, for presentations."""

from collections.abc import Mapping
from typing import Any, Final

from countersign.v1 import presentation_service_pb2 as pb
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from gateway.errors import Reason, RequestError
from gateway.presentations.checks import Check, Outcome
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.request import RequestRecord, RequestStatus, ResponseMode
from gateway.presentations.result import VerificationResult, VerifiedCredential

COLLECTION: Final = "presentationRequests"

_STATES: Final[Mapping[RequestStatus, pb.PresentationRequestState]] = {
    RequestStatus.CREATED: pb.PRESENTATION_REQUEST_STATE_CREATED,
    RequestStatus.FETCHED: pb.PRESENTATION_REQUEST_STATE_FETCHED,
    RequestStatus.SUBMITTED: pb.PRESENTATION_REQUEST_STATE_SUBMITTED,
    RequestStatus.VERIFIED: pb.PRESENTATION_REQUEST_STATE_VERIFIED,
    RequestStatus.REFUSED: pb.PRESENTATION_REQUEST_STATE_REFUSED,
    RequestStatus.EXPIRED: pb.PRESENTATION_REQUEST_STATE_EXPIRED,
}
_OUTCOMES: Final[Mapping[Outcome, pb.PresentationCheckOutcome]] = {
    Outcome.PASSED: pb.PRESENTATION_CHECK_OUTCOME_PASSED,
    Outcome.FAILED: pb.PRESENTATION_CHECK_OUTCOME_FAILED,
    Outcome.SKIPPED: pb.PRESENTATION_CHECK_OUTCOME_SKIPPED,
    Outcome.UNKNOWN: pb.PRESENTATION_CHECK_OUTCOME_UNKNOWN,
}
_CREDENTIAL_STATES: Final[Mapping[CredentialState | None, pb.CredentialState]] = {
    None: pb.CREDENTIAL_STATE_UNSPECIFIED,
    CredentialState.ACTIVE: pb.CREDENTIAL_STATE_ACTIVE,
    CredentialState.SUSPENDED: pb.CREDENTIAL_STATE_SUSPENDED,
    CredentialState.REVOKED: pb.CREDENTIAL_STATE_REVOKED,
}
_MODES: Final[Mapping[pb.PresentationResponseMode, ResponseMode | None]] = {
    pb.PRESENTATION_RESPONSE_MODE_UNSPECIFIED: None,
    pb.PRESENTATION_RESPONSE_MODE_POST: ResponseMode.POST,
    pb.PRESENTATION_RESPONSE_MODE_DIRECT_POST: ResponseMode.DIRECT_POST,
}


def request_message(record: RequestRecord, now: float) -> pb.PresentationRequest:
    """A request on the wire, as it is at *now* (seconds since the epoch)."""
    request = record.request
    message = pb.PresentationRequest(
        name=f"{COLLECTION}/{request.request_id}",
        verifier=request.verifier,
        state=_STATES[record.status(now)],
        authorization_request_uri=request.authorization_request_uri,
        request_uri=request.request_uri,
        create_time=_timestamp(request.create_time),
        expire_time=_timestamp(request.expire_time),
        fetch_time=None if record.fetch_time is None else _timestamp(record.fetch_time),
        submit_time=None if record.submit_time is None else _timestamp(record.submit_time),
        wallet_error=record.wallet_error or "",
        nonce=request.nonce,
        response_code=request.response_code,
    )
    if record.result is not None:
        message.verification.CopyFrom(verification_message(record.result))
    return message


def verification_message(result: VerificationResult) -> pb.PresentationVerification:
    """A report on the wire."""
    return pb.PresentationVerification(
        accepted=result.accepted,
        checks=[_check(each) for each in result.checks],
        holder=result.holder or "",
        credentials=[_credential(each) for each in result.credentials],
        evaluation_time=_timestamp(result.evaluation_time),
        at_time=result.at_time,
    )


def response_mode_of(mode: pb.PresentationResponseMode) -> ResponseMode | None:
    """What a caller asks for; None for the configured one. Raises `RequestError` INVALID_FIELD."""
    if mode not in _MODES:
        raise RequestError(Reason.INVALID_FIELD, "There is no such mode.", field="response_mode")
    return _MODES[mode]


def _check(check: Check) -> pb.PresentationCheck:
    return pb.PresentationCheck(
        code=check.code,
        outcome=_OUTCOMES[check.outcome],
        clause=check.clause,
        path=check.path,
        detail=check.detail,
        advisory=check.advisory,
        reason=check.reason,
    )


def _credential(credential: VerifiedCredential) -> pb.PresentedCredential:
    return pb.PresentedCredential(
        descriptor_id=credential.descriptor_id,
        issuer=credential.issuer,
        subject=credential.subject,
        types=credential.types,
        credential=_struct(credential.credential),
        state=_CREDENTIAL_STATES[credential.state],
        linked_origin=credential.linked_origin or "",
    )


def _struct(members: Mapping[str, Any]) -> Struct:
    # What was accepted is bounded JSON (Presentation Exchange refuses the rest); its numbers become doubles.
    struct = Struct()
    struct.update(dict(members))
    return struct


def _timestamp(seconds: float) -> Timestamp:
    stamp = Timestamp()
    stamp.FromMicroseconds(round(seconds * 1_000_000))
    return stamp
