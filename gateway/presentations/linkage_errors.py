"""Everything that linking a DID to an origin may raise: one root, and a stable code for each rule."""

from enum import StrEnum
from typing import Final


class LinkageFault(StrEnum):
    """A stable code: the rule that refused, or the step that failed."""

    # The DID's side
    NO_LINKED_DOMAIN = "no_linked_domain"
    ORIGIN_NOT_DECLARED = "origin_not_declared"
    INVALID_ORIGIN = "invalid_origin"
    TOO_MANY_ORIGINS = "too_many_origins"
    # The resource at the origin
    UNREACHABLE = "unreachable"
    NOT_FOUND = "not_found"
    FETCH_REFUSED = "fetch_refused"
    CONFIGURATION_TOO_LARGE = "configuration_too_large"
    INVALID_CONFIGURATION = "invalid_configuration"
    NO_CREDENTIAL = "no_credential"
    JSON_LD_UNSUPPORTED = "json_ld_unsupported"
    # The Domain Linkage Credential
    MALFORMED_CREDENTIAL = "malformed_credential"
    HEADER_REFUSED = "header_refused"
    CLAIMS_REFUSED = "claims_refused"
    SUBJECT_MISMATCH = "subject_mismatch"
    ISSUER_MISMATCH = "issuer_mismatch"
    ORIGIN_MISMATCH = "origin_mismatch"
    CONTEXT_MISSING = "context_missing"
    TYPE_MISSING = "type_missing"
    CREDENTIAL_ID_PRESENT = "credential_id_present"
    DATES_INVALID = "dates_invalid"
    DATES_MISMATCH = "dates_mismatch"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    KEY_REFUSED = "key_refused"
    SIGNATURE_INVALID = "signature_invalid"


_DID_SIDE: Final = "Well Known DID Configuration, Linked Domain Service Endpoint"
_RESOURCE: Final = "Well Known DID Configuration, DID Configuration Resource"
_CREDENTIAL: Final = "Well Known DID Configuration, Domain Linkage Credential"
_JWT: Final = "Well Known DID Configuration, JSON Web Token Proof Format"
_VERIFICATION: Final = "Well Known DID Configuration, DID Configuration Resource Verification"

_CLAUSES: Final = {
    LinkageFault.NO_LINKED_DOMAIN: _DID_SIDE,
    LinkageFault.ORIGIN_NOT_DECLARED: _DID_SIDE,
    LinkageFault.INVALID_ORIGIN: _DID_SIDE,
    LinkageFault.TOO_MANY_ORIGINS: _DID_SIDE,
    LinkageFault.UNREACHABLE: _RESOURCE,
    LinkageFault.NOT_FOUND: _RESOURCE,
    LinkageFault.FETCH_REFUSED: _RESOURCE,
    LinkageFault.CONFIGURATION_TOO_LARGE: _RESOURCE,
    LinkageFault.INVALID_CONFIGURATION: _RESOURCE,
    LinkageFault.NO_CREDENTIAL: _RESOURCE,
    LinkageFault.JSON_LD_UNSUPPORTED: "Well Known DID Configuration, Linked Data Proof Format",
    LinkageFault.MALFORMED_CREDENTIAL: _JWT,
    LinkageFault.HEADER_REFUSED: _JWT,
    LinkageFault.CLAIMS_REFUSED: _JWT,
    LinkageFault.SUBJECT_MISMATCH: _VERIFICATION,
    LinkageFault.ISSUER_MISMATCH: _VERIFICATION,
    LinkageFault.ORIGIN_MISMATCH: _VERIFICATION,
    LinkageFault.CONTEXT_MISSING: _CREDENTIAL,
    LinkageFault.TYPE_MISSING: _CREDENTIAL,
    LinkageFault.CREDENTIAL_ID_PRESENT: _CREDENTIAL,
    LinkageFault.DATES_INVALID: _CREDENTIAL,
    LinkageFault.DATES_MISMATCH: _JWT,
    LinkageFault.NOT_YET_VALID: "JWT VC Presentation Profile, Linked Domain Verification",
    LinkageFault.EXPIRED: "JWT VC Presentation Profile, Linked Domain Verification",
    LinkageFault.KEY_REFUSED: _VERIFICATION,
    LinkageFault.SIGNATURE_INVALID: _VERIFICATION,
}
_TRANSIENT: Final = frozenset({LinkageFault.UNREACHABLE})


class LinkageError(Exception):
    """*fault* is stable; *member* names the member concerned, where there is one.

    `clause` is the text that the input broke; `transient` says that asking again may help, so that the answer
    is not no but unknown.
    """

    def __init__(self, fault: LinkageFault, message: str, *, member: str | None = None) -> None:
        super().__init__(f"{fault}: {message}")
        self.fault = fault
        self.message = message
        self.member = member

    @property
    def clause(self) -> str:
        """The clause that the input broke, by its title."""
        return _CLAUSES[self.fault]

    @property
    def transient(self) -> bool:
        """Whether the question could not be answered now."""
        return self.fault in _TRANSIENT

    def again(self) -> "LinkageError":
        """A new error of the same content: each waiter raises one of their own."""
        return LinkageError(self.fault, self.message, member=self.member)
