"""A presentation request, and what came of it, as JSON."""

import json
from typing import Any

from gateway.presentations.checks import Check, Outcome
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.request import PresentationRequest, ResponseMode
from gateway.presentations.result import VerificationResult, VerifiedCredential
from gateway.store.database import to_microseconds, to_seconds
from gateway.store.failures import StoreCause, unavailable


def to_document(request: PresentationRequest) -> str:
    """The JSON of *request*."""
    members = {
        "request_id": request.request_id,
        "owner": request.owner,
        "verifier": request.verifier,
        "client_id": request.client_id,
        "nonce": request.nonce,
        "state": request.state,
        "definition": request.definition,
        "response_mode": request.response_mode.value,
        "create_time": to_microseconds(request.create_time),
        "expire_time": to_microseconds(request.expire_time),
        "request_uri": request.request_uri,
        "request_object": request.request_object,
        "return_uri": request.return_uri,
        "response_code": request.response_code,
    }
    return json.dumps(members, separators=(",", ":"))


def from_document(document: str) -> PresentationRequest:
    """What `to_document` wrote. Raises `AvailabilityError` (``store_corrupt``) where it holds none."""
    try:
        members = json.loads(document)
        return PresentationRequest(
            **{
                **members,
                "response_mode": ResponseMode(members["response_mode"]),
                "create_time": to_seconds(members["create_time"]),
                "expire_time": to_seconds(members["expire_time"]),
            }
        )
    except (KeyError, TypeError, ValueError) as error:
        raise unavailable(StoreCause.CORRUPT, error) from error


def to_outcome(result: VerificationResult | None, wallet_error: str | None) -> str:
    """The JSON of what came of an answer."""
    members = {"wallet_error": wallet_error, "result": None if result is None else _from_result(result)}
    return json.dumps(members, separators=(",", ":"))


def from_outcome(outcome: str) -> tuple[VerificationResult | None, str | None]:
    """What `to_outcome` wrote. Raises `AvailabilityError` (``store_corrupt``) where it holds none."""
    try:
        members = json.loads(outcome)
        result = members["result"]
        return None if result is None else _to_result(result), members["wallet_error"]
    except (KeyError, TypeError, ValueError) as error:
        raise unavailable(StoreCause.CORRUPT, error) from error


def _from_result(result: VerificationResult) -> dict[str, Any]:
    return {
        "accepted": result.accepted,
        "holder": result.holder,
        "evaluation_time": result.evaluation_time,
        "at_time": result.at_time,
        "checks": [
            [each.code, each.outcome, each.clause, each.path, each.detail, each.advisory, each.reason]
            for each in result.checks
        ],
        "credentials": [
            {
                "descriptor_id": each.descriptor_id,
                "issuer": each.issuer,
                "subject": each.subject,
                "types": each.types,
                "credential": each.credential,
                "state": each.state,
                "linked_origin": each.linked_origin,
            }
            for each in result.credentials
        ],
    }


def _to_result(members: dict[str, Any]) -> VerificationResult:
    return VerificationResult(
        accepted=members["accepted"],
        checks=tuple(
            Check(code, Outcome(outcome), clause, path, detail, advisory, reason)
            for code, outcome, clause, path, detail, advisory, reason in members["checks"]
        ),
        holder=members["holder"],
        credentials=tuple(_to_credential(each) for each in members["credentials"]),
        evaluation_time=members["evaluation_time"],
        at_time=members["at_time"],
    )


def _to_credential(members: dict[str, Any]) -> VerifiedCredential:
    state = members["state"]
    return VerifiedCredential(
        **{
            **members,
            "types": tuple(members["types"]),
            "state": None if state is None else CredentialState(state),
        }
    )
