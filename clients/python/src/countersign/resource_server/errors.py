"""Why a resource server turns a request away.

    ResourceServerError
    ├── AccessRefusedError                what the request presented does not give access; not to be repeated
    │   ├── TokenMissingError             it presented no token
    │   ├── MalformedRequestError         its headers cannot be read in one way only
    │   ├── InvalidTokenError             the access token, or that it is this sender's
    │   ├── InvalidProofError             the DPoP proof
    │   ├── NonceRequiredError            the proof must carry `dpop_nonce`
    │   └── InsufficientScopeError        the token is good, but not for this
    └── VerificationUnavailableError      nothing can be said now: no keys, stale revocations, a full table

Switch on the class, and on `fault` where more matters. Messages hold no secret and nothing that a sender
chose, so they may be logged and sent.
"""

from collections.abc import Collection
from enum import StrEnum
from typing import ClassVar

import grpc

from countersign.tokens import TokenType


class Fault(StrEnum):
    """Which rule was broken. The class of the error says by what: the request, the token or the proof."""

    MISSING = "missing"
    REPEATED = "repeated"
    MALFORMED = "malformed"
    TOO_LARGE = "too_large"
    UNTRUSTED_SENDER = "untrusted_sender"
    TYP_MISMATCH = "typ_mismatch"
    ALG_NOT_ACCEPTED = "alg_not_accepted"
    PARAMETER_REFUSED = "parameter_refused"
    KEY_UNKNOWN = "key_unknown"
    KEY_INVALID = "key_invalid"
    SIGNATURE_INVALID = "signature_invalid"
    CLAIM_MISSING = "claim_missing"
    CLAIM_INVALID = "claim_invalid"
    ISSUER_MISMATCH = "issuer_mismatch"
    AUDIENCE_MISMATCH = "audience_mismatch"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ISSUED_IN_FUTURE = "issued_in_future"
    CONFIRMATION_MISSING = "confirmation_missing"
    CONFIRMATION_INVALID = "confirmation_invalid"
    SCHEME_MISMATCH = "scheme_mismatch"
    CERTIFICATE_MISSING = "certificate_missing"
    CERTIFICATE_MISMATCH = "certificate_mismatch"
    KEY_MISMATCH = "key_mismatch"
    REVOKED = "revoked"
    METHOD_MISMATCH = "method_mismatch"
    TARGET_MISMATCH = "target_mismatch"
    TOO_OLD = "too_old"
    TOKEN_MISMATCH = "token_mismatch"
    REPLAYED = "replayed"
    NONCE_MISSING = "nonce_missing"
    NONCE_MISMATCH = "nonce_mismatch"
    SCOPE_MISSING = "scope_missing"
    KEYS_UNAVAILABLE = "keys_unavailable"
    REVOCATIONS_STALE = "revocations_stale"
    TABLE_FULL = "table_full"


class ResourceServerError(Exception):
    """The request is not served.

    - *fault*: stable.
    - *message*: for a human.
    - `status`, `code`: the HTTP status, and the gRPC one.
    """

    status: ClassVar[int]
    code: ClassVar[grpc.StatusCode]

    def __init__(self, fault: Fault, message: str) -> None:
        super().__init__(f"{fault}: {message}")
        self.fault = fault
        self.message = message

    @property
    def challenges(self) -> tuple[str, ...]:
        """The values of WWW-Authenticate."""
        return ()


class VerificationUnavailableError(ResourceServerError):
    """Whether the request may be served cannot be said now, so it is not; it may be repeated."""

    status = 503
    code = grpc.StatusCode.UNAVAILABLE


class AccessRefusedError(ResourceServerError):
    """What the request presented does not give access.

    - `error`: the OAuth error code (RFC 6750 §3.1, RFC 9449 §7.1); None where no token was presented.
    - `scheme`: the scheme to challenge with; None for all that are accepted.
    - `dpop_algorithms`: what a proof may be signed with; empty where proofs are not accepted.
    - `dpop_nonce`: what the next proof must carry; None where that does not matter.
    """

    status = 401
    code = grpc.StatusCode.UNAUTHENTICATED
    error: ClassVar[str | None] = "invalid_token"
    scheme: TokenType | None = None
    dpop_algorithms: tuple[str, ...] = ()
    dpop_nonce: str | None = None

    def parameters(self) -> dict[str, str]:
        """The parameters that a challenge of any scheme carries (RFC 6750 §3)."""
        return {} if self.error is None else {"error": self.error, "error_description": self.message}

    @property
    def challenges(self) -> tuple[str, ...]:
        """One challenge for each scheme that may be tried (RFC 6750 §3, RFC 9449 §7.1)."""
        schemes = (self.scheme,) if self.scheme is not None else (TokenType.BEARER, TokenType.DPOP)
        return tuple(
            _challenge(scheme, self.parameters(), self.dpop_algorithms)
            for scheme in schemes
            if self.scheme is not None or scheme is TokenType.BEARER or self.dpop_algorithms
        )


class TokenMissingError(AccessRefusedError):
    """The request presents no access token; RFC 6750 §3.1 tells no error then."""

    error = None


class MalformedRequestError(AccessRefusedError):
    """The headers of the request cannot be read in one way only."""

    status = 400
    code = grpc.StatusCode.INVALID_ARGUMENT
    error = "invalid_request"


class InvalidTokenError(AccessRefusedError):
    """The access token is not valid here, or not shown to be this sender's."""


class InvalidProofError(AccessRefusedError):
    """The DPoP proof is not one of this request (RFC 9449 §4.3)."""

    error = "invalid_dpop_proof"
    scheme = TokenType.DPOP


class NonceRequiredError(InvalidProofError):
    """The DPoP proof must be made anew with `dpop_nonce` (RFC 9449 §9)."""

    error = "use_dpop_nonce"


class InsufficientScopeError(AccessRefusedError):
    """The token does not have all of *required*."""

    status = 403
    code = grpc.StatusCode.PERMISSION_DENIED
    error = "insufficient_scope"

    def __init__(self, required: Collection[str]) -> None:
        super().__init__(Fault.SCOPE_MISSING, "The access token lacks a scope that this needs.")
        self.required = tuple(required)

    def parameters(self) -> dict[str, str]:
        """With `scope`: all that is needed (RFC 6750 §3)."""
        return {**super().parameters(), "scope": " ".join(self.required)}


def _challenge(scheme: TokenType, parameters: dict[str, str], algorithms: tuple[str, ...]) -> str:
    if scheme is TokenType.DPOP and algorithms:
        parameters = {**parameters, "algs": " ".join(algorithms)}
    listed = ", ".join(f'{name}="{value}"' for name, value in parameters.items())
    return f"{scheme} {listed}" if listed else scheme.value
