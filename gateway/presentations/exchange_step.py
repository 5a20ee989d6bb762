"""Between an answer's tokens and Presentation Exchange: what was presented, and for which descriptor."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.presentations.answer import Answer
from gateway.presentations.checks import Check, Outcome
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.credential_token import FORMAT as CREDENTIAL_FORMAT
from gateway.presentations.credential_token import subject_of, types_of
from gateway.presentations.envelope import FORMAT as PRESENTATION_FORMAT
from gateway.presentations.exchange import (
    ExchangeCheck,
    ExchangeReport,
    PresentationDefinition,
    PresentationSubmission,
    Presented,
    PresentedCredential,
    PresentedPresentation,
    allowed_states,
)
from gateway.presentations.exchange.errors import WorkExceededError
from gateway.presentations.exchange.location import locate
from gateway.presentations.exchange.rules import undecided
from gateway.presentations.exchange.work import Budget
from gateway.presentations.issuer_checks import IssuerFindings
from gateway.presentations.result import VerifiedCredential
from gateway.presentations.signed_token import SignedToken

_ACTIVE = frozenset({CredentialState.ACTIVE})


@dataclass(frozen=True, slots=True)
class Submitted:
    """A submission, and whether it stood inside the presentation: its paths start there then."""

    submission: PresentationSubmission
    inside: bool


def presented_of(answer: Answer, submitted: Submitted, findings: Mapping[str, IssuerFindings]) -> Presented:
    """Everything of *answer*, whose tokens are all verified. *findings* are by the path of a credential."""
    presentations: list[PresentedPresentation] = []
    credentials: list[PresentedCredential] = []
    for envelope in answer.envelopes:
        token = envelope.presentation.token
        if token is None:
            continue
        presentations.append(
            PresentedPresentation(token.text, PRESENTATION_FORMAT, token.payload, token.algorithm)
        )
        holder = token.signer.text if token.signer is not None else None
        credentials += [
            _credential(each.token, holder, findings)
            for each in envelope.credentials
            if each.token is not None
        ]
    target: Any = presentations[0] if submitted.inside else answer.target
    return Presented(target, tuple(presentations), tuple(credentials))


def accepted_states(
    definition: PresentationDefinition, submitted: Submitted, answer: Answer
) -> Mapping[str, frozenset[CredentialState]]:
    """The states that the definition accepts of each credential, by its text; active alone for one not there.

    A credential that is submitted for several descriptors must suit each of them.
    """
    if not any(each.constraints.statuses for each in definition.input_descriptors):
        return {}
    allowed = {each.id: allowed_states(each.constraints) for each in definition.input_descriptors}
    presented = presented_of(answer, submitted, {})
    states: dict[str, frozenset[CredentialState]] = {}
    budget = Budget()
    for entry in submitted.submission.entries:
        try:
            located = locate(entry, presented, budget, path="$").credential
        except WorkExceededError:
            return {}  # The evaluation itself gives up for the same reason, and says so.
        if located is not None and isinstance(located.encoded, str):
            wanted = allowed.get(entry.descriptor_id, _ACTIVE)
            states[located.encoded] = states.get(located.encoded, wanted) & wanted
    return states


def not_evaluated(definition: PresentationDefinition) -> tuple[Check, ...]:
    """The lines for descriptors that nothing is evaluated against: a token of the answer does not verify."""
    detail = "Not applied: not everything that was submitted is verified."
    return tuple(
        undecided(
            ExchangeCheck.DESCRIPTOR_LOCATED,
            Outcome.SKIPPED,
            path=f"$.input_descriptors[{index}]",
            detail=detail,
        )
        for index in range(len(definition.input_descriptors))
    )


def credentials_of(
    report: ExchangeReport, answer: Answer, findings: Mapping[str, IssuerFindings]
) -> tuple[VerifiedCredential, ...]:
    """What was accepted, by descriptor."""
    tokens = {
        each.token.text: each.token
        for envelope in answer.envelopes
        for each in envelope.credentials
        if each.token is not None
    }
    accepted = []
    for descriptor_id, credential in report.credentials.items():
        token = tokens[str(credential.encoded)]
        finding = findings[token.path]
        accepted.append(
            VerifiedCredential(
                descriptor_id=descriptor_id,
                issuer=credential.issuer,
                subject=credential.subject or "",
                types=types_of(token),
                credential=credential.data_model or credential.payload,
                state=finding.state,
                linked_origin=finding.linked_origin,
            )
        )
    return tuple(accepted)


def _credential(
    token: SignedToken, holder: str | None, findings: Mapping[str, IssuerFindings]
) -> PresentedCredential:
    finding = findings.get(token.path)
    return PresentedCredential(
        encoded=token.text,
        format=CREDENTIAL_FORMAT,
        payload=token.payload,
        issuer=token.signer.text if token.signer is not None else "",
        subject=subject_of(token),
        holder=holder,
        algorithm=token.algorithm,
        state=finding.state if finding is not None else None,
    )
