"""Everything `gateway.jose` may raise: one root, and a stable code for each way to fail.

    JoseError    code (a `JoseFault`), member (the header, key or claim member at fault, or None)

Codes name the rule that was broken, so that a use case can map them to its own reason and a log can be
searched for them. Messages carry member names and sizes, never a token, a signature or a key.
"""

from enum import StrEnum


class JoseFault(StrEnum):
    """A stable code: the rule that refused the input."""

    # Encoding and JSON
    INVALID_BASE64URL = "invalid_base64url"
    INVALID_UTF8 = "invalid_utf8"
    INVALID_JSON = "invalid_json"
    DUPLICATE_MEMBER = "duplicate_member"
    JSON_TOO_DEEP = "json_too_deep"
    JSON_TOO_LARGE = "json_too_large"
    NOT_AN_OBJECT = "not_an_object"
    # The compact JWS and its header
    TOKEN_TOO_LARGE = "token_too_large"
    MALFORMED_COMPACT = "malformed_compact"
    HEADER_TOO_LARGE = "header_too_large"
    INVALID_HEADER = "invalid_header"
    ALG_MISSING = "alg_missing"
    ALG_NONE = "alg_none"
    ALG_SYMMETRIC = "alg_symmetric"
    ALG_UNSUPPORTED = "alg_unsupported"
    ALG_MISMATCH = "alg_mismatch"
    CRIT_UNSUPPORTED = "crit_unsupported"
    B64_UNSUPPORTED = "b64_unsupported"
    ZIP_UNSUPPORTED = "zip_unsupported"
    INVALID_KID = "invalid_kid"
    EMBEDDED_KEY_MISSING = "embedded_key_missing"
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_INVALID = "signature_invalid"
    # Keys
    INVALID_KEY = "invalid_key"
    KEY_TYPE_UNSUPPORTED = "key_type_unsupported"
    SYMMETRIC_KEY = "symmetric_key"
    PRIVATE_KEY_MEMBER = "private_key_member"
    POINT_NOT_ON_CURVE = "point_not_on_curve"
    KEY_TOO_SMALL = "key_too_small"
    KEY_TOO_LARGE = "key_too_large"
    KEY_USE_MISMATCH = "key_use_mismatch"
    INVALID_X5C = "invalid_x5c"
    X5C_MISMATCH = "x5c_mismatch"
    TOO_MANY_KEYS = "too_many_keys"
    KEY_NOT_FOUND = "key_not_found"
    KEY_AMBIGUOUS = "key_ambiguous"
    # Claims
    TYP_MISMATCH = "typ_mismatch"
    CLAIM_MISSING = "claim_missing"
    CLAIM_INVALID = "claim_invalid"
    ISSUER_MISMATCH = "issuer_mismatch"
    AUDIENCE_MISMATCH = "audience_mismatch"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ISSUED_IN_FUTURE = "issued_in_future"


class JoseError(Exception):
    """Root of the package.

    *code* is stable; *member* names the header parameter, key member or claim concerned, where there is one.
    *message* holds names and numbers, never a value of the token.
    """

    def __init__(self, code: JoseFault, message: str, *, member: str | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.member = member
