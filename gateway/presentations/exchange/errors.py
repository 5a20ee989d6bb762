"""Everything `gateway.presentations.exchange` may raise: one root, and a stable code for each rule.

    ExchangeError    code (an `ExchangeFault`), path (where in the document, as a JSONPath)
    WorkExceededError    evaluating would take more steps than allowed

`ExchangeError` is about a document that cannot be used at all: a definition of our own verifier, or a
submission of a wallet. What a usable submission fails to satisfy is a `Check`, not an error.
"""

from enum import StrEnum


class ExchangeFault(StrEnum):
    """A stable code: the rule that refused the document."""

    # Any document
    INVALID_JSON = "invalid_json"
    TOO_LARGE = "too_large"
    TOO_DEEP = "too_deep"
    MISSING_MEMBER = "missing_member"
    UNKNOWN_MEMBER = "unknown_member"
    INVALID_MEMBER = "invalid_member"
    TOO_MANY_ITEMS = "too_many_items"
    # Identifiers and references
    DUPLICATE_DESCRIPTOR = "duplicate_descriptor"
    DUPLICATE_FIELD_ID = "duplicate_field_id"
    UNKNOWN_FIELD_ID = "unknown_field_id"
    # Fields
    PATH_INVALID = "path_invalid"
    PATH_NOT_SINGULAR = "path_not_singular"
    PREDICATE_WITHOUT_FILTER = "predicate_without_filter"
    PREDICATE_FILTER_UNSUITABLE = "predicate_filter_unsuitable"
    # Filters
    FILTER_KEYWORD_UNSUPPORTED = "filter_keyword_unsupported"
    FILTER_REFERENCE = "filter_reference"
    FILTER_INVALID = "filter_invalid"
    FILTER_FORMAT_UNSUPPORTED = "filter_format_unsupported"
    PATTERN_UNSUPPORTED = "pattern_unsupported"
    # Submission requirements
    UNKNOWN_RULE = "unknown_rule"
    FROM_AMBIGUOUS = "from_ambiguous"
    UNKNOWN_GROUP = "unknown_group"
    DESCRIPTOR_NOT_GROUPED = "descriptor_not_grouped"
    PICK_UNBOUNDED = "pick_unbounded"
    PICK_RANGE_INVALID = "pick_range_invalid"
    PICK_UNSATISFIABLE = "pick_unsatisfiable"
    # Submissions
    NESTED_ID_MISMATCH = "nested_id_mismatch"
    NESTING_TOO_DEEP = "nesting_too_deep"


class ExchangeError(Exception):
    """Root of what a document is refused with.

    *code* is stable. *path* says where, as a JSONPath from the document's root; it holds member names of our
    own choosing and indices, never what the document carries.
    """

    def __init__(self, code: ExchangeFault, message: str, *, path: str = "$") -> None:
        super().__init__(f"{code} at {path}: {message}")
        self.code = code
        self.message = message
        self.path = path


class WorkExceededError(Exception):
    """Evaluating takes more steps than the budget allows; the answer stays unknown."""
