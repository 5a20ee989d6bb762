"""A submission against a definition: every rule applied, each reported, and the verdict over all of them.

In this order: the submission names the definition; each entry names a descriptor, once; it leads to a
verified credential in an accepted format; the credential has the schema, the fields and the other constraints
of the descriptor; the rules across descriptors; and last what must have been submitted at all.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from gateway.presentations.checks import Check, all_hold
from gateway.presentations.exchange import constraints as rules_of
from gateway.presentations.exchange.constraints import FoundField
from gateway.presentations.exchange.credential import (
    MAX_CREDENTIALS,
    Presented,
    PresentedCredential,
    PresentedPresentation,
)
from gateway.presentations.exchange.errors import ExchangeError, WorkExceededError
from gateway.presentations.exchange.fields import evaluate_field
from gateway.presentations.exchange.location import locate
from gateway.presentations.exchange.model import Formats, InputDescriptor, PresentationDefinition
from gateway.presentations.exchange.requirements import is_satisfied
from gateway.presentations.exchange.rules import ExchangeCheck, checked
from gateway.presentations.exchange.submission import PresentationSubmission, SubmissionEntry
from gateway.presentations.exchange.work import MAX_STEPS, Budget, require_bounded

_PRESENTATION_SUFFIXES: Final = ("_vp", "_vp_json")


@dataclass(frozen=True, slots=True)
class ExchangeReport:
    """What came of an evaluation.

    `checks` are in the order applied. `credentials` maps the ids of the descriptors that hold to what was
    submitted for them; whatever a caller acts upon is taken from there, and only where `accepted`.
    """

    checks: tuple[Check, ...]
    credentials: Mapping[str, PresentedCredential] = field(repr=False)

    @property
    def accepted(self) -> bool:
        """The verdict: every check that decides holds, and there is one."""
        return all_hold(self.checks)


def evaluate(
    definition: PresentationDefinition,
    submission: PresentationSubmission,
    presented: Presented,
    *,
    vp_formats: Formats | None = None,
    max_steps: int = MAX_STEPS,
) -> ExchangeReport:
    """Evaluate *submission* and what was *presented* against *definition*.

    *vp_formats* are the formats of the verifier's metadata; they hold for presentations and credentials
    alike. *max_steps* bounds the work; beyond it the report says so and is not accepted. Raises nothing:
    whatever is wrong is a check.
    """
    return _Evaluation(definition, submission, presented, vp_formats, Budget(max_steps)).run()


class _Evaluation:
    def __init__(
        self,
        definition: PresentationDefinition,
        submission: PresentationSubmission,
        presented: Presented,
        vp_formats: Formats | None,
        budget: Budget,
    ) -> None:
        self._definition = definition
        self._submission = submission
        self._presented = presented
        self._vp_formats = vp_formats
        self._budget = budget
        self._checks: list[Check] = []
        self._by_descriptor: dict[str, list[Check]] = {}
        self._credentials: dict[str, PresentedCredential] = {}
        self._fields: dict[str, FoundField] = {}

    def run(self) -> ExchangeReport:
        try:
            self._require_bounded()
            entries = self._check_entries()
            for descriptor_id, (entry, path) in entries.items():
                self._evaluate_entry(self._descriptor(descriptor_id), entry, path)
            for descriptor_id in entries:
                self._add(descriptor_id, self._rules_across(self._descriptor(descriptor_id)))
            self._check_submitted(frozenset(entries))
        except WorkExceededError as error:
            self._fail_bound(str(error))
        except ExchangeError as error:
            self._fail_bound(error.message)
        held = self._held()
        return ExchangeReport(
            tuple(self._checks), {name: self._credentials[name] for name in self._credentials if name in held}
        )

    def _require_bounded(self) -> None:
        presented = self._presented
        if max(len(presented.credentials), len(presented.presentations)) > MAX_CREDENTIALS:
            raise WorkExceededError(f"more than {MAX_CREDENTIALS} credentials were presented")
        for payload in (
            *(c.payload for c in presented.credentials),
            *(p.payload for p in presented.presentations),
        ):
            require_bounded(payload)
        if not isinstance(presented.target, PresentedPresentation):
            require_bounded(presented.target)

    def _fail_bound(self, reason: str) -> None:
        detail = f"The evaluation was given up: {reason}."
        self._checks.append(checked(ExchangeCheck.WORK_BOUNDED, passed=False, path="$", detail=detail))

    def _check_entries(self) -> dict[str, tuple[SubmissionEntry, str]]:
        """The entries to evaluate, by descriptor: none for an unknown descriptor, the first of two."""
        same = self._submission.definition_id == self._definition.id
        detail = f"The submission {'is' if same else 'is not'} for this definition."
        self._checks.append(
            checked(ExchangeCheck.DEFINITION_ID, passed=same, path="$.definition_id", detail=detail)
        )
        known = {descriptor.id for descriptor in self._definition.input_descriptors}
        entries: dict[str, tuple[SubmissionEntry, str]] = {}
        for index, entry in enumerate(self._submission.entries):
            path = f"$.descriptor_map[{index}]"
            if entry.descriptor_id not in known:
                self._refuse(ExchangeCheck.DESCRIPTOR_KNOWN, path, "The definition has no such descriptor.")
            elif entry.descriptor_id in entries:
                self._refuse(ExchangeCheck.DESCRIPTOR_UNIQUE, path, "The descriptor is submitted twice.")
            else:
                entries[entry.descriptor_id] = entry, path
        return entries

    def _refuse(self, code: ExchangeCheck, path: str, detail: str) -> None:
        self._checks.append(checked(code, passed=False, path=f"{path}.id", detail=detail))

    def _descriptor(self, descriptor_id: str) -> tuple[InputDescriptor, str]:
        for index, descriptor in enumerate(self._definition.input_descriptors):
            if descriptor.id == descriptor_id:
                return descriptor, f"$.input_descriptors[{index}]"
        raise AssertionError("only known descriptors are evaluated")

    def _add(self, descriptor_id: str, checks: Iterator[Check]) -> None:
        # Kept one by one, so that a report given up in the middle still has what came before.
        for check in checks:
            self._checks.append(check)
            self._by_descriptor.setdefault(descriptor_id, []).append(check)

    def _evaluate_entry(
        self, descriptor: tuple[InputDescriptor, str], entry: SubmissionEntry, path: str
    ) -> None:
        located = locate(entry, self._presented, self._budget, path=path)
        self._add(entry.descriptor_id, iter(located.checks))
        if located.credential is not None:
            self._credentials[entry.descriptor_id] = located.credential
            self._add(
                entry.descriptor_id,
                self._formats(descriptor[0], located.credential, located.presentations, path),
            )
            self._add(entry.descriptor_id, self._constraints(*descriptor, located.credential))

    def _formats(
        self,
        descriptor: InputDescriptor,
        credential: PresentedCredential,
        presentations: tuple[PresentedPresentation, ...],
        path: str,
    ) -> Iterator[Check]:
        for accepted in (self._vp_formats, self._definition.format, descriptor.format):
            containers: list[PresentedCredential | PresentedPresentation] = [*presentations, credential]
            # A definition that lists credential formats only says nothing about the envelope.
            first = 0 if accepted is self._vp_formats or _names_envelopes(accepted) else len(presentations)
            for level, container in enumerate(containers[first:], first):
                at = f"{path}{'.path_nested' * level}.format"
                check = rules_of.check_format(container.format, container.algorithm, accepted, path=at)
                if check is not None:
                    yield check

    def _constraints(
        self, descriptor: InputDescriptor, path: str, credential: PresentedCredential
    ) -> Iterator[Check]:
        constraints, at = descriptor.constraints, f"{path}.constraints"
        found = []
        single = [rules_of.check_schema(descriptor, credential, path=path)]
        yield from filter(None, single)
        for index, each in enumerate(constraints.fields):
            result = evaluate_field(
                each, self._definition.version, credential, self._budget, path=f"{at}.fields[{index}]"
            )
            yield result.check
            if result.location is not None:
                found.append(result.location)
            if each.id is not None and (each.optional or result.location is not None):
                self._fields[each.id] = FoundField(credential, result.location)
        single = [
            rules_of.check_disclosure(constraints, credential, found, self._budget, path=at),
            rules_of.check_self_attested(constraints, credential, path=at),
        ]
        yield from filter(None, single)
        yield from rules_of.check_statuses(constraints, credential, path=at)

    def _rules_across(self, descriptor: tuple[InputDescriptor, str]) -> Iterator[Check]:
        constraints, at = descriptor[0].constraints, f"{descriptor[1]}.constraints"
        for index, rule in enumerate(constraints.is_holder):
            yield rules_of.check_holder(rule, self._fields, path=f"{at}.is_holder[{index}]")
        for index, rule in enumerate(constraints.same_subject):
            yield rules_of.check_same_subject(rule, self._fields, path=f"{at}.same_subject[{index}]")

    def _held(self) -> frozenset[str]:
        return frozenset(name for name, checks in self._by_descriptor.items() if all_hold(checks))

    def _check_submitted(self, submitted: frozenset[str]) -> None:
        descriptors, held = self._definition.input_descriptors, self._held()
        for index, requirement in enumerate(self._definition.requirements):
            passed = is_satisfied(requirement, descriptors, submitted, held)
            detail = f"The requirement {'is' if passed else 'is not'} satisfied."
            path = f"$.submission_requirements[{index}]"
            self._checks.append(
                checked(ExchangeCheck.SUBMISSION_REQUIREMENT, passed=passed, path=path, detail=detail)
            )
        if self._definition.requirements:
            return
        for index, descriptor in enumerate(descriptors):
            passed = descriptor.id in submitted
            detail = f"The descriptor {'was' if passed else 'was not'} submitted."
            path = f"$.input_descriptors[{index}]"
            self._checks.append(
                checked(ExchangeCheck.DESCRIPTOR_SUBMITTED, passed=passed, path=path, detail=detail)
            )


def _names_envelopes(accepted: Formats | None) -> bool:
    return any(designation.endswith(_PRESENTATION_SUFFIXES) for designation in accepted or ())
