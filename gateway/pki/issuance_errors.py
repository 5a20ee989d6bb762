"""Everything that the issuing rooms of `gateway.pki` may raise, beside the `SignerError` of the signer.

    IssuanceError
    ├── RequestError      code (a `RequestFault`): what a client asked for is refused; ACME says badCSR
    ├── IssuingError      code (an `IssuingFault`): the CA or the call is wrong, and no client can help it
    └── RevocationError   code (a `RevocationFault`): an OCSP request or a renewal identifier cannot be read

Messages say which rule was broken, free of keys and of text that a client chose.
"""

from enum import StrEnum


class RequestFault(StrEnum):
    """Each way in which a certification request, or the names it leads to, is refused."""

    # Form
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    BAD_SIGNATURE = "bad_signature"
    WEAK_SIGNATURE_ALGORITHM = "weak_signature_algorithm"
    # Key
    UNSUPPORTED_KEY = "unsupported_key"
    WEAK_KEY = "weak_key"
    KEY_TYPE_REFUSED = "key_type_refused"
    KEY_MISMATCH = "key_mismatch"
    ACCOUNT_KEY_REUSED = "account_key_reused"
    # Attributes and extensions
    UNEXPECTED_ATTRIBUTE = "unexpected_attribute"
    DUPLICATE_ATTRIBUTE = "duplicate_attribute"
    UNKNOWN_EXTENSION = "unknown_extension"
    DUPLICATE_EXTENSION = "duplicate_extension"
    CA_REQUESTED = "ca_requested"
    USAGE_REFUSED = "usage_refused"
    # Subject
    INVALID_SUBJECT = "invalid_subject"
    MULTIPLE_COMMON_NAMES = "multiple_common_names"
    COMMON_NAME_MISMATCH = "common_name_mismatch"
    SUBJECT_MISMATCH = "subject_mismatch"
    # Text
    EMPTY_TEXT = "empty_text"
    TEXT_TOO_LONG = "text_too_long"
    CONTROL_CHARACTER = "control_character"
    BIDIRECTIONAL_CHARACTER = "bidirectional_character"
    INVISIBLE_CHARACTER = "invisible_character"
    PROHIBITED_CHARACTER = "prohibited_character"
    NOT_NORMALIZED = "not_normalized"
    LOOK_ALIKE = "look_alike"
    # Subject alternative names
    MISSING_SAN = "missing_san"
    UNEXPECTED_SAN = "unexpected_san"
    DUPLICATE_SAN = "duplicate_san"
    SAN_KIND = "san_kind"
    INVALID_SAN = "invalid_san"
    TOO_MANY_NAMES = "too_many_names"
    NAME_REFUSED = "name_refused"
    # Validity
    VALIDITY_REFUSED = "validity_refused"


class IssuingFault(StrEnum):
    """Each way in which a CA's configuration, or a call upon it, is wrong."""

    UNSUPPORTED_ALGORITHM = "unsupported_algorithm"
    NOT_DETERMINISTIC = "not_deterministic"
    # The chain at load
    MALFORMED_CHAIN = "malformed_chain"
    CHAIN_TOO_LONG = "chain_too_long"
    BROKEN_CHAIN = "broken_chain"
    NOT_A_CA = "not_a_ca"
    MISSING_KEY_IDENTIFIER = "missing_key_identifier"
    PATH_LENGTH = "path_length"
    KEY_MISMATCH = "key_mismatch"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    CRL_SIGN_MISSING = "crl_sign_missing"
    WRONG_USAGE = "wrong_usage"
    # The call
    INVALID_SERIAL = "invalid_serial"
    INVALID_PROFILE = "invalid_profile"
    INVALID_UPDATE_TIMES = "invalid_update_times"
    INVALID_ENTRY = "invalid_entry"


class RevocationFault(StrEnum):
    """Each way in which an OCSP request or a renewal identifier cannot be read."""

    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    UNSUPPORTED_HASH = "unsupported_hash"
    INVALID_NONCE = "invalid_nonce"
    UNKNOWN_ISSUER = "unknown_issuer"


class IssuanceError(Exception):
    """Root of these errors. *code* is stable."""

    code: StrEnum


class RequestError(IssuanceError):
    """What a client asked for is refused; asking again for the same will be refused again."""

    def __init__(self, code: RequestFault, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code: RequestFault = code


class IssuingError(IssuanceError):
    """The CA cannot issue this: its certificate, its signer or the call is wrong."""

    def __init__(self, code: IssuingFault, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code: IssuingFault = code


class RevocationError(IssuanceError):
    """An OCSP request or a renewal identifier cannot be read, or concerns another CA."""

    def __init__(self, code: RevocationFault, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code: RevocationFault = code
