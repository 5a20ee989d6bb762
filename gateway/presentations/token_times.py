"""Times of a token: whether it is valid, and whether it was made for this request."""

from dataclasses import dataclass

from gateway.presentations.report import Report, RuleError
from gateway.presentations.rules import PresentationCheck
from gateway.presentations.signed_token import SignedToken
from gateway.presentations.verifier import Policy


@dataclass(frozen=True, slots=True)
class Moment:
    """When validity is judged, in seconds since the epoch, and how far off it may be."""

    now: int
    policy: Policy


def check_validity(
    report: Report, code: PresentationCheck, token: SignedToken, moment: Moment, *, expiry_required: bool
) -> None:
    """``exp`` is ahead, and ``nbf`` is not; ``exp`` may be absent unless *expiry_required*."""
    claims, now, leeway = token.claims, moment.now, moment.policy.clock_skew

    def valid() -> str:
        expires = claims.numeric_date("exp") if expiry_required else claims.optional_numeric_date("exp")
        begins = claims.optional_numeric_date("nbf")
        # RFC 7519 §4.1.4: on or after the expiration time the token is not accepted.
        if expires is not None and now - leeway >= expires:
            raise RuleError("expired", "The token has expired.")
        if begins is not None and begins > now + leeway:
            raise RuleError("not_yet_valid", "The token is not valid yet.")
        return "The token is valid at this time."

    report.apply(code, token.path, valid)


def check_freshness(
    report: Report, code: PresentationCheck, token: SignedToken, moment: Moment, *, required: bool
) -> None:
    """``iat`` is recent and ``exp`` not too far ahead; ``iat`` may be absent unless *required*."""
    claims, policy, now = token.claims, moment.policy, moment.now
    if not required and "iat" not in claims:
        report.skipped(code, token.path, "There is no iat; the nonce says that the token is recent.")
        return

    def fresh() -> str:
        issued = claims.numeric_date("iat")
        if issued > now + policy.clock_skew:
            raise RuleError("issued_in_future", "The token was issued in the future.")
        if issued < now - policy.max_age - policy.clock_skew:
            raise RuleError("too_old", f"The token is older than {policy.max_age} seconds.")
        expires = claims.optional_numeric_date("exp")
        if expires is not None and expires > now + policy.max_lifetime + policy.clock_skew:
            raise RuleError("too_long_lived", f"exp is more than {policy.max_lifetime} seconds ahead.")
        return "The token was made recently."

    report.apply(code, token.path, fresh)
