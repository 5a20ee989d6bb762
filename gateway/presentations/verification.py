"""An answer, verified: every rule applied in one order, every one reported, and the verdict over all of them.

In this order: the shape of the answer; the ID token; the submission; each presentation and each credential
in it: how it is signed, what it says, and whose it is; Presentation Exchange; and for each credential its
issuer, its status and its issuer's linked domain. Start with `PresentationVerifier.verify`.

The order is of the report. DIDs are resolved before, all at once, and statuses are asked before Presentation
Exchange, because a definition may say which states it accepts.
"""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.clock import Clock, system_clock
from gateway.dids import DidDocument, DidResolver
from gateway.presentations.answer import Answer, Envelope, ReadToken, read_answer
from gateway.presentations.credential_state import CredentialState
from gateway.presentations.credential_token import check_credential, subject_of
from gateway.presentations.envelope import check_presentation, submission_of
from gateway.presentations.exchange import PresentationDefinition, evaluate
from gateway.presentations.exchange_step import (
    Submitted,
    accepted_states,
    credentials_of,
    not_evaluated,
    presented_of,
)
from gateway.presentations.id_token import check_id_token, read_submission
from gateway.presentations.issuer_checks import IssuerChecks, IssuerFindings, not_asked
from gateway.presentations.report import Report
from gateway.presentations.resolutions import Resolutions
from gateway.presentations.result import VerificationResult, VerifiedCredential
from gateway.presentations.rules import PresentationCheck, verdict
from gateway.presentations.signed_token import SignedToken, verify_token
from gateway.presentations.token_times import Moment
from gateway.presentations.verifier import Verifier
from gateway.presentations.waiting import Deadline

_SUBMISSION_PATH: Final = "$.id_token._vp_token.presentation_submission"
_ACTIVE: Final = frozenset({CredentialState.ACTIVE})


@dataclass(frozen=True, slots=True)
class VerificationInput:
    """What is to be verified, and against what.

    - `claimed`: the answer is to a request of ours that was used up for it.
    - `at_time`: seconds since the epoch; None for now.
    """

    verifier: Verifier
    definition: PresentationDefinition
    nonce: str = field(repr=False)
    id_token: str = field(repr=False)
    vp_token: str = field(repr=False)
    claimed: bool = False
    at_time: int | None = None


class PresentationVerifier:
    """Verifies answers. Belongs to one event loop; what it is made of is closed by whoever made that."""

    def __init__(
        self,
        resolver: DidResolver,
        issuers: IssuerChecks,
        *,
        deadline: float = 8.0,
        clock: Clock = system_clock,
    ) -> None:
        """*deadline*: seconds for everything that others are asked for; what is open then is unknown."""
        self._resolver = resolver
        self._issuers = issuers
        self._deadline = deadline
        self._clock = clock

    async def verify(self, asked: VerificationInput) -> VerificationResult:
        """The report on *asked*. Raises nothing for what an answer says: whatever is wrong is a check."""
        now = int(self._clock()) if asked.at_time is None else asked.at_time
        deadline, report = Deadline(self._deadline), Report()
        answer = read_answer(report, asked.id_token, asked.vp_token, asked.verifier.policy)
        _report_state(report, asked)
        resolutions = await Resolutions.of(self._resolver, _dids(answer, asked.verifier), deadline)
        tokens = _Tokens(asked, Moment(now, asked.verifier.policy), resolutions)
        submitted = tokens.check(answer)
        for each in answer.tokens():
            report.extend(each.report.checks)
        credentials = await self._judge(report, answer, submitted, tokens, deadline)
        accepted = verdict(report.checks)
        return VerificationResult(
            accepted=accepted,
            checks=report.checks,
            holder=tokens.holder(answer),
            credentials=credentials if accepted else (),
            evaluation_time=now,
            at_time=asked.at_time is not None,
        )

    async def _judge(
        self,
        report: Report,
        answer: Answer,
        submitted: Submitted | None,
        tokens: "_Tokens",
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
        tokens: "_Tokens",
        states: frozenset[CredentialState],
        deadline: Deadline,
    ) -> IssuerFindings:
        policy = tokens.asked.verifier.policy
        document = tokens.document_of(token)
        status_policy = policy.status
        if states != status_policy.accepted_states:
            status_policy = replace(status_policy, accepted_states=states)
        return await self._issuers.check(token, document, policy, status_policy, deadline)


class _Tokens:
    """The rules about the tokens themselves. Nothing is waited for in here."""

    def __init__(self, asked: VerificationInput, moment: Moment, resolutions: Resolutions) -> None:
        self.asked = asked
        self._moment = moment
        self._resolutions = resolutions
        self._verified: set[str] = set()

    def check(self, answer: Answer) -> Submitted | None:
        """Apply them all, each into the report of its token; the submission, where there is one."""
        self._verify(answer.id_token)
        id_token = answer.id_token.token
        if id_token is not None:
            check_id_token(
                answer.id_token.report,
                id_token,
                client_id=self.asked.verifier.client_id,
                nonce=self.asked.nonce,
                moment=self._moment,
            )
        submitted = _submission(answer)
        for envelope in answer.envelopes:
            self._check_envelope(envelope, id_token)
        return submitted

    def all_verified(self, answer: Answer) -> bool:
        """Whether the signature of every token verifies, and there is a presentation."""
        return bool(answer.envelopes) and all(
            each.token is not None and each.token.path in self._verified for each in answer.tokens()
        )

    def verified_credentials(self, answer: Answer) -> Iterator[SignedToken]:
        """The credentials whose signature verifies."""
        for envelope in answer.envelopes:
            for each in envelope.credentials:
                if each.token is not None and each.token.path in self._verified:
                    yield each.token

    def holder(self, answer: Answer) -> str | None:
        """Who signed the presentations, where all of them verify and one DID did."""
        holders = set()
        for envelope in answer.envelopes:
            token = envelope.presentation.token
            verified = token is not None and token.path in self._verified
            holders.add(token.signer.text if verified and token is not None and token.signer else None)
        return holders.pop() if len(holders) == 1 else None

    def document_of(self, token: SignedToken) -> DidDocument:
        """The document of who signed *token*, which verifies."""
        resolution = self._resolutions.resolution(token.signer.text if token.signer is not None else None)
        if resolution is None:
            raise AssertionError("what verifies was resolved")
        return resolution.document

    def _check_envelope(self, envelope: Envelope, id_token: SignedToken | None) -> None:
        read = envelope.presentation
        if read.token is None:
            return
        self._verify(read)
        subject = id_token.signer if id_token is not None else None
        check_presentation(
            read.report,
            read.token,
            holder=subject.text if subject is not None else None,
            client_id=self.asked.verifier.client_id,
            nonce=self.asked.nonce,
            moment=self._moment,
        )
        for credential in envelope.credentials:
            self._check_credential(credential, read.token)

    def _check_credential(self, read: ReadToken, presentation: SignedToken) -> None:
        if read.token is None:
            return
        self._verify(read)
        holder = presentation.signer
        check_credential(
            read.report,
            read.token,
            holder=holder,
            subject=self._resolutions.resolution(subject_of(read.token)),
            holder_resolution=self._resolutions.resolution(holder.text if holder is not None else None),
            moment=self._moment,
        )

    def _verify(self, read: ReadToken) -> None:
        token = read.token
        if token is None:
            return
        outcome = self._resolutions.outcome(token.signer.text if token.signer is not None else None)
        if verify_token(read.report, token, read.kind, outcome, self._moment.policy):
            self._verified.add(token.path)


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


def _submission(answer: Answer) -> Submitted | None:
    """The submission of the ID token, or else of the only presentation (OpenID4VP, Response)."""
    read = answer.id_token
    outer = read.token.payload.get("_vp_token") if read.token is not None else None
    presentation = answer.envelopes[0].presentation.token if len(answer.envelopes) == 1 else None
    inner = submission_of(presentation) if presentation is not None else None
    if outer is None and presentation is not None and inner is not None:
        path = f"{presentation.path}.vp.presentation_submission"
        submission = read_submission(answer.envelopes[0].presentation.report, inner, path)
        return Submitted(submission, inside=True) if submission is not None else None
    if read.token is None:
        read.report.unreached((PresentationCheck.SUBMISSION_WELL_FORMED,), _SUBMISSION_PATH)
        return None
    value = outer.get("presentation_submission") if isinstance(outer, dict) else None
    submission = read_submission(read.report, value, _SUBMISSION_PATH)
    return Submitted(submission, inside=False) if submission is not None else None
