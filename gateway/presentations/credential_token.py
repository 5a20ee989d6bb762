"""A verifiable credential as JWT: its form, its times, and whom it is about (VCDM 1.1 §4 and §6.3.1)."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from gateway.dids import Did, Resolution
from gateway.dids.did_url import MAX_DID
from gateway.presentations.envelope import require_context, require_type
from gateway.presentations.report import Report, RuleError
from gateway.presentations.rules import PresentationCheck
from gateway.presentations.signed_token import SignedToken, TokenKind
from gateway.presentations.token_times import Moment, check_validity
from gateway.presentations.verifier import Policy

FORMAT: Final = "jwt_vc"
TYPES: Final = ("JWT", "vc+jwt")

CREDENTIAL_CHECKS: Final = (
    PresentationCheck.CREDENTIAL_WELL_FORMED,
    PresentationCheck.CREDENTIAL_CONSISTENT,
    PresentationCheck.CREDENTIAL_VALIDITY,
    PresentationCheck.HOLDER_BINDING,
)

_DATES: Final = (
    ("nbf", ("issuanceDate", "validFrom")),
    ("exp", ("expirationDate", "validUntil")),
)


def credential_kind(policy: Policy) -> TokenKind:
    """What is expected of a credential's signature under *policy*."""
    return TokenKind("iss", TYPES, policy.issuer_relationships)


def subject_of(token: SignedToken) -> str | None:
    """``sub``, as sent; None where it is no text of a DID's length."""
    value = token.payload.get("sub")
    return value if isinstance(value, str) and 0 < len(value) <= MAX_DID else None


def types_of(token: SignedToken) -> tuple[str, ...]:
    """The types of the credential; only its own texts."""
    inner = token.payload.get("vc")
    value = inner.get("type") if isinstance(inner, dict) else None
    return tuple(each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))


def check_credential(
    report: Report,
    token: SignedToken,
    *,
    holder: Did | None,
    subject: Resolution | None,
    holder_resolution: Resolution | None,
    moment: Moment,
) -> None:
    """Apply every rule about the claims of the credential *token*.

    *holder* signed the presentation; None where that is not known. *subject* and *holder_resolution* are what
    ``sub`` and *holder* resolved to, where the policy needs to compare them.
    """
    check, path = PresentationCheck, token.path
    report.apply(check.CREDENTIAL_WELL_FORMED, path, lambda: _well_formed(token))
    report.apply(check.CREDENTIAL_CONSISTENT, path, lambda: _consistent(token.payload))
    check_validity(report, check.CREDENTIAL_VALIDITY, token, moment, expiry_required=False)

    def binding() -> str:
        named = subject_of(token)
        if holder is not None and named == holder.text:
            return "The holder is the subject of the credential."
        if moment.policy.equivalent_holder and _equivalent(subject, holder_resolution):
            return "The holder is the subject of the credential, in another form of the same DID."
        raise RuleError("holder_mismatch", "The holder is not the subject of the credential.")

    if holder is None:
        report.unreached((check.HOLDER_BINDING,), path)
    else:
        report.apply(check.HOLDER_BINDING, path, binding)


def _well_formed(token: SignedToken) -> str:
    credential = token.claims.nested("vc")
    inner = token.payload["vc"]
    require_context(inner.get("@context"))
    require_type(inner.get("type"), "VerifiableCredential")
    subject = credential.nested("credentialSubject")
    if not subject.names():
        raise RuleError("subject_empty", "The credential says nothing about its subject.")
    return "It is a credential about one subject."


def _consistent(payload: Mapping[str, Any]) -> str:
    """What ``vc`` repeats of the registered claims is the same; the profile would have it repeat nothing."""
    inner = payload.get("vc")
    if not isinstance(inner, dict):
        raise RuleError("vc_missing", "There is no vc.")
    subject = inner.get("credentialSubject")
    for claim, value in (
        ("iss", _identifier(inner.get("issuer"))),
        ("sub", subject.get("id") if isinstance(subject, dict) else None),
        ("jti", inner.get("id")),
    ):
        if value is not None and value != payload.get(claim):
            raise RuleError("claims_differ", f"What vc says is not what {claim} says.")
    for claim, members in _DATES:
        for member in members:
            if member in inner and _seconds(inner[member]) != payload.get(claim):
                raise RuleError("claims_differ", f"{member} of vc is not what {claim} says.")
    return "What vc repeats of the registered claims is the same."


def _identifier(issuer: Any) -> Any:
    return issuer.get("id") if isinstance(issuer, dict) else issuer


def _seconds(text: Any) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise RuleError("date_malformed", "A date of vc is not a date and time.") from error
    return int((moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp())


def _equivalent(subject: Resolution | None, holder: Resolution | None) -> bool:
    """Two spellings of one did:ion: one names the other as equivalent, and both have the same keys now."""
    if subject is None or holder is None:
        return False
    one, other = subject.document, holder.document
    names = {one.id.text, *subject.equivalent_ids}
    if names.isdisjoint({other.id.text, *holder.equivalent_ids}) or one.id.method != "ion":
        return False
    return one.renamed(other.id).methods == other.methods
