"""The codes of Presentation Exchange checks, and where each rule is written."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from gateway.presentations.checks import Check, Outcome


class ExchangeCheck(StrEnum):
    """A stable code: the rule that was applied."""

    DEFINITION_ID = "pe_definition_id"
    DESCRIPTOR_KNOWN = "pe_descriptor_known"
    DESCRIPTOR_UNIQUE = "pe_descriptor_unique"
    DESCRIPTOR_SUBMITTED = "pe_descriptor_submitted"
    DESCRIPTOR_LOCATED = "pe_descriptor_located"
    FORMAT_DECLARED = "pe_format_declared"
    FORMAT_ACCEPTED = "pe_format_accepted"
    SCHEMA_MATCHED = "pe_schema_matched"
    FIELD_PRESENT = "pe_field_present"
    FIELD_FILTER = "pe_field_filter"
    FIELD_PREDICATE = "pe_field_predicate"
    LIMIT_DISCLOSURE = "pe_limit_disclosure"
    SUBJECT_IS_ISSUER = "pe_subject_is_issuer"
    IS_HOLDER = "pe_is_holder"
    SAME_SUBJECT = "pe_same_subject"
    STATUSES = "pe_statuses"
    SUBMISSION_REQUIREMENT = "pe_submission_requirement"
    WORK_BOUNDED = "pe_work_bounded"


_EVALUATION: Final = "Presentation Exchange, Input Evaluation"

CLAUSES: Final[Mapping[ExchangeCheck, str]] = {
    ExchangeCheck.DEFINITION_ID: "Presentation Exchange, Presentation Submission (definition_id)",
    ExchangeCheck.DESCRIPTOR_KNOWN: "Presentation Exchange, Presentation Submission (descriptor_map id)",
    ExchangeCheck.DESCRIPTOR_UNIQUE: "Presentation Exchange, Validation of Claims (one container)",
    ExchangeCheck.DESCRIPTOR_SUBMITTED: "Presentation Exchange, Input Descriptor (all are required)",
    ExchangeCheck.DESCRIPTOR_LOCATED: "Presentation Exchange, Processing of Submission Entries",
    ExchangeCheck.FORMAT_DECLARED: "Presentation Exchange, Processing of Submission Entries (format)",
    ExchangeCheck.FORMAT_ACCEPTED: "Presentation Exchange, Presentation Definition (format)",
    ExchangeCheck.SCHEMA_MATCHED: "Presentation Exchange 1.0.0 §4.3 step 1",
    ExchangeCheck.FIELD_PRESENT: f"{_EVALUATION} (path)",
    ExchangeCheck.FIELD_FILTER: f"{_EVALUATION} (filter)",
    ExchangeCheck.FIELD_PREDICATE: f"{_EVALUATION} (predicate)",
    ExchangeCheck.LIMIT_DISCLOSURE: f"{_EVALUATION} (limit_disclosure)",
    ExchangeCheck.SUBJECT_IS_ISSUER: f"{_EVALUATION} (subject_is_issuer)",
    ExchangeCheck.IS_HOLDER: f"{_EVALUATION} (is_holder)",
    ExchangeCheck.SAME_SUBJECT: f"{_EVALUATION} (same_subject)",
    ExchangeCheck.STATUSES: "Presentation Exchange, Credential Status Constraint Feature",
    ExchangeCheck.SUBMISSION_REQUIREMENT: "Presentation Exchange, Submission Requirement Feature",
    ExchangeCheck.WORK_BOUNDED: "Presentation Exchange, Security Considerations",
}


def checked(code: ExchangeCheck, *, passed: bool, path: str, detail: str, advisory: bool = False) -> Check:
    """The line for one rule that was applied."""
    outcome = Outcome.PASSED if passed else Outcome.FAILED
    return Check(code, outcome, CLAUSES[code], path, detail, advisory)


def undecided(code: ExchangeCheck, outcome: Outcome, *, path: str, detail: str) -> Check:
    """The line for one rule that was skipped or whose question stayed open."""
    return Check(code, outcome, CLAUSES[code], path, detail)
