"""One signed token of an answer: reading it, and verifying it under a key of the DID that it says signed it.

An ID token, a presentation and a credential differ in what they say and in where their signer stands; how
they are signed is one set of rules, applied here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.dids import Did, DidError, Relationship, Resolution, SigningKey, parse_did
from gateway.dids.did_jws import require_signature
from gateway.dids.did_url import MAX_DID, MAX_DID_URL
from gateway.dids.document import method_id_of
from gateway.jose import Claims, CompactJws, media_type_matches, parse_compact
from gateway.jose.strict_json import parse_object
from gateway.presentations.report import Report, RuleError
from gateway.presentations.rules import PresentationCheck
from gateway.presentations.verifier import Policy

MAX_DEPTH: Final = 32  # levels of JSON: as many as Presentation Exchange looks at

SIGNATURE_CHECKS: Final = (
    PresentationCheck.TOKEN_TYPE,
    PresentationCheck.TOKEN_EMBEDDED_KEY,
    PresentationCheck.TOKEN_ALGORITHM,
    PresentationCheck.TOKEN_SIGNER,
    PresentationCheck.TOKEN_KEY_ID,
    PresentationCheck.DID_METHOD,
    PresentationCheck.DID_RESOLVED,
    PresentationCheck.TOKEN_KEY,
    PresentationCheck.TOKEN_SIGNATURE,
)
"""What is applied to each token that could be read, in this order."""

_KEY_PARAMETERS: Final = frozenset({"jwk", "jku", "x5u", "x5c", "x5t", "x5t#S256"})


@dataclass(frozen=True, slots=True)
class TokenKind:
    """What is expected of a token: the claim that names its signer, its types, and the key's relationship."""

    signer_claim: str
    types: tuple[str, ...]
    any_of: frozenset[Relationship]


@dataclass(frozen=True, slots=True)
class SignedToken:
    """A token as read, with nothing of it verified. *path* says where in the answer it stood.

    *payload* is the claims set as JSON, *claims* the same behind typed getters; *signer* is the DID that it
    names, None where it names none.
    """

    path: str
    text: str = field(repr=False)
    jws: CompactJws = field(repr=False)
    payload: Mapping[str, Any] = field(repr=False)
    claims: Claims = field(repr=False)
    signer: Did | None

    @property
    def algorithm(self) -> str:
        """``alg`` as Presentation Exchange compares it."""
        return self.jws.header.algorithm.value


def read_token(
    report: Report, path: str, text: object, kind: TokenKind, *, max_size: int
) -> SignedToken | None:
    """The token that *text*, at most *max_size* characters, is; None where the report says why not."""
    read: list[tuple[CompactJws, dict[str, Any]]] = []

    def rule() -> str:
        if not isinstance(text, str):
            raise RuleError("not_a_jwt", "The value is not a compact JWT.")
        jws = parse_compact(text, max_size=max_size, max_kid=MAX_DID_URL)
        read.append((jws, parse_object(jws.payload, max_size=max_size, max_depth=MAX_DEPTH)))
        return "The token is a compact JWS over one JSON object."

    if not report.apply(PresentationCheck.TOKEN_WELL_FORMED, path, rule):
        report.unreached(SIGNATURE_CHECKS, path)
        return None
    jws, payload = read[0]
    signer = payload.get(kind.signer_claim)
    return SignedToken(path, str(text), jws, payload, Claims(payload), _did_or_none(signer))


def verify_token(
    report: Report,
    token: SignedToken,
    kind: TokenKind,
    resolution: Resolution | DidError | None,
    policy: Policy,
) -> bool:
    """Apply every rule about the signature of *token*; True where all of them hold.

    *resolution* is what its signer resolved to; None where it was not asked to: no DID, or a method refused.
    """
    header, path, check = token.jws.header, token.path, PresentationCheck

    def typed() -> str:
        if header.typ is not None and not any(media_type_matches(header.typ, each) for each in kind.types):
            raise RuleError("typ_mismatch", f"The typ is none of {', '.join(kind.types)}.")
        return "The token is not of another type."

    def no_key() -> str:
        if header.names & _KEY_PARAMETERS:
            raise RuleError("embedded_key", "The header brings a key or names where one is.")
        return "The header brings no key."

    def algorithm() -> str:
        if header.algorithm not in policy.algorithms:
            raise RuleError("algorithm_refused", f"{header.algorithm} is not accepted.")
        return f"{header.algorithm} is accepted."

    holds = report.apply(check.TOKEN_TYPE, path, typed)
    holds &= report.apply(check.TOKEN_EMBEDDED_KEY, path, no_key)
    accepted = report.apply(check.TOKEN_ALGORITHM, path, algorithm)
    named = _verify_signer(report, token, kind, policy)
    if resolution is None or not named:
        report.unreached(SIGNATURE_CHECKS[6:], path)
        return False
    if isinstance(resolution, DidError):
        report.refuse_did(check.DID_RESOLVED, path, resolution)
        report.unreached(SIGNATURE_CHECKS[7:], path)
        return False
    report.passed(check.DID_RESOLVED, path, f"The DID was resolved ({resolution.source}).")
    if not accepted:
        report.unreached(SIGNATURE_CHECKS[7:], path)
        return False
    return _verify_signature(report, token, kind, resolution) and holds


def _verify_signer(report: Report, token: SignedToken, kind: TokenKind, policy: Policy) -> bool:
    """Who signed is a DID of an accepted method, and the ``kid`` is of the same DID."""
    check, path, signer, kid = PresentationCheck, token.path, token.signer, token.jws.header.kid
    if signer is None:
        report.failed(check.TOKEN_SIGNER, path, "not_a_did", f"{kind.signer_claim} is not a DID.")
        report.unreached(SIGNATURE_CHECKS[4:6], path)
        return False
    report.passed(check.TOKEN_SIGNER, path, f"{kind.signer_claim} is a DID.")

    def key_id() -> str:
        if kid is None:
            return "There is no kid; the document must leave no choice."
        method_id_of(kid, signer)
        return f"The kid names a key of {kind.signer_claim}."

    def method() -> str:
        if signer.method not in policy.did_methods:
            raise RuleError("did_method_refused", "The DID method is not accepted.")
        return f"did:{signer.method} is accepted."

    named = report.apply(check.TOKEN_KEY_ID, path, key_id)
    return report.apply(check.DID_METHOD, path, method) and named


def _verify_signature(report: Report, token: SignedToken, kind: TokenKind, resolution: Resolution) -> bool:
    check, path, header = PresentationCheck, token.path, token.jws.header
    chosen: list[SigningKey] = []

    def key() -> str:
        document = resolution.document
        chosen.append(document.signing_key(header.kid, header.algorithm, any_of=kind.any_of))
        return "The key stands in the document for this, and serves the algorithm."

    def signature() -> str:
        require_signature(token.jws, chosen[0])
        return "The signature verifies."

    if not report.apply(check.TOKEN_KEY, path, key):
        report.unreached(SIGNATURE_CHECKS[8:], path)
        return False
    return report.apply(check.TOKEN_SIGNATURE, path, signature)


def _did_or_none(value: object) -> Did | None:
    if not isinstance(value, str) or len(value) > MAX_DID:
        return None
    try:
        return parse_did(value)
    except DidError:
        return None
