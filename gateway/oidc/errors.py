"""Everything `gateway.oidc` may raise: one root, and a stable code for each way to fail.

    OidcError                     fault (an `OidcFault`), member (claim, parameter or metadata member at
    fault) ├── ProviderError             the provider or the way to it failed us; says nothing about any token
    ├── IdTokenError              an ID token was refused
    ├── AuthorizationResponseError    the answer to an authorization or token request was refused, or is an
    error └── ClaimMappingError         a claim that a mapping needs is missing or of another type

The first is worth another try where `transient`; a verdict about a user is only in the others. Messages carry
names of members and sizes, never a token, a code or a claim's value.
"""

from enum import StrEnum


class OidcFault(StrEnum):
    """A stable code: the rule that refused, or the step that failed."""

    # The provider
    PROVIDER_UNREACHABLE = "provider_unreachable"
    PROVIDER_STATUS = "provider_status"
    METADATA_INVALID = "metadata_invalid"
    METADATA_ISSUER_MISMATCH = "metadata_issuer_mismatch"
    KEYS_INVALID = "keys_invalid"
    NOT_RENEWED = "not_renewed"
    ENDPOINT_MISSING = "endpoint_missing"
    # The ID token, OpenID Connect Core §3.1.3.7
    TOKEN_MALFORMED = "token_malformed"
    TYP_MISMATCH = "typ_mismatch"
    ALG_NOT_ALLOWED = "alg_not_allowed"
    KEY_NOT_FOUND = "key_not_found"
    KEY_AMBIGUOUS = "key_ambiguous"
    SIGNATURE_INVALID = "signature_invalid"
    CLAIM_MISSING = "claim_missing"
    CLAIM_INVALID = "claim_invalid"
    ISSUER_MISMATCH = "issuer_mismatch"
    AUDIENCE_MISMATCH = "audience_mismatch"
    AUDIENCE_UNTRUSTED = "audience_untrusted"
    AUTHORIZED_PARTY_MISSING = "authorized_party_missing"
    AUTHORIZED_PARTY_MISMATCH = "authorized_party_mismatch"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ISSUED_IN_FUTURE = "issued_in_future"
    ISSUED_TOO_LONG_AGO = "issued_too_long_ago"
    NONCE_MISSING = "nonce_missing"
    NONCE_MISMATCH = "nonce_mismatch"
    AUTHENTICATED_TOO_LONG_AGO = "authenticated_too_long_ago"
    ACR_MISMATCH = "acr_mismatch"
    ACCESS_TOKEN_HASH_MISMATCH = "access_token_hash_mismatch"
    CODE_HASH_MISMATCH = "code_hash_mismatch"
    # The authorization response and the token response
    RESPONSE_MALFORMED = "response_malformed"
    STATE_MISMATCH = "state_mismatch"
    RESPONSE_ISSUER_MISMATCH = "response_issuer_mismatch"
    RESPONSE_EXPIRED = "response_expired"
    AUTHORIZATION_REFUSED = "authorization_refused"
    CODE_REFUSED = "code_refused"
    CLIENT_REFUSED = "client_refused"
    TOKEN_RESPONSE_INVALID = "token_response_invalid"


class OidcError(Exception):
    """Root of the package: *fault* is stable, *member* names what it is about, where there is such a
    thing.
    """

    def __init__(self, fault: OidcFault, message: str, *, member: str | None = None) -> None:
        super().__init__(f"{fault}: {message}")
        self.fault = fault
        self.member = member


class ProviderError(OidcError):
    """The provider failed us. *retry_after* is in seconds; None where somebody must mend something first."""

    def __init__(
        self, fault: OidcFault, message: str, *, member: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(fault, message, member=member)
        self.retry_after = retry_after

    @property
    def transient(self) -> bool:
        """Whether the same call may succeed later without anybody changing anything."""
        return self.retry_after is not None


class IdTokenError(OidcError):
    """The ID token was refused."""


class AuthorizationResponseError(OidcError):
    """The answer was refused, or is an error answer.

    *error* is the provider's own error code (RFC 6749 §4.1.2.1 and §5.2), None where we refused; it is
    checked for its alphabet and length, its description is dropped.
    """

    def __init__(
        self, fault: OidcFault, message: str, *, member: str | None = None, error: str | None = None
    ) -> None:
        super().__init__(fault, message, member=member)
        self.error = error


class ClaimMappingError(OidcError):
    """A claim that a mapping needs is missing or of another type."""
