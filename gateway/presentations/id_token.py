"""The claims of a self-issued ID token (SIOPv2, Self-Issued ID Token Validation; the profile's §ID Token).

By the rules of SIOPv2's first implementer's draft, as the profile changes them: ``iss`` is the profile's
constant. Later drafts want ``iss`` to be ``sub``; the two sets of rules are not mixed.
"""

from typing import Any, Final

from gateway.dids import Relationship
from gateway.presentations.exchange import ExchangeError, PresentationSubmission, parse_submission
from gateway.presentations.report import Report, RuleError
from gateway.presentations.rules import PresentationCheck
from gateway.presentations.signed_token import SignedToken, TokenKind
from gateway.presentations.token_times import Moment, check_freshness, check_validity

ISSUER: Final = "https://self-issued.me/v2/openid-vc"
ID_TOKEN: Final = TokenKind("sub", ("JWT",), frozenset({Relationship.AUTHENTICATION}))
MAX_NONCE: Final = 256  # characters
MAX_AUDIENCE: Final = 4096  # characters: a long-form DID

ID_TOKEN_CHECKS: Final = (
    PresentationCheck.ID_TOKEN_ISSUER,
    PresentationCheck.ID_TOKEN_SUBJECT,
    PresentationCheck.ID_TOKEN_AUDIENCE,
    PresentationCheck.ID_TOKEN_NONCE,
    PresentationCheck.ID_TOKEN_VALIDITY,
    PresentationCheck.ID_TOKEN_FRESHNESS,
)


def check_id_token(report: Report, token: SignedToken, *, client_id: str, nonce: str, moment: Moment) -> None:
    """Apply every rule about the claims of the ID token *token*."""
    claims, path, check = token.claims, token.path, PresentationCheck

    def issuer() -> str:
        if claims.string("iss") != ISSUER:
            raise RuleError("issuer_mismatch", "iss is not the self-issued issuer of the profile.")
        return "iss is the self-issued issuer of the profile."

    def subject() -> str:
        if "sub_jwk" in claims:
            raise RuleError("sub_jwk_present", "With a DID as sub there is no sub_jwk.")
        return "There is no sub_jwk beside the DID."

    report.apply(check.ID_TOKEN_ISSUER, path, issuer)
    report.apply(check.ID_TOKEN_SUBJECT, path, subject)
    check_audience(report, check.ID_TOKEN_AUDIENCE, token, client_id)
    check_nonce(report, check.ID_TOKEN_NONCE, token, nonce)
    check_validity(report, check.ID_TOKEN_VALIDITY, token, moment, expiry_required=True)
    check_freshness(report, check.ID_TOKEN_FRESHNESS, token, moment, required=True)


def check_audience(report: Report, code: PresentationCheck, token: SignedToken, client_id: str) -> None:
    """``aud`` names the verifier."""

    def audience() -> str:
        # Not Claims.audience(): a long-form DID is longer than what it allows.
        value = token.payload.get("aud")
        named = value if isinstance(value, list) else [value]
        if client_id not in named:
            raise RuleError("audience_mismatch", "aud does not name the verifier.")
        return "aud names the verifier."

    report.apply(code, token.path, audience)


def check_nonce(report: Report, code: PresentationCheck, token: SignedToken, nonce: str) -> None:
    """``nonce`` is the one of the request."""

    def same() -> str:
        if token.claims.string("nonce", max_length=MAX_NONCE) != nonce:
            raise RuleError("nonce_mismatch", "The nonce is not the one of the request.")
        return "The nonce is the one of the request."

    report.apply(code, token.path, same)


def read_submission(report: Report, value: Any, path: str) -> PresentationSubmission | None:
    """The submission that *value*, which stands at *path*, is; None where the report says why not."""
    read: list[PresentationSubmission] = []

    def rule() -> str:
        if value is None:
            raise RuleError("submission_missing", "There is no presentation_submission.")
        try:
            read.append(parse_submission(value))
        except ExchangeError as error:
            raise RuleError(error.code, f"At {error.path}: {error.message}.") from error
        return "There is one presentation_submission with a descriptor map."

    report.apply(PresentationCheck.SUBMISSION_WELL_FORMED, path, rule)
    return read[0] if read else None
