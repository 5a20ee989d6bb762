"""Everything that a call may raise.

    CountersignError              a defect or an answer that fits nothing below
    ├── InvalidRequestError       the request is at fault; sending it again cannot help
    ├── AuthenticationError       who the caller or the OAuth client is could not be established
    ├── PermissionDeniedError     known, but not allowed
    ├── NotFoundError             the resource does not exist
    ├── ConflictError             exists already, changed meanwhile, or in the wrong state
    ├── UnavailableError          the gateway, or a part that it needs, cannot answer now
    └── DeadlineExceededError     the time for the call is over; whether it took effect is not known

Switch on the class, or on `reason` where more than the class matters. Messages are for a log and may change.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import grpc

from countersign.v1.reason import Reason


@dataclass(frozen=True, slots=True)
class FieldViolation:
    """A field of the request and the rule that it breaks. `field` is a path in proto notation (``scope``)."""

    field: str
    description: str


class CountersignError(Exception):
    """A call failed.

    - *reason*: stable; a name of `Reason`, or one that is newer than this client. None where the failure did
      not come from the gateway's rules: no connection, a deadline that passed here.
    - *message*: for a human.
    - *field_violations*: which fields are at fault.
    - *metadata*: the data of the reason, as ErrorInfo carries it.
    - *retry_after*: how long to wait before the same request may succeed; None where the gateway did not say.
    - *code*: the gRPC status code.
    - *request_id*: names the call in the gateway's log.
    - *dpop_nonce*: what the next DPoP proof must carry, where the gateway asks for it (RFC 9449 §8).
    """

    def __init__(
        self,
        message: str,
        *,
        code: grpc.StatusCode,
        reason: str | None = None,
        field_violations: tuple[FieldViolation, ...] = (),
        metadata: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
        request_id: str | None = None,
        dpop_nonce: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.reason = reason
        self.field_violations = field_violations
        self.metadata: Mapping[str, str] = metadata or {}
        self.retry_after = retry_after
        self.request_id = request_id
        self.dpop_nonce = dpop_nonce

    def __str__(self) -> str:
        """The reason or code, the message, the fields at fault and the request id."""
        parts = [f"{self.reason or self.code.name}: {self.message}"]
        parts += [f"{each.field}: {each.description}" for each in self.field_violations]
        if self.request_id is not None:
            parts.append(f"request id {self.request_id}")
        return "; ".join(parts)


class InvalidRequestError(CountersignError):
    """The request itself is at fault."""


class AuthenticationError(CountersignError):
    """Who the caller or the OAuth client is could not be established."""


class PermissionDeniedError(CountersignError):
    """The caller or client is known, but may not do this."""


class NotFoundError(CountersignError):
    """The resource does not exist."""


class ConflictError(CountersignError):
    """The resource exists already, changed meanwhile, or is in the wrong state."""


class UnavailableError(CountersignError):
    """The gateway, or a part that it needs, cannot answer now; safe calls were repeated before this."""


class DeadlineExceededError(CountersignError):
    """The time for the call is over. A call that changes something may have taken effect."""


CLASS_OF_REASON: Mapping[str, type[CountersignError]] = {
    Reason.INVALID_FIELD: InvalidRequestError,
    Reason.MISSING_FIELD: InvalidRequestError,
    Reason.INVALID_REQUEST: InvalidRequestError,
    Reason.MESSAGE_TOO_LARGE: InvalidRequestError,
    Reason.INVALID_PAGE_TOKEN: InvalidRequestError,
    Reason.INVALID_CLIENT_METADATA: InvalidRequestError,
    Reason.UNSUPPORTED_GRANT_TYPE: InvalidRequestError,
    Reason.INVALID_SCOPE: InvalidRequestError,
    Reason.INVALID_TARGET: InvalidRequestError,
    Reason.INVALID_GRANT: InvalidRequestError,
    Reason.INVALID_DPOP_PROOF: InvalidRequestError,
    Reason.CLIENT_CERTIFICATE_MALFORMED: InvalidRequestError,
    Reason.TERMINATOR_HEADER_REFUSED: InvalidRequestError,
    Reason.CALLER_UNAUTHENTICATED: AuthenticationError,
    Reason.INVALID_CLIENT: AuthenticationError,
    Reason.CLIENT_CERTIFICATE_REQUIRED: AuthenticationError,
    Reason.INVALID_TOKEN: AuthenticationError,
    Reason.USE_DPOP_NONCE: AuthenticationError,
    Reason.PERMISSION_DENIED: PermissionDeniedError,
    Reason.UNAUTHORIZED_CLIENT: PermissionDeniedError,
    Reason.CLIENT_NOT_FOUND: NotFoundError,
    Reason.CLIENT_ALREADY_EXISTS: ConflictError,
    Reason.KEY_NOT_FOUND: NotFoundError,
    Reason.KEY_ALREADY_EXISTS: ConflictError,
    Reason.KEY_STATE_CONFLICT: ConflictError,
    Reason.KEY_UNUSABLE: ConflictError,
    Reason.ETAG_MISMATCH: ConflictError,
    Reason.REQUEST_ID_REUSED: ConflictError,
    Reason.SIGNER_UNAVAILABLE: UnavailableError,
    Reason.SIGNER_BUSY: UnavailableError,
    Reason.NO_ACTIVE_KEY: UnavailableError,
    Reason.STORE_UNAVAILABLE: UnavailableError,
    Reason.AUDIT_UNAVAILABLE: UnavailableError,
    Reason.DEADLINE_EXCEEDED: DeadlineExceededError,
    Reason.OVERLOADED: UnavailableError,
    Reason.RATE_LIMITED: UnavailableError,
    Reason.SHUTTING_DOWN: UnavailableError,
    Reason.CLIENT_PROOF_REFUSED: InvalidRequestError,
    Reason.SIGNED_REQUEST_REFUSED: InvalidRequestError,
    Reason.BAD_NONCE: InvalidRequestError,
    Reason.BAD_PUBLIC_KEY: InvalidRequestError,
    Reason.UNSUPPORTED_IDENTIFIER: InvalidRequestError,
    Reason.REJECTED_IDENTIFIER: InvalidRequestError,
    Reason.BAD_CSR: InvalidRequestError,
    Reason.BAD_REVOCATION_REASON: InvalidRequestError,
    Reason.EXTERNAL_ACCOUNT_REQUIRED: PermissionDeniedError,
    Reason.ACCOUNT_UNUSABLE: PermissionDeniedError,
    Reason.ACCOUNT_NOT_FOUND: NotFoundError,
    Reason.ENROLLMENT_NOT_FOUND: NotFoundError,
    Reason.ACCOUNT_KEY_IN_USE: ConflictError,
    Reason.ORDER_NOT_READY: ConflictError,
    Reason.ALREADY_REVOKED: ConflictError,
    Reason.ALREADY_REPLACED: ConflictError,
    Reason.ISSUER_UNAVAILABLE: UnavailableError,
    Reason.INVALID_PRESENTATION_DEFINITION: InvalidRequestError,
    Reason.INVALID_PRESENTATION_RESPONSE: InvalidRequestError,
    Reason.VERIFIER_NOT_FOUND: NotFoundError,
    Reason.PRESENTATION_REQUEST_NOT_FOUND: NotFoundError,
    Reason.PRESENTATION_REQUEST_ALREADY_EXISTS: ConflictError,
    Reason.PRESENTATION_REQUEST_CLOSED: ConflictError,
    Reason.IDENTITY_PROVIDER_UNAVAILABLE: UnavailableError,
    Reason.INTERNAL: CountersignError,
}

# For a failure without a reason, or with one that is newer than this client.
CLASS_OF_CODE: Mapping[grpc.StatusCode, type[CountersignError]] = {
    grpc.StatusCode.INVALID_ARGUMENT: InvalidRequestError,
    grpc.StatusCode.OUT_OF_RANGE: InvalidRequestError,
    grpc.StatusCode.UNIMPLEMENTED: InvalidRequestError,
    grpc.StatusCode.UNAUTHENTICATED: AuthenticationError,
    grpc.StatusCode.PERMISSION_DENIED: PermissionDeniedError,
    grpc.StatusCode.NOT_FOUND: NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: ConflictError,
    grpc.StatusCode.FAILED_PRECONDITION: ConflictError,
    grpc.StatusCode.ABORTED: ConflictError,
    grpc.StatusCode.UNAVAILABLE: UnavailableError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: UnavailableError,
    grpc.StatusCode.DEADLINE_EXCEEDED: DeadlineExceededError,
}
