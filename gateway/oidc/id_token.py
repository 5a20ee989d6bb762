"""An ID token as a value, and the rules that make one (OpenID Connect Core §2, §3.1.3.7, §3.1.3.8, §5.1).

Pure: the key and the time are arguments.
"""

import hashlib
import hmac
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from gateway.jose import base64url
from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.jws import CompactJws
from gateway.jose.jwt import Claims, media_type_matches
from gateway.jose.strict_json import JsonObject, parse_object
from gateway.oidc.errors import IdTokenError, OidcFault
from signers import Algorithm

MAX_ID_TOKEN_SIZE: Final = 16 * 1024  # characters
MAX_SUBJECT: Final = 255  # ASCII characters, Core §2
_MAX_METHODS: Final = 32

_FAULTS: Final[Mapping[JoseFault, OidcFault]] = {
    JoseFault.ALG_NONE: OidcFault.ALG_NOT_ALLOWED,
    JoseFault.ALG_SYMMETRIC: OidcFault.ALG_NOT_ALLOWED,
    JoseFault.ALG_UNSUPPORTED: OidcFault.ALG_NOT_ALLOWED,
    JoseFault.ALG_MISMATCH: OidcFault.ALG_NOT_ALLOWED,
    JoseFault.SIGNATURE_MISSING: OidcFault.SIGNATURE_INVALID,
    JoseFault.SIGNATURE_INVALID: OidcFault.SIGNATURE_INVALID,
    JoseFault.CLAIM_MISSING: OidcFault.CLAIM_MISSING,
    JoseFault.CLAIM_INVALID: OidcFault.CLAIM_INVALID,
    JoseFault.ISSUER_MISMATCH: OidcFault.ISSUER_MISMATCH,
    JoseFault.AUDIENCE_MISMATCH: OidcFault.AUDIENCE_MISMATCH,
    JoseFault.EXPIRED: OidcFault.EXPIRED,
    JoseFault.NOT_YET_VALID: OidcFault.NOT_YET_VALID,
    JoseFault.ISSUED_IN_FUTURE: OidcFault.ISSUED_IN_FUTURE,
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What this one token must be, beside what holds for every token of the provider.

    - `nonce`: required to be in the token where we sent one; None where somebody else ran the login.
    - `max_age`: seconds since the user authenticated, where we asked for it; then ``auth_time`` is required.
    - `acr_values`: one of them must be ``acr``, where not empty.
    - `access_token`, `code`: what ``at_hash`` and ``c_hash`` are compared with, where the token has them.
    """

    nonce: str | None = field(default=None, repr=False)
    max_age: int | None = None
    acr_values: frozenset[str] = frozenset()
    access_token: str | None = field(default=None, repr=False)
    code: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class TokenRules:
    """What holds for every token of one provider; see `ProviderConfig`. Times are in seconds."""

    issuer: str
    client_id: str
    trusted_audiences: frozenset[str]
    clock_skew: int
    max_token_age: int | None


@dataclass(frozen=True, slots=True)
class IdToken:
    """A verified ID token. Times are seconds since the epoch; claims about the user are not in its repr.

    The profile claims (Core §5.1) are None where absent, null or empty. `claims` gives
    typed access to all others; `members` is for `ClaimMapping` alone.
    """

    issuer: str
    subject: str = field(repr=False)
    audiences: tuple[str, ...]
    authorized_party: str | None
    issue_time: int
    expire_time: int
    authenticate_time: int | None
    nonce: str | None = field(repr=False)
    acr: str | None
    amr: tuple[str, ...]
    name: str | None = field(repr=False)
    preferred_username: str | None = field(repr=False)
    email: str | None = field(repr=False)
    email_verified: bool | None = field(repr=False)
    claims: Claims = field(repr=False)
    members: Mapping[str, object] = field(repr=False, compare=False)


def refusal(error: JoseError) -> IdTokenError:
    """The refusal that a refusal of the JOSE layer means; to be raised from *error*."""
    fault = _FAULTS.get(error.code, OidcFault.TOKEN_MALFORMED)
    return IdTokenError(fault, f"the token was refused as {error.code}", member=error.member)


def check_header(jws: CompactJws, algorithms: frozenset[Algorithm]) -> None:
    """The algorithm is allowed, and ``typ``, where present, is JWT: any other kind of token has its own type.

    Raises `IdTokenError` with `ALG_NOT_ALLOWED` or `TYP_MISMATCH`.
    """
    if jws.header.algorithm not in algorithms:
        raise IdTokenError(OidcFault.ALG_NOT_ALLOWED, "the algorithm is not allowed", member="alg")
    if jws.header.typ is not None and not media_type_matches(jws.header.typ, "JWT"):
        raise IdTokenError(OidcFault.TYP_MISMATCH, "another kind of token", member="typ")


def read_id_token(jws: CompactJws, *, rules: TokenRules, expected: Expected, now: float) -> IdToken:
    """The ID token in *jws*, whose signature has been verified. *now* is in seconds since the epoch.

    In order: issuer, audience, authorized party, times, nonce, authentication, hashes. Raises `IdTokenError`.
    """
    try:
        members = parse_object(jws.payload)
        claims = Claims(members)
        claims.require_issuer(rules.issuer)
        _check_audience(claims, rules)
        _check_times(claims, rules, now)
        _check_nonce(claims, expected)
        _check_authentication(claims, rules, expected, now)
        _check_hash(claims, "at_hash", expected.access_token, jws.header.algorithm)
        _check_hash(claims, "c_hash", expected.code, jws.header.algorithm)
        return _id_token(claims, members)
    except JoseError as error:
        raise refusal(error) from error


def _check_audience(claims: Claims, rules: TokenRules) -> None:
    claims.require_audience(rules.client_id)
    audiences = frozenset(claims.audience())
    if not audiences <= rules.trusted_audiences | {rules.client_id}:
        raise IdTokenError(
            OidcFault.AUDIENCE_UNTRUSTED, "the token is meant for others as well", member="aud"
        )
    authorized_party = claims.optional_string("azp")
    if authorized_party is None and len(audiences) > 1:
        message = "a token for several audiences names no azp"
        raise IdTokenError(OidcFault.AUTHORIZED_PARTY_MISSING, message, member="azp")
    if authorized_party is not None and authorized_party != rules.client_id:
        message = "the token was issued to another client"
        raise IdTokenError(OidcFault.AUTHORIZED_PARTY_MISMATCH, message, member="azp")


def _check_times(claims: Claims, rules: TokenRules, now: float) -> None:
    # Rounded against the token: a fraction of a second never makes an expired one pass.
    claims.require_current(math.ceil(now), leeway=rules.clock_skew)
    issued = claims.numeric_date("iat")
    if rules.max_token_age is not None and issued < now - rules.max_token_age - rules.clock_skew:
        raise IdTokenError(OidcFault.ISSUED_TOO_LONG_AGO, "the token is too old", member="iat")


def _check_nonce(claims: Claims, expected: Expected) -> None:
    if expected.nonce is None:
        return
    nonce = claims.optional_string("nonce")
    if nonce is None:
        raise IdTokenError(OidcFault.NONCE_MISSING, "the token carries no nonce", member="nonce")
    if not hmac.compare_digest(nonce.encode(), expected.nonce.encode()):
        raise IdTokenError(OidcFault.NONCE_MISMATCH, "the nonce is another one", member="nonce")


def _check_authentication(claims: Claims, rules: TokenRules, expected: Expected, now: float) -> None:
    if expected.max_age is not None:
        oldest = now - expected.max_age - rules.clock_skew
        if claims.numeric_date("auth_time") < oldest:
            message = "the user authenticated too long ago"
            raise IdTokenError(OidcFault.AUTHENTICATED_TOO_LONG_AGO, message, member="auth_time")
    if expected.acr_values and claims.string("acr") not in expected.acr_values:
        raise IdTokenError(OidcFault.ACR_MISMATCH, "the authentication is of another class", member="acr")


def _check_hash(claims: Claims, name: str, secret: str | None, algorithm: Algorithm) -> None:
    """Core §3.1.3.6 and §3.3.2.11: the left half of the hash that the algorithm uses, base64url."""
    value = claims.optional_string(name)
    if value is None or secret is None:
        return
    # EdDSA names no hash; Ed25519 uses SHA-512 within, and providers agree on that.
    hash_algorithm = algorithm.spec.hash_algorithm
    digest = hashlib.new(hash_algorithm.name if hash_algorithm else "sha512", secret.encode()).digest()
    if not hmac.compare_digest(value.encode(), base64url.encode(digest[: len(digest) // 2]).encode()):
        at_hash = name == "at_hash"
        fault = OidcFault.ACCESS_TOKEN_HASH_MISMATCH if at_hash else OidcFault.CODE_HASH_MISMATCH
        raise IdTokenError(fault, f"{name} belongs to something else", member=name)


def _id_token(claims: Claims, members: JsonObject) -> IdToken:
    subject = claims.string("sub", max_length=MAX_SUBJECT)
    if not subject.isascii():
        raise IdTokenError(OidcFault.CLAIM_INVALID, "sub is not ASCII", member="sub")
    return IdToken(
        issuer=claims.string("iss"),
        subject=subject,
        audiences=claims.audience(),
        authorized_party=claims.optional_string("azp"),
        issue_time=claims.numeric_date("iat"),
        expire_time=claims.numeric_date("exp"),
        authenticate_time=claims.optional_numeric_date("auth_time"),
        nonce=claims.optional_string("nonce"),
        acr=claims.optional_string("acr"),
        amr=claims.strings("amr", max_items=_MAX_METHODS) if "amr" in claims else (),
        name=_profile_text(claims, members, "name"),
        preferred_username=_profile_text(claims, members, "preferred_username"),
        email=_profile_text(claims, members, "email"),
        email_verified=claims.boolean("email_verified") if "email_verified" in claims else None,
        claims=claims,
        members=MappingProxyType(members),
    )


def _profile_text(claims: Claims, members: JsonObject, name: str) -> str | None:
    # Core §5.3.2 asks providers to leave out what they do not know; some send null or "" instead.
    return None if members.get(name) in (None, "") else claims.optional_string(name)
