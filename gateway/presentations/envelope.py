"""A verifiable presentation as JWT: the envelope that its holder signed (VCDM 1.1 §4.10 and §6.3.1)."""

from typing import Any, Final

from gateway.dids import Relationship
from gateway.presentations.id_token import check_audience, check_nonce
from gateway.presentations.report import Report, RuleError
from gateway.presentations.rules import PresentationCheck
from gateway.presentations.signed_token import SignedToken, TokenKind
from gateway.presentations.token_times import Moment, check_freshness, check_validity

PRESENTATION: Final = TokenKind("iss", ("JWT", "vp+jwt"), frozenset({Relationship.AUTHENTICATION}))
FORMAT: Final = "jwt_vp"
CONTEXT: Final = "https://www.w3.org/2018/credentials/v1"
MAX_CREDENTIALS: Final = 16  # of one answer

PRESENTATION_CHECKS: Final = (
    PresentationCheck.PRESENTATION_WELL_FORMED,
    PresentationCheck.PRESENTATION_HOLDER,
    PresentationCheck.PRESENTATION_AUDIENCE,
    PresentationCheck.PRESENTATION_NONCE,
    PresentationCheck.PRESENTATION_VALIDITY,
    PresentationCheck.PRESENTATION_FRESHNESS,
)


def credentials_of(token: SignedToken) -> tuple[Any, ...]:
    """What the presentation holds, as sent: at most `MAX_CREDENTIALS` are looked at."""
    inner = token.payload.get("vp")
    held = inner.get("verifiableCredential") if isinstance(inner, dict) else None
    return tuple((held if isinstance(held, list) else [held])[:MAX_CREDENTIALS]) if held else ()


def submission_of(token: SignedToken) -> Any:
    """The submission inside a presentation (OpenID4VP), or None."""
    inner = token.payload.get("vp")
    return inner.get("presentation_submission") if isinstance(inner, dict) else None


def check_presentation(
    report: Report, token: SignedToken, *, holder: str | None, client_id: str, nonce: str, moment: Moment
) -> None:
    """Apply every rule about the claims of the presentation *token*.

    *holder* is who signed the ID token; None where that is not known.
    """
    check, path = PresentationCheck, token.path
    report.apply(check.PRESENTATION_WELL_FORMED, path, lambda: _well_formed(token))

    def same_holder() -> str:
        if token.signer is None or token.signer.text != holder:
            raise RuleError("holder_mismatch", "The presentation is not by the subject of the ID token.")
        return "The presentation is by the subject of the ID token."

    if holder is None:
        report.unreached((check.PRESENTATION_HOLDER,), path)
    else:
        report.apply(check.PRESENTATION_HOLDER, path, same_holder)
    check_audience(report, check.PRESENTATION_AUDIENCE, token, client_id)
    check_nonce(report, check.PRESENTATION_NONCE, token, nonce)
    check_validity(report, check.PRESENTATION_VALIDITY, token, moment, expiry_required=False)
    check_freshness(report, check.PRESENTATION_FRESHNESS, token, moment, required=False)


def _well_formed(token: SignedToken) -> str:
    presentation = token.claims.nested("vp")
    require_context(token.payload["vp"].get("@context"))
    require_type(token.payload["vp"].get("type"), "VerifiablePresentation")
    if "verifiableCredential" not in presentation:
        raise RuleError("no_credential", "The presentation holds no credential.")
    held = token.payload["vp"]["verifiableCredential"]
    if isinstance(held, list) and not 1 <= len(held) <= MAX_CREDENTIALS:
        raise RuleError("too_many_credentials", f"There are not 1 to {MAX_CREDENTIALS} credentials.")
    return "It is a presentation with credentials."


def require_context(value: Any) -> None:
    """``@context`` begins with that of VCDM 1.1 (§4.1). Raises `RuleError`."""
    contexts = value if isinstance(value, list) else [value]
    if not contexts or contexts[0] != CONTEXT:
        raise RuleError("context_missing", "@context does not begin with the one of VCDM 1.1.")


def require_type(value: Any, expected: str) -> None:
    """``type`` holds *expected* (VCDM 1.1 §4.3). Raises `RuleError`."""
    types = value if isinstance(value, list) else [value]
    if expected not in types:
        raise RuleError("type_missing", f"type does not hold {expected}.")
