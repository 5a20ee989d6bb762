"""What a caller can be told went wrong, whichever door it came through.

    GatewayError                  reason, field, metadata, retry_after
    ├── RequestError              the request itself is at fault; sending it again cannot help
    ├── AuthenticationError       who the caller or the client is could not be established
    ├── AuthorizationError        known, but not allowed
    ├── StateError                not found, exists already, changed meanwhile, in the wrong state
    └── AvailabilityError         the request may be fine; a part that it needs is not; retry may help

A reason is stable: clients switch on it, `rpc.status` maps it to a canonical gRPC code, and the edge maps it
to an OAuth or ACME error. The message is for a human reading a log of *their own* side: it names fields and
remedies, never secrets, internals or whether a resource exists that the caller may not see. What really
happened goes to our log as the exception's ``__cause__`` or as `cause`.
"""

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum


class Reason(StrEnum):
    """A stable reason. Each has a row in ``countersign.v1.ErrorReason`` and in docs/errors.md."""

    # The request
    INVALID_FIELD = "INVALID_FIELD"
    MISSING_FIELD = "MISSING_FIELD"
    INVALID_REQUEST = "INVALID_REQUEST"
    MESSAGE_TOO_LARGE = "MESSAGE_TOO_LARGE"
    INVALID_PAGE_TOKEN = "INVALID_PAGE_TOKEN"
    INVALID_CLIENT_METADATA = "INVALID_CLIENT_METADATA"
    UNSUPPORTED_GRANT_TYPE = "UNSUPPORTED_GRANT_TYPE"
    INVALID_SCOPE = "INVALID_SCOPE"
    INVALID_TARGET = "INVALID_TARGET"
    INVALID_GRANT = "INVALID_GRANT"
    INVALID_DPOP_PROOF = "INVALID_DPOP_PROOF"
    CLIENT_CERTIFICATE_MALFORMED = "CLIENT_CERTIFICATE_MALFORMED"
    TERMINATOR_HEADER_REFUSED = "TERMINATOR_HEADER_REFUSED"
    CLIENT_PROOF_REFUSED = "CLIENT_PROOF_REFUSED"
    SIGNED_REQUEST_REFUSED = "SIGNED_REQUEST_REFUSED"
    BAD_NONCE = "BAD_NONCE"
    BAD_PUBLIC_KEY = "BAD_PUBLIC_KEY"
    UNSUPPORTED_IDENTIFIER = "UNSUPPORTED_IDENTIFIER"
    REJECTED_IDENTIFIER = "REJECTED_IDENTIFIER"
    BAD_CSR = "BAD_CSR"
    BAD_REVOCATION_REASON = "BAD_REVOCATION_REASON"
    INVALID_PRESENTATION_DEFINITION = "INVALID_PRESENTATION_DEFINITION"
    INVALID_PRESENTATION_RESPONSE = "INVALID_PRESENTATION_RESPONSE"
    # Who
    CALLER_UNAUTHENTICATED = "CALLER_UNAUTHENTICATED"
    INVALID_CLIENT = "INVALID_CLIENT"
    CLIENT_CERTIFICATE_REQUIRED = "CLIENT_CERTIFICATE_REQUIRED"
    INVALID_TOKEN = "INVALID_TOKEN"
    USE_DPOP_NONCE = "USE_DPOP_NONCE"
    # May
    PERMISSION_DENIED = "PERMISSION_DENIED"
    UNAUTHORIZED_CLIENT = "UNAUTHORIZED_CLIENT"
    EXTERNAL_ACCOUNT_REQUIRED = "EXTERNAL_ACCOUNT_REQUIRED"
    ACCOUNT_UNUSABLE = "ACCOUNT_UNUSABLE"
    # State
    CLIENT_NOT_FOUND = "CLIENT_NOT_FOUND"
    CLIENT_ALREADY_EXISTS = "CLIENT_ALREADY_EXISTS"
    KEY_NOT_FOUND = "KEY_NOT_FOUND"
    KEY_ALREADY_EXISTS = "KEY_ALREADY_EXISTS"
    KEY_STATE_CONFLICT = "KEY_STATE_CONFLICT"
    KEY_UNUSABLE = "KEY_UNUSABLE"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    ACCOUNT_NOT_FOUND = "ACCOUNT_NOT_FOUND"
    ENROLLMENT_NOT_FOUND = "ENROLLMENT_NOT_FOUND"
    ACCOUNT_KEY_IN_USE = "ACCOUNT_KEY_IN_USE"
    ORDER_NOT_READY = "ORDER_NOT_READY"
    ALREADY_REVOKED = "ALREADY_REVOKED"
    ALREADY_REPLACED = "ALREADY_REPLACED"
    VERIFIER_NOT_FOUND = "VERIFIER_NOT_FOUND"
    PRESENTATION_REQUEST_NOT_FOUND = "PRESENTATION_REQUEST_NOT_FOUND"
    PRESENTATION_REQUEST_ALREADY_EXISTS = "PRESENTATION_REQUEST_ALREADY_EXISTS"
    PRESENTATION_REQUEST_CLOSED = "PRESENTATION_REQUEST_CLOSED"
    # Availability
    SIGNER_UNAVAILABLE = "SIGNER_UNAVAILABLE"
    SIGNER_BUSY = "SIGNER_BUSY"
    NO_ACTIVE_KEY = "NO_ACTIVE_KEY"
    ISSUER_UNAVAILABLE = "ISSUER_UNAVAILABLE"
    IDENTITY_PROVIDER_UNAVAILABLE = "IDENTITY_PROVIDER_UNAVAILABLE"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    AUDIT_UNAVAILABLE = "AUDIT_UNAVAILABLE"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    OVERLOADED = "OVERLOADED"
    RATE_LIMITED = "RATE_LIMITED"
    SHUTTING_DOWN = "SHUTTING_DOWN"
    INTERNAL = "INTERNAL"


class GatewayError(Exception):
    """Root of what a caller is told. Everything but `cause` may leave the process.

    - *reason*: stable, see `Reason`.
    - *field*: path of the offending request field in proto notation (``grant.client_credentials.scope``).
    - *metadata*: stable keys of ErrorInfo; short strings.
    - *retry_after*: how long to wait before the same request may succeed; None where waiting cannot help.
    - *cause*: a stable word for our own log (``client_disabled``), never sent.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        field: str | None = None,
        metadata: Mapping[str, str] | None = None,
        retry_after: timedelta | None = None,
        cause: str | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.metadata: Mapping[str, str] = metadata or {}
        self.retry_after = retry_after
        self.cause = cause


class RequestError(GatewayError):
    """The request itself is at fault."""


class AuthenticationError(GatewayError):
    """Who the caller or the client is could not be established."""


class DpopNonceError(AuthenticationError):
    """The DPoP proof must carry a nonce of ours (RFC 9449 §8 and §9); *nonce* is one, and is no secret."""

    def __init__(self, nonce: str, *, cause: str) -> None:
        super().__init__(
            Reason.USE_DPOP_NONCE,
            "Make a new DPoP proof with the nonce that comes with this error.",
            cause=cause,
        )
        self.nonce = nonce


class AuthorizationError(GatewayError):
    """The caller is known, but may not do this."""


class StateError(GatewayError):
    """Not found, exists already, changed meanwhile, or in the wrong state."""


class AvailabilityError(GatewayError):
    """A part that the request needs is not available now."""
