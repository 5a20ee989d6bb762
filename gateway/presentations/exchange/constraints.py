"""The constraints of a descriptor, other than its fields, against the credentials that were presented."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from gateway.presentations.checks import Check, Outcome
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.exchange.credential import PresentedCredential
from gateway.presentations.exchange.json_path import Location
from gateway.presentations.exchange.model import (
    Constraints,
    Formats,
    InputDescriptor,
    Preference,
    StatusDirective,
    SubjectRule,
)
from gateway.presentations.exchange.rules import ExchangeCheck, checked, undecided
from gateway.presentations.exchange.work import Budget


@dataclass(frozen=True, slots=True)
class FoundField:
    """A field with an id that an evaluation found: in which credential and where.

    `location` is None where the field is optional and absent.
    """

    credential: PresentedCredential
    location: Location | None


def check_format(
    designation: str, algorithm: str | None, accepted: Formats | None, *, path: str
) -> Check | None:
    """Whether a container's format and algorithm are in *accepted*; None where every format is."""
    if accepted is None:
        return None
    algorithms = accepted.get(designation)
    if algorithms is None:
        passed, detail = False, f"The format {designation} is not accepted."
    elif algorithms and algorithm not in algorithms:
        passed, detail = False, f"The algorithm is not accepted for {designation}."
    else:
        passed, detail = True, f"The format {designation} and its algorithm are accepted."
    return checked(ExchangeCheck.FORMAT_ACCEPTED, passed=passed, path=path, detail=detail)


def check_schema(descriptor: InputDescriptor, credential: PresentedCredential, *, path: str) -> Check | None:
    """One schema of the descriptor is the credential's, and each required one is (1.0.0 §4.3 step 1)."""
    if not descriptor.schema:
        return None
    names = credential.schemas()
    matched = any(reference.uri in names for reference in descriptor.schema)
    required = all(reference.uri in names for reference in descriptor.schema if reference.required)
    detail = "The credential has a schema that is asked for."
    if not matched:
        detail = "The credential has no schema that is asked for."
    elif not required:
        detail = "The credential lacks a schema that is required."
    return checked(
        ExchangeCheck.SCHEMA_MATCHED, passed=matched and required, path=f"{path}.schema", detail=detail
    )


def check_disclosure(
    constraints: Constraints,
    credential: PresentedCredential,
    found: Iterable[Location],
    budget: Budget,
    *,
    path: str,
) -> Check | None:
    """Nothing is disclosed of the subject but what the fields ask for. Raises `WorkExceededError`."""
    if constraints.limit_disclosure is None:
        return None
    asked = frozenset(found)
    surplus = 0
    for claim in credential.claims():
        budget.charge(1 + len(claim))
        prefixes = (claim[:length] for length in range(len(claim) + 1))
        surplus += not any(prefix in asked for prefix in prefixes)
    detail = "Only the fields asked for are disclosed."
    if surplus:
        detail = f"{surplus} values are disclosed that no field asks for."
    return checked(
        ExchangeCheck.LIMIT_DISCLOSURE,
        passed=not surplus,
        path=f"{path}.limit_disclosure",
        detail=detail,
        advisory=constraints.limit_disclosure is Preference.PREFERRED,
    )


def check_self_attested(
    constraints: Constraints, credential: PresentedCredential, *, path: str
) -> Check | None:
    """The credential was issued by its subject."""
    if constraints.subject_is_issuer is None:
        return None
    passed = credential.subject is not None and credential.subject == credential.issuer
    return checked(
        ExchangeCheck.SUBJECT_IS_ISSUER,
        passed=passed,
        path=f"{path}.subject_is_issuer",
        detail=f"The subject {'is' if passed else 'is not'} the issuer.",
        advisory=constraints.subject_is_issuer is Preference.PREFERRED,
    )


def check_statuses(
    constraints: Constraints, credential: PresentedCredential, *, path: str
) -> Iterator[Check]:
    """One line for each state that the descriptor has a directive for."""
    for state, directive in constraints.statuses.items():
        at = f"{path}.statuses.{state}"
        if directive is StatusDirective.ALLOWED:
            yield undecided(ExchangeCheck.STATUSES, Outcome.SKIPPED, path=at, detail=f"{state} is allowed.")
        elif credential.state is None:
            detail = "The state of the credential is not known."
            yield undecided(ExchangeCheck.STATUSES, Outcome.UNKNOWN, path=at, detail=detail)
        else:
            passed = (credential.state is state) is (directive is StatusDirective.REQUIRED)
            detail = f"The credential is {credential.state}; {state} is {directive}."
            yield checked(ExchangeCheck.STATUSES, passed=passed, path=at, detail=detail)


def allowed_states(constraints: Constraints) -> frozenset[CredentialState]:
    """The states that a descriptor accepts: for a caller that refuses others before asking here.

    Without directives only an active credential is accepted.
    """
    if not constraints.statuses:
        return frozenset({CredentialState.ACTIVE})
    required = {s for s, d in constraints.statuses.items() if d is StatusDirective.REQUIRED}
    allowed = {s for s, d in constraints.statuses.items() if d is StatusDirective.ALLOWED}
    disallowed = {s for s, d in constraints.statuses.items() if d is StatusDirective.DISALLOWED}
    return frozenset((required or allowed | {CredentialState.ACTIVE}) - disallowed)


def check_holder(rule: SubjectRule, fields: Mapping[str, FoundField], *, path: str) -> Check:
    """Whoever submitted the fields is the one they are about (``is_holder``)."""
    found = _of_rule(rule, fields)
    if found is None:
        return _subject_line(ExchangeCheck.IS_HOLDER, rule, path, _ABSENT)
    for field in found:
        subject = field.credential.subject_of(field.location or ())
        if subject is None or subject != field.credential.holder:
            return _subject_line(ExchangeCheck.IS_HOLDER, rule, path, "The holder is not the subject.")
    return _subject_line(ExchangeCheck.IS_HOLDER, rule, path, None if found else _NOTHING)


def check_same_subject(rule: SubjectRule, fields: Mapping[str, FoundField], *, path: str) -> Check:
    """All the fields are about one subject (``same_subject``)."""
    found = _of_rule(rule, fields)
    if found is None:
        return _subject_line(ExchangeCheck.SAME_SUBJECT, rule, path, _ABSENT)
    subjects = {field.credential.subject_of(field.location or ()) for field in found}
    if None in subjects or len(subjects) > 1:
        return _subject_line(ExchangeCheck.SAME_SUBJECT, rule, path, "The subjects are not one.")
    return _subject_line(ExchangeCheck.SAME_SUBJECT, rule, path, None if found else _NOTHING)


_ABSENT: Final = "A field that the rule names was not submitted."
_NOTHING: Final = "None of the optional fields that the rule names was submitted."


def _of_rule(rule: SubjectRule, fields: Mapping[str, FoundField]) -> list[FoundField] | None:
    """The fields of *rule* that have a value; None where one that is not optional is missing."""
    if not all(field_id in fields for field_id in rule.field_ids):
        return None
    return [fields[field_id] for field_id in rule.field_ids if fields[field_id].location is not None]


def _subject_line(code: ExchangeCheck, rule: SubjectRule, path: str, failure: str | None) -> Check:
    if failure == _NOTHING:
        return undecided(code, Outcome.SKIPPED, path=path, detail=failure)
    return checked(
        code,
        passed=failure is None,
        path=path,
        detail=failure or "The subjects are as the rule asks.",
        advisory=rule.directive is Preference.PREFERRED,
    )
