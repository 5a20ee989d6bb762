"""How an error is told: the one table from `Reason` to a canonical gRPC code, and the one way to a Status.

A Status carries ErrorInfo (reason, domain ``countersign``, metadata), BadRequest where a field is at fault,
and RetryInfo where the same request may succeed later (AIP-193). What caused it stays in our log.
"""

from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from gateway import failures
from gateway.errors import DpopNonceError, GatewayError, Reason, RequestError
from gateway.telemetry.request_id import current_request_id

DOMAIN = "countersign"
DETAILS_KEY = "grpc-status-details-bin"
DPOP_NONCE_KEY = "dpop-nonce"
"""RFC 9449 §8.2: the nonce to use, in trailing metadata."""
MAX_TEXT = 256
"""Characters of a message or a metadata value. Status travels in trailers, which peers bound near 8 KiB."""
MAX_METADATA = 8
"""Entries of ErrorInfo.metadata beside the request id."""
_SPLICED = 8
"""Characters of a request id, of which as many zeros are nowhere else in a status."""


_INVALID = grpc.StatusCode.INVALID_ARGUMENT
_UNAUTHENTICATED = grpc.StatusCode.UNAUTHENTICATED
_DENIED = grpc.StatusCode.PERMISSION_DENIED
_NOT_FOUND = grpc.StatusCode.NOT_FOUND
_EXISTS = grpc.StatusCode.ALREADY_EXISTS
_PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
_UNAVAILABLE = grpc.StatusCode.UNAVAILABLE
_EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED

STATUS: Mapping[Reason, grpc.StatusCode] = {
    Reason.INVALID_FIELD: _INVALID,
    Reason.MISSING_FIELD: _INVALID,
    Reason.INVALID_REQUEST: _INVALID,
    # The code that gRPC itself answers with where its own limit is passed first.
    Reason.MESSAGE_TOO_LARGE: _EXHAUSTED,
    Reason.INVALID_PAGE_TOKEN: _INVALID,
    Reason.INVALID_CLIENT_METADATA: _INVALID,
    Reason.UNSUPPORTED_GRANT_TYPE: _INVALID,
    Reason.INVALID_SCOPE: _INVALID,
    Reason.INVALID_TARGET: _INVALID,
    Reason.INVALID_GRANT: _INVALID,
    Reason.INVALID_DPOP_PROOF: _INVALID,
    Reason.CLIENT_CERTIFICATE_MALFORMED: _INVALID,
    Reason.TERMINATOR_HEADER_REFUSED: _INVALID,
    Reason.CALLER_UNAUTHENTICATED: _UNAUTHENTICATED,
    Reason.INVALID_CLIENT: _UNAUTHENTICATED,
    Reason.CLIENT_CERTIFICATE_REQUIRED: _UNAUTHENTICATED,
    Reason.INVALID_TOKEN: _UNAUTHENTICATED,
    Reason.USE_DPOP_NONCE: _UNAUTHENTICATED,
    Reason.PERMISSION_DENIED: _DENIED,
    Reason.UNAUTHORIZED_CLIENT: _DENIED,
    Reason.CLIENT_NOT_FOUND: _NOT_FOUND,
    Reason.CLIENT_ALREADY_EXISTS: _EXISTS,
    Reason.KEY_NOT_FOUND: _NOT_FOUND,
    Reason.KEY_ALREADY_EXISTS: _EXISTS,
    Reason.KEY_STATE_CONFLICT: _PRECONDITION,
    Reason.KEY_UNUSABLE: _PRECONDITION,
    Reason.ETAG_MISMATCH: grpc.StatusCode.ABORTED,
    # Each value is valid alone; what the id stands for already is what forbids it.
    Reason.REQUEST_ID_REUSED: _PRECONDITION,
    Reason.SIGNER_UNAVAILABLE: _UNAVAILABLE,
    Reason.SIGNER_BUSY: _EXHAUSTED,
    Reason.NO_ACTIVE_KEY: _UNAVAILABLE,
    Reason.STORE_UNAVAILABLE: _UNAVAILABLE,
    Reason.AUDIT_UNAVAILABLE: _UNAVAILABLE,
    Reason.DEADLINE_EXCEEDED: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.OVERLOADED: _EXHAUSTED,
    Reason.RATE_LIMITED: _EXHAUSTED,
    Reason.SHUTTING_DOWN: _UNAVAILABLE,
    Reason.CLIENT_PROOF_REFUSED: _INVALID,
    Reason.SIGNED_REQUEST_REFUSED: _INVALID,
    Reason.BAD_NONCE: _INVALID,
    Reason.BAD_PUBLIC_KEY: _INVALID,
    Reason.UNSUPPORTED_IDENTIFIER: _INVALID,
    Reason.REJECTED_IDENTIFIER: _INVALID,
    Reason.BAD_CSR: _INVALID,
    Reason.BAD_REVOCATION_REASON: _INVALID,
    Reason.EXTERNAL_ACCOUNT_REQUIRED: _DENIED,
    Reason.ACCOUNT_UNUSABLE: _DENIED,
    Reason.ACCOUNT_NOT_FOUND: _NOT_FOUND,
    Reason.ENROLLMENT_NOT_FOUND: _NOT_FOUND,
    Reason.ACCOUNT_KEY_IN_USE: _EXISTS,
    Reason.ORDER_NOT_READY: _PRECONDITION,
    Reason.ALREADY_REVOKED: _PRECONDITION,
    Reason.ALREADY_REPLACED: _PRECONDITION,
    Reason.INVALID_PRESENTATION_DEFINITION: _INVALID,
    Reason.INVALID_PRESENTATION_RESPONSE: _INVALID,
    Reason.VERIFIER_NOT_FOUND: _NOT_FOUND,
    Reason.PRESENTATION_REQUEST_NOT_FOUND: _NOT_FOUND,
    Reason.PRESENTATION_REQUEST_ALREADY_EXISTS: _EXISTS,
    Reason.PRESENTATION_REQUEST_CLOSED: _PRECONDITION,
    Reason.ISSUER_UNAVAILABLE: _UNAVAILABLE,
    Reason.IDENTITY_PROVIDER_UNAVAILABLE: _UNAVAILABLE,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
}


def to_gateway_error(error: BaseException) -> GatewayError:
    """As `gateway.failures.to_gateway_error`, for what only protobuf raises too."""
    if isinstance(error, DecodeError):
        told = RequestError(Reason.INVALID_REQUEST, "The message is not a valid protobuf of its type.")
        told.__cause__ = error
        return told
    return failures.to_gateway_error(error)


def trailers_of(error: GatewayError) -> tuple[tuple[str, str], ...]:
    """What *error* adds to the trailing metadata beside its Status."""
    return ((DPOP_NONCE_KEY, error.nonce),) if isinstance(error, DpopNonceError) else ()


def _any(message: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed


def _duration(span: timedelta) -> duration_pb2.Duration:
    duration = duration_pb2.Duration()
    duration.FromTimedelta(span)
    return duration


def to_status_octets(told: GatewayError) -> bytes:
    """`to_status_proto` of *told*, serialized.

    Refusals without a field and metadata, of which a server under attack makes thousands a second, differ in
    their request id alone: it is put between the octets that are the same for all of a kind.
    """
    request_id = current_request_id.get()
    if told.field is not None or told.metadata or len(request_id) < _SPLICED or not request_id.isascii():
        return bytes(to_status_proto(told).SerializeToString())
    before, after = _around(told.reason, told.message, failures.retry_after(told), len(request_id))
    return before + request_id.encode() + after


@lru_cache(maxsize=1024)
def _around(reason: Reason, message: str, pause: timedelta | None, id_length: int) -> tuple[bytes, bytes]:
    """A serialized status with a request id of *id_length* characters: what is before it, and behind it."""
    held = "\0" * id_length
    token = current_request_id.set(held)
    try:
        status = to_status_proto(GatewayError(reason, message, retry_after=pause))
    finally:
        current_request_id.reset(token)
    before, _, after = status.SerializeToString().partition(held.encode())
    return before, after


def to_status_proto(error: BaseException) -> status_pb2.Status:
    """The `google.rpc.Status` of *error*, as it travels in trailers and in the items of a batch.

    Texts are cut at `MAX_TEXT` characters and metadata at `MAX_METADATA` entries, so that the client's own
    limit on trailers never hides the answer. Raises `asyncio.CancelledError` where *error* is one.
    """
    told = to_gateway_error(error)
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
    pause = failures.retry_after(told)
    if pause is not None:
        details.append(_any(error_details_pb2.RetryInfo(retry_delay=_duration(pause))))
    return status_pb2.Status(code=STATUS[told.reason].value[0], message=message, details=details)
