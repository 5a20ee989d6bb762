"""How an error is told: the one table from `Reason` to a canonical gRPC code, and the one way to a Status.

A Status carries ErrorInfo (reason, domain ``countersign``, metadata), BadRequest where a field is at fault,
and RetryInfo where the same request may succeed later (AIP-193). What caused it stays in our log.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from gateway.errors import AvailabilityError, GatewayError, Reason, RequestError
from gateway.telemetry.request_id import current_request_id
from signers import errors as signer_errors

DOMAIN = "countersign"
DETAILS_KEY = "grpc-status-details-bin"
MAX_TEXT = 256
"""Characters of a message or a metadata value. Status travels in trailers, which peers bound near 8 KiB."""
MAX_METADATA = 8
"""Entries of ErrorInfo.metadata beside the request id."""


@dataclass(frozen=True, slots=True)
class StatusRow:
    """The canonical code of a reason, and after how many seconds to retry where the error names no time.

    `server_fault` marks what an operator must see even where calls are not logged.
    """

    code: grpc.StatusCode
    retry_after: float | None = None
    server_fault: bool = False


_INVALID = StatusRow(grpc.StatusCode.INVALID_ARGUMENT)
_UNAUTHENTICATED = StatusRow(grpc.StatusCode.UNAUTHENTICATED)
_DENIED = StatusRow(grpc.StatusCode.PERMISSION_DENIED)
_NOT_FOUND = StatusRow(grpc.StatusCode.NOT_FOUND)
_EXISTS = StatusRow(grpc.StatusCode.ALREADY_EXISTS)
_PRECONDITION = StatusRow(grpc.StatusCode.FAILED_PRECONDITION)


def _unavailable(retry_after: float) -> StatusRow:
    return StatusRow(grpc.StatusCode.UNAVAILABLE, retry_after, server_fault=True)


STATUS: Mapping[Reason, StatusRow] = {
    Reason.INVALID_FIELD: _INVALID,
    Reason.MISSING_FIELD: _INVALID,
    Reason.INVALID_REQUEST: _INVALID,
    # The code that gRPC itself answers with where its own limit is passed first.
    Reason.MESSAGE_TOO_LARGE: StatusRow(grpc.StatusCode.RESOURCE_EXHAUSTED),
    Reason.INVALID_PAGE_TOKEN: _INVALID,
    Reason.INVALID_CLIENT_METADATA: _INVALID,
    Reason.UNSUPPORTED_GRANT_TYPE: _INVALID,
    Reason.INVALID_SCOPE: _INVALID,
    Reason.INVALID_TARGET: _INVALID,
    Reason.CLIENT_CERTIFICATE_MALFORMED: _INVALID,
    Reason.TERMINATOR_HEADER_REFUSED: _INVALID,
    Reason.CALLER_UNAUTHENTICATED: _UNAUTHENTICATED,
    Reason.INVALID_CLIENT: _UNAUTHENTICATED,
    Reason.CLIENT_CERTIFICATE_REQUIRED: _UNAUTHENTICATED,
    Reason.INVALID_TOKEN: _UNAUTHENTICATED,
    Reason.PERMISSION_DENIED: _DENIED,
    Reason.UNAUTHORIZED_CLIENT: _DENIED,
    Reason.CLIENT_NOT_FOUND: _NOT_FOUND,
    Reason.CLIENT_ALREADY_EXISTS: _EXISTS,
    Reason.KEY_NOT_FOUND: _NOT_FOUND,
    Reason.KEY_ALREADY_EXISTS: _EXISTS,
    Reason.KEY_STATE_CONFLICT: _PRECONDITION,
    Reason.KEY_UNUSABLE: _PRECONDITION,
    Reason.ETAG_MISMATCH: StatusRow(grpc.StatusCode.ABORTED),
    # Each value is valid alone; what the id stands for already is what forbids it.
    Reason.REQUEST_ID_REUSED: _PRECONDITION,
    Reason.SIGNER_UNAVAILABLE: _unavailable(1.0),
    Reason.SIGNER_BUSY: StatusRow(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.2),
    Reason.NO_ACTIVE_KEY: _unavailable(5.0),
    Reason.STORE_UNAVAILABLE: _unavailable(1.0),
    Reason.DEADLINE_EXCEEDED: StatusRow(grpc.StatusCode.DEADLINE_EXCEEDED),
    Reason.OVERLOADED: StatusRow(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.5),
    # Another replica can serve the call at once.
    Reason.SHUTTING_DOWN: StatusRow(grpc.StatusCode.UNAVAILABLE, 0.1),
    Reason.INTERNAL: StatusRow(grpc.StatusCode.INTERNAL, server_fault=True),
}


def to_gateway_error(error: BaseException) -> GatewayError:
    """What a caller may be told of *error*; the error itself becomes the ``__cause__``.

    A signer's own time limit that passes while the caller still has time is the signer's failure, hence
    SIGNER_UNAVAILABLE. A cancellation is nobody's answer: `asyncio.CancelledError` is raised again.
    """
    match error:
        case GatewayError():
            return error
        case asyncio.CancelledError():
            raise error
        case signer_errors.SignerBusyError():
            told: GatewayError = AvailabilityError(
                Reason.SIGNER_BUSY, "Too many signatures are waiting; retry after a pause."
            )
        case signer_errors.SignerError():
            told = AvailabilityError(
                Reason.SIGNER_UNAVAILABLE,
                "The signing key cannot be used now; nothing was issued.",
            )
        case TimeoutError():
            told = AvailabilityError(Reason.DEADLINE_EXCEEDED, "The deadline passed before the reply.")
        case DecodeError():
            told = RequestError(Reason.INVALID_REQUEST, "The message is not a valid protobuf of its type.")
        case _:
            told = GatewayError(
                Reason.INTERNAL,
                "An internal error; the gateway's log has it under the request id.",
            )
    told.__cause__ = error
    return told


def _any(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _duration(span: timedelta) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromTimedelta(span)
    return duration


def to_status_proto(error: BaseException) -> status_pb2.Status:
    """The `google.rpc.Status` of *error*, as it travels in trailers and in the items of a batch.

    Texts are cut at `MAX_TEXT` characters and metadata at `MAX_METADATA` entries, so that the client's own
    limit on trailers never hides the answer. Raises `asyncio.CancelledError` where *error* is one.
    """
    told = to_gateway_error(error)
    row = STATUS[told.reason]
    metadata = {key: value[:MAX_TEXT] for key, value in list(told.metadata.items())[:MAX_METADATA]}
    if request_id := current_request_id.get():
        metadata["request_id"] = request_id
    message = told.message[:MAX_TEXT]
    details = [_any(error_details_pb2.ErrorInfo(reason=told.reason, domain=DOMAIN, metadata=metadata))]
    if told.field is not None:
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=told.field[:MAX_TEXT], description=message, reason=told.reason
        )
        details.append(_any(error_details_pb2.BadRequest(field_violations=[violation])))
    retry_after = told.retry_after
    if retry_after is None and row.retry_after is not None:
        retry_after = timedelta(seconds=row.retry_after)
    if retry_after is not None:
        details.append(_any(error_details_pb2.RetryInfo(retry_delay=_duration(retry_after))))
    return status_pb2.Status(code=row.code.value[0], message=message, details=details)
