"""Everything `gateway.pki` may raise: one root, and a stable code for each way to fail.

    PkiError    code (a `PkiFault`)

Messages say which rule was broken; they carry no certificate, and of names only what an operator registered.
"""

from enum import StrEnum


class PkiFault(StrEnum):
    """A stable code: the rule that refused the input."""

    # Names and registrations
    INVALID_NAME = "invalid_name"
    INVALID_IDENTITY = "invalid_identity"
    IDENTITY_COUNT = "identity_count"
    # Certificates
    MALFORMED_CERTIFICATE = "malformed_certificate"
    SUBJECT_MISMATCH = "subject_mismatch"
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    UNTRUSTED = "untrusted"
    WRONG_USAGE = "wrong_usage"
    NAME_CONSTRAINT = "name_constraint"
    CHAIN_TOO_LONG = "chain_too_long"
    # Configuration
    INVALID_ROOT = "invalid_root"
    INVALID_INTERMEDIATE = "invalid_intermediate"


class PkiError(Exception):
    """Root of the package. *code* is stable."""

    def __init__(self, code: PkiFault, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
