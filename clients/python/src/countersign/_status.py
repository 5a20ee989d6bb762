"""From what gRPC reports to a `CountersignError`: the only reader of ``google.rpc.Status`` (AIP-193)."""

from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from countersign.errors import (
    CLASS_OF_CODE,
    CLASS_OF_REASON,
    CountersignError,
    FieldViolation,
    UnavailableError,
)

DOMAIN = "countersign"
REQUEST_ID = "x-request-id"
DPOP_NONCE = "dpop-nonce"

_CODES = {code.value[0]: code for code in grpc.StatusCode}


def error_of_call(call: Any, request_id: str) -> CountersignError:
    """The error for *call*, a failed `grpc.RpcError` of either kind of channel.

    *request_id* is the id that was sent; one that the gateway sent back takes its place.
    """
    code: grpc.StatusCode = call.code()
    if code is grpc.StatusCode.CANCELLED:
        # Nobody on this side cancelled: that raises otherwise. A server that began to shut down a moment ago
        # cancels what it has not begun, so the call is as safe to repeat as an UNAVAILABLE one.
        code = grpc.StatusCode.UNAVAILABLE
    answered = _metadata_value(call.trailing_metadata(), REQUEST_ID)
    answered = answered or _metadata_value(call.initial_metadata(), REQUEST_ID) or request_id
    try:
        status = rpc_status.from_call(call)
    except ValueError:  # The details contradict the status of the call: they are not from the gateway.
        status = None
    if status is None:
        status = status_pb2.Status(code=code.value[0], message=call.details() or "")
    error = error_of_status(status, answered)
    error.dpop_nonce = _metadata_value(call.trailing_metadata(), DPOP_NONCE)
    return error


def ended_early(request_id: str) -> CountersignError:
    """The error for a stream that the gateway ended, as it should, before what was waited for."""
    return UnavailableError(
        "The gateway ended the stream.", code=grpc.StatusCode.UNAVAILABLE, request_id=request_id
    )


def error_of_status(status: status_pb2.Status, request_id: str | None = None) -> CountersignError:
    """The error that *status* describes; details of other domains and unknown types are passed over."""
    code = _CODES.get(status.code, grpc.StatusCode.UNKNOWN)
    info, bad_request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    retry = error_details_pb2.RetryInfo()
    found = {each.DESCRIPTOR.name for each in (info, bad_request, retry) if _unpack(status, each)}
    ours = "ErrorInfo" in found and info.domain == DOMAIN
    kind = CLASS_OF_REASON.get(info.reason) if ours else None
    return (kind or CLASS_OF_CODE.get(code, CountersignError))(
        status.message,
        code=code,
        reason=info.reason if ours else None,
        field_violations=tuple(
            FieldViolation(each.field, each.description) for each in bad_request.field_violations
        ),
        metadata=dict(info.metadata) if ours else None,
        retry_after=retry.retry_delay.ToTimedelta() if "RetryInfo" in found else None,
        request_id=request_id,
    )


def _unpack(status: status_pb2.Status, target: Any) -> bool:
    return any(detail.Is(target.DESCRIPTOR) and detail.Unpack(target) for detail in status.details)


def _metadata_value(metadata: Any, name: str) -> str | None:
    for key, value in metadata or ():
        if key == name and isinstance(value, str):
            return value
    return None
