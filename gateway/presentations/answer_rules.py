"""The rules about the tokens of an answer, applied in order, each into the report of its token.

Nothing is waited for in here: the DIDs were resolved before, and what others must be asked comes after.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from gateway.dids import DidDocument
from gateway.presentations.answer import Answer, Envelope, ReadToken
from gateway.presentations.credential_token import check_credential, subject_of
from gateway.presentations.envelope import check_presentation, submission_of
from gateway.presentations.exchange import PresentationDefinition
from gateway.presentations.exchange_step import Submitted
from gateway.presentations.id_token import check_id_token, read_submission
from gateway.presentations.resolutions import Resolutions
from gateway.presentations.rules import PresentationCheck
from gateway.presentations.signed_token import SignedToken, verify_token
from gateway.presentations.token_times import Moment
from gateway.presentations.verifier import Verifier

_SUBMISSION_PATH: Final = "$.id_token._vp_token.presentation_submission"


@dataclass(frozen=True, slots=True)
class VerificationInput:
    """What is to be verified, and against what.

    - `claimed`: the answer is to a request of ours that was used up for it.
    - `at_time`: seconds since the epoch; None for now.
    - `request_id`: of that request of ours; None where the request is the caller's own.
    """

    verifier: Verifier
    definition: PresentationDefinition
    nonce: str = field(repr=False)
    id_token: str = field(repr=False)
    vp_token: str = field(repr=False)
    claimed: bool = False
    at_time: int | None = None
    request_id: str | None = None


class AnswerRules:
    """The rules for one answer, and what verified by them."""

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
