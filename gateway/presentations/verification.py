"""An answer, verified: every rule applied in one order, every one reported, and the verdict over all of them.

In this order: the shape of the answer; the ID token; the submission; each presentation and each credential
in it: how it is signed, what it says, and whose it is; Presentation Exchange; and for each credential its
issuer, its status and its issuer's linked domain. Start with `PresentationVerifier.verify`.

The order is of the report. DIDs are resolved before, all at once, and statuses are asked before Presentation
Exchange, because a definition may say which states it accepts.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from gateway.audit.ports import NO_TRAIL, AuditTrail
from gateway.clock import Clock, system_clock
from gateway.dids import DidResolver
from gateway.presentations.answer import Answer, read_answer
from gateway.presentations.answer_rules import AnswerRules, VerificationInput
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.credential_token import subject_of
from gateway.presentations.exchange import evaluate
from gateway.presentations.exchange_step import (
    Submitted,
    accepted_states,
    credentials_of,
    not_evaluated,
    presented_of,
)
from gateway.presentations.issuer_checks import IssuerChecks, IssuerFindings, not_asked
from gateway.presentations.report import Report
from gateway.presentations.resolutions import Resolutions
from gateway.presentations.result import VerificationResult, VerifiedCredential
from gateway.presentations.rules import PresentationCheck, verdict
from gateway.presentations.signed_token import SignedToken
from gateway.presentations.token_times import Moment
from gateway.presentations.verified_event import verified_event
from gateway.presentations.verifier import Verifier
from gateway.presentations.waiting import Deadline

__all__ = ["PresentationVerifier", "VerificationInput"]

_ACTIVE: Final = frozenset({CredentialState.ACTIVE})


class PresentationVerifier:
    """Verifies answers. Belongs to one event loop; what it is made of is closed by whoever made that."""

    def __init__(
        self,
        resolver: DidResolver,
        issuers: IssuerChecks,
        *,
        deadline: float = 8.0,
        clock: Clock = system_clock,
        trail: AuditTrail = NO_TRAIL,
    ) -> None:
        """*deadline*: seconds for everything that others are asked for; what is open then is unknown."""
        self._resolver = resolver
        self._issuers = issuers
        self._deadline = deadline
        self._clock = clock
        self._trail = trail

    async def verify(self, asked: VerificationInput) -> VerificationResult:
        """The report on *asked*. Raises nothing for what an answer says: whatever is wrong is a check.

        Raises `AvailabilityError` AUDIT_UNAVAILABLE.
        """
        now = int(self._clock()) if asked.at_time is None else asked.at_time
        deadline, report = Deadline(self._deadline), Report()
        answer = read_answer(report, asked.id_token, asked.vp_token, asked.verifier.policy)
        _report_state(report, asked)
        resolutions = await Resolutions.of(self._resolver, _dids(answer, asked.verifier), deadline)
        tokens = AnswerRules(asked, Moment(now, asked.verifier.policy), resolutions)
        submitted = tokens.check(answer)
        for each in answer.tokens():
            report.extend(each.report.checks)
        credentials = await self._judge(report, answer, submitted, tokens, deadline)
        accepted = verdict(report.checks)
        result = VerificationResult(
            accepted=accepted,
            checks=report.checks,
            holder=tokens.holder(answer),
            credentials=credentials if accepted else (),
            evaluation_time=now,
            at_time=asked.at_time is not None,
        )
        await self._trail.record(verified_event(asked.verifier.name, asked.request_id, result))
        return result

    async def _judge(
        self,
        report: Report,
        answer: Answer,
        submitted: Submitted | None,
        tokens: AnswerRules,
        deadline: Deadline,
    ) -> tuple[VerifiedCredential, ...]:
        """Presentation Exchange, and what is asked about the issuers of what verifies."""
        asked, complete = tokens.asked, submitted is not None and tokens.all_verified(answer)
        states: Mapping[str, frozenset[CredentialState]] = {}
        if complete and submitted is not None:
            states = accepted_states(asked.definition, submitted, answer)
        verified = tuple(tokens.verified_credentials(answer))
        questions = [self._ask(each, tokens, states.get(each.text, _ACTIVE), deadline) for each in verified]
        # Most answers hold one credential, for which a task of its own would only cost.
        found = [await questions[0]] if len(questions) == 1 else await asyncio.gather(*questions)
        findings = {token.path: finding for token, finding in zip(verified, found, strict=True)}
        credentials: tuple[VerifiedCredential, ...] = ()
        if complete and submitted is not None:
            presented = presented_of(answer, submitted, findings)
            exchanged = evaluate(
                asked.definition, submitted.submission, presented, vp_formats=asked.verifier.vp_formats
            )
            report.extend(exchanged.checks)
            credentials = credentials_of(exchanged, answer, findings)
        else:
            report.extend(not_evaluated(asked.definition))
        for envelope in answer.envelopes:
            for each in envelope.credentials:
                finding = findings.get(each.path)
                report.extend(not_asked(each.path) if finding is None else finding.checks)
        return credentials

    async def _ask(
        self,
        token: SignedToken,
        tokens: AnswerRules,
        states: frozenset[CredentialState],
        deadline: Deadline,
    ) -> IssuerFindings:
        policy = tokens.asked.verifier.policy
        document = tokens.document_of(token)
        status_policy = policy.status
        if states != status_policy.accepted_states:
            status_policy = replace(status_policy, accepted_states=states)
        return await self._issuers.check(token, document, policy, status_policy, deadline)


def _report_state(report: Report, asked: VerificationInput) -> None:
    check = PresentationCheck.REQUEST_STATE
    if asked.claimed:
        report.passed(check, "$.state", "The request was open, and is used up by this answer.")
    else:
        report.skipped(check, "$.state", "The request is the caller's own, and so is its use.")


def _dids(answer: Answer, verifier: Verifier) -> Iterator[str]:
    """Whom to resolve: signers of an accepted method, and subjects where forms of one DID are compared."""
    policy = verifier.policy
    for each in answer.tokens():
        signer = each.token.signer if each.token is not None else None
        if signer is not None and signer.method in policy.did_methods:
            yield signer.text
    if policy.equivalent_holder and "ion" in policy.did_methods:
        for envelope in answer.envelopes:
            for each in envelope.credentials:
                subject = subject_of(each.token) if each.token is not None else None
                if subject is not None and subject.startswith("did:ion:"):
                    yield subject
