"""What the audit log keeps of a verification: the verdict and the rules that did not hold, and not who."""

from gateway.audit.events import PresentationVerified
from gateway.presentations.checks import Outcome
from gateway.presentations.result import VerificationResult


def verified_event(verifier: str, request_id: str | None, result: VerificationResult) -> PresentationVerified:
    """The event of one report, on an answer to *request_id*, None where the request is the caller's own."""
    return PresentationVerified(
        verifier=verifier,
        presentation_request_id=request_id,
        accepted=result.accepted,
        failed_checks=tuple(
            dict.fromkeys(
                f"{check.code}:{check.reason}" if check.reason else check.code
                for check in result.checks
                if check.outcome in {Outcome.FAILED, Outcome.UNKNOWN} and not check.advisory
            )
        ),
        credentials=len(result.credentials),
    )
