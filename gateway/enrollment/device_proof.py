"""A Wire device's DPoP proof: what the minter and the CA both check of it.

It differs from the proof of RFC 9449 in what it says and in how its age is judged: a device's ``iat`` lies an
hour back, so that only ``exp`` and the nonce say how old a proof may be. The rules, and the names of the
faults, are those of wireapp/rusty-jwt-tools and wire-server; where those leave out a check, it is made here.
"""

import hmac
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from gateway.enrollment.wire_names import ClientUri
from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.jwk import Jwk
from gateway.jose.jws import CompactJws, parse_compact, verify
from gateway.jose.jwt import Claims
from gateway.proofs.dpop_proof import MAX_SIZE
from gateway.proofs.target_uri import TargetUri, TargetUriError
from signers import Algorithm

TYP: Final = "dpop+jwt"
ALGORITHMS: Final = frozenset({Algorithm.EDDSA, Algorithm.ES256, Algorithm.ES384, Algorithm.ES512})
METHOD: Final = "POST"
PROOFS_KEPT: Final = 256
"""Proofs whose signature was verified, of `MAX_SIZE` characters at most."""
_MAX_TOKEN_ID: Final = 256


class ProofFault(StrEnum):
    """The rule that refused a proof, by the label that wire-server answers with."""

    MALFORMED = "client-token-parse-error"
    HEADER_MISSING = "missing-dpop-header"
    TYP_MISMATCH = "client-token-type-error"
    ALG_UNSUPPORTED = "client-token-unsupported-alg"
    KEY_REFUSED = "client-token-bad-key"
    SIGNATURE_INVALID = "client-token-bad-signature"
    CLIENT_MISMATCH = "client-token-bad-client-id"
    CLIENT_MALFORMED = "client-token-id-parse-error"
    NONCE_MISMATCH = "client-token-bad-nonce"
    TARGET_MALFORMED = "client-token-bad-uri"
    METHOD_MALFORMED = "client-token-bad-method"
    TOKEN_ID_MISSING = "client-token-jti-missing"
    CHALLENGE_MISSING = "client-token-chal-missing"
    ISSUE_TIME_MISSING = "client-token-iat-missing"
    ISSUE_TIME_AHEAD = "client-token-bad-iat"
    EXPIRY_MISSING = "client-token-exp-missing"
    LIVES_TOO_LONG = "client-token-exp-too-large"
    EXPIRED = "client-token-exp-too-small"
    NOT_YET_VALID = "not-yet-valid"
    CHALLENGE_MISMATCH = "dpop-challenge-mismatch"
    TARGET_MISMATCH = "dpop-htu-mismatch"
    METHOD_MISMATCH = "dpop-htm-mismatch"
    HANDLE_MISMATCH = "dpop-handle-mismatch"
    TEAM_MISMATCH = "dpop-team-mismatch"
    NAME_MISMATCH = "dpop-display-name-mismatch"
    AUDIENCE_MISMATCH = "dpop-audience-mismatch"


class ProofError(Exception):
    """The proof was refused. *fault* is stable; *member* names the header parameter or claim, or is None."""

    def __init__(self, fault: ProofFault, message: str, *, member: str | None = None) -> None:
        super().__init__(f"{fault}: {message}")
        self.fault = fault
        self.member = member


@dataclass(frozen=True, slots=True)
class ProofLimits:
    """*now* in seconds since the epoch; *max_lifetime* is the furthest ``exp`` from it; *skew* of clocks."""

    now: float
    max_lifetime: int
    skew: int


@dataclass(frozen=True, slots=True)
class ExpectedDevice:
    """Whom a proof must be from and for what.

    - *handle*: the qualified handle, as a URI.
    - *target*: where access tokens are minted for this device, in normal form.
    - *display_name*: compared in the second generation, whose proofs carry it; None compares nothing.
    """

    client: ClientUri
    handle: str
    target: TargetUri
    display_name: str | None


@dataclass(frozen=True, slots=True)
class DeviceProof:
    """A proof whose signature, times and names are good. *jkt* is its key's RFC 7638 thumbprint.

    *audience* is None in the first generation; *team* where the device names none. *challenge*, *nonce*,
    *team* and *audience* are compared by whoever knows them.
    """

    key: Jwk
    algorithm: Algorithm
    token_id: str
    expire_time: int
    nonce: str
    challenge: str
    team: str | None
    audience: str | None
    compact: str = field(repr=False)

    @property
    def jkt(self) -> str:
        """The thumbprint of the device's key."""
        return self.key.thumbprint

    def require_challenge(self, token: str) -> None:
        """``chal`` is the challenge's *token*. Raises `ProofError` with `CHALLENGE_MISMATCH`."""
        if not same(self.challenge, token):
            raise ProofError(
                ProofFault.CHALLENGE_MISMATCH, "the proof is for another challenge", member="chal"
            )

    def require_team(self, team: str | None) -> None:
        """``team`` is *team*, or absent where that is None. Raises `ProofError` with `TEAM_MISMATCH`."""
        if (self.team is None) != (team is None) or not same(self.team or "", team or ""):
            raise ProofError(ProofFault.TEAM_MISMATCH, "the proof is for another team", member="team")


def check_device_proof(compact: str, expected: ExpectedDevice, limits: ProofLimits) -> DeviceProof:
    """The proof of *expected* in *compact*. Raises `ProofError`.

    What is compared is compared in constant time; nothing is written and nothing is used up.
    """
    try:
        return _check_claims(compact, _signed(compact), expected, limits)
    except JoseError as error:
        raise _from_jose(error) from error


def same(one: str, other: str) -> bool:
    """Whether two texts are equal, in a time that does not tell where they differ."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


@dataclass(frozen=True, slots=True)
class _Signed:
    """What a proof says, whose signature by *key* is good."""

    key: Jwk
    algorithm: Algorithm
    claims: Claims


@lru_cache(maxsize=PROOFS_KEPT)
def _signed(compact: str) -> _Signed:
    """*compact*, read and its signature verified. Only good ones are kept.

    The minter and the CA get the same octets within moments. Neither the form of a proof nor its signature
    depends on who reads it and when; everything that does is checked each time.
    """
    jws = parse_compact(compact, max_size=MAX_SIZE)
    key = _key(jws)
    verify(jws, key.public_key, jws.header.algorithm)
    return _Signed(key, jws.header.algorithm, Claims.parse(jws.payload))


def _key(jws: CompactJws) -> Jwk:
    header = jws.header
    if header.typ is None:
        raise ProofError(ProofFault.HEADER_MISSING, "the proof has no typ", member="typ")
    if header.typ != TYP:
        raise ProofError(ProofFault.TYP_MISMATCH, f"typ is not {TYP}", member="typ")
    if header.algorithm not in ALGORITHMS:
        raise ProofError(ProofFault.ALG_UNSUPPORTED, "the algorithm is not accepted", member="alg")
    try:
        key = header.embedded_jwk
        key.require_algorithm(header.algorithm)
    except JoseError as error:
        missing = error.code is JoseFault.EMBEDDED_KEY_MISSING
        fault = ProofFault.HEADER_MISSING if missing else ProofFault.KEY_REFUSED
        raise ProofError(fault, f"the embedded key was refused as {error.code}", member="jwk") from error
    return key


def _check_claims(
    compact: str, signed: _Signed, expected: ExpectedDevice, limits: ProofLimits
) -> DeviceProof:
    claims = signed.claims
    method = claims.string("htm", max_length=32)
    target = _target(claims)
    challenge = _required(claims, "chal", ProofFault.CHALLENGE_MISSING)
    handle = claims.string("handle")
    _check_times(claims, limits)
    if not same(claims.string("sub"), expected.client.text):
        raise ProofError(ProofFault.CLIENT_MISMATCH, "the proof is from another device", member="sub")
    nonce = _required(claims, "nonce", ProofFault.NONCE_MISMATCH)
    token_id = _required(claims, "jti", ProofFault.TOKEN_ID_MISSING, max_length=_MAX_TOKEN_ID)
    if method != METHOD:
        raise ProofError(ProofFault.METHOD_MISMATCH, "the proof is for another method", member="htm")
    if target != expected.target:
        raise ProofError(ProofFault.TARGET_MISMATCH, "the proof is for another target", member="htu")
    if not same(handle, expected.handle):
        raise ProofError(ProofFault.HANDLE_MISMATCH, "the proof is from another user", member="handle")
    audience = None
    if expected.display_name is not None:
        if not same(claims.string("name"), expected.display_name):
            raise ProofError(ProofFault.NAME_MISMATCH, "the display name is another one", member="name")
        audience = claims.single_audience()
    return DeviceProof(
        key=signed.key,
        algorithm=signed.algorithm,
        token_id=token_id,
        expire_time=claims.numeric_date("exp"),
        nonce=nonce,
        challenge=challenge,
        team=claims.optional_string("team"),
        audience=audience,
        compact=compact,
    )


def _check_times(claims: Claims, limits: ProofLimits) -> None:
    """``iat`` and ``nbf`` are not ahead; ``exp`` is ahead, and not too far. All three are required."""
    for name, fault in (("iat", ProofFault.ISSUE_TIME_MISSING), ("exp", ProofFault.EXPIRY_MISSING)):
        if name not in claims:
            raise ProofError(fault, f"{name} is missing", member=name)
    if claims.numeric_date("iat") > limits.now + limits.skew:
        raise ProofError(ProofFault.ISSUE_TIME_AHEAD, "the proof is from the future", member="iat")
    if claims.numeric_date("nbf") > limits.now + limits.skew:
        raise ProofError(ProofFault.NOT_YET_VALID, "the proof is not valid yet", member="nbf")
    expiry = claims.numeric_date("exp")
    if expiry + limits.skew <= limits.now:
        raise ProofError(ProofFault.EXPIRED, "the proof has expired", member="exp")
    if expiry > limits.now + limits.max_lifetime + limits.skew:
        raise ProofError(ProofFault.LIVES_TOO_LONG, "the proof lives too long", member="exp")


def _required(claims: Claims, name: str, fault: ProofFault, *, max_length: int = 2048) -> str:
    if name not in claims:
        raise ProofError(fault, f"{name} is missing", member=name)
    return claims.string(name, max_length=max_length)


def _target(claims: Claims) -> TargetUri:
    # The target is compared with one that an operator wrote, and nothing is fetched from it: http may stand.
    try:
        return TargetUri.parse(claims.string("htu"), allow_http=True)
    except TargetUriError as error:
        raise ProofError(ProofFault.TARGET_MALFORMED, str(error), member="htu") from error


def _from_jose(error: JoseError) -> ProofError:
    fault = _FAULTS.get(error.code, ProofFault.MALFORMED)
    return ProofError(fault, f"the proof was refused as {error.code}", member=error.member)


_FAULTS: Final = {
    JoseFault.ALG_MISSING: ProofFault.HEADER_MISSING,
    JoseFault.ALG_NONE: ProofFault.ALG_UNSUPPORTED,
    JoseFault.ALG_SYMMETRIC: ProofFault.ALG_UNSUPPORTED,
    JoseFault.ALG_UNSUPPORTED: ProofFault.ALG_UNSUPPORTED,
    JoseFault.SIGNATURE_MISSING: ProofFault.SIGNATURE_INVALID,
    JoseFault.SIGNATURE_INVALID: ProofFault.SIGNATURE_INVALID,
}
