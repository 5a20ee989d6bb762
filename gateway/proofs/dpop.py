"""Checking DPoP proofs (RFC 9449 §4.3), once each.

The checks run from cheap to dear: sizes, encodings and comparisons first, then the signature. The one write
to the database is a step of its own, for when it is known who sent the proof. So whoever sends garbage pays
more than we do, and only a proof that is good in every other way takes room in the replay table. None of the
early answers tells a sender anything that he did not write himself.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final, Protocol

from gateway.clock import Clock
from gateway.jose.errors import JoseError
from gateway.jose.jwk import Jwk
from gateway.jose.jws import CompactJws, parse_compact, verify
from gateway.jose.jwt import Claims, require_typ
from gateway.proofs.dpop_errors import DpopError, DpopFault, from_jose, from_key
from gateway.proofs.dpop_proof import MAX_SIZE, DpopProof
from gateway.proofs.nonces import NonceError
from gateway.proofs.replay import ReplayRepository
from gateway.proofs.target_uri import TargetUri, TargetUriError
from signers import Algorithm

TYP: Final = "dpop+jwt"
REPLAY_KIND: Final = "dpop_proof"

_MAX_TOKEN_ID: Final = 256
_MAX_METHOD: Final = 32
_MAX_NONCE: Final = 256
_MAX_ATH: Final = 64


class NonceChecker(Protocol):
    """Nonces of this server (RFC 9449 §8 and §9): `gateway.proofs.nonces.ServerNonces`."""

    def check(self, nonce: str, *, subject: str = "") -> float:
        """When *nonce* stops being accepted, in seconds since the epoch. Raises `NonceError`."""
        ...


@dataclass(frozen=True, slots=True)
class DpopPolicy:
    """What a proof must be like; times are whole seconds.

    - *algorithms*: those accepted, all asymmetric.
    - *window*: how long ago ``iat`` may lie.
    - *skew*: how far ahead of our clock ``iat`` and ``nbf`` may be, and how long after ``exp`` we accept.
    - *nonce_required*: a proof without a nonce is refused. A nonce that is present is checked in any case.
    - *window_with_nonce*: how far ``iat`` may be off either way where a nonce of ours says how old the proof
      is (RFC 9449 §4.3, 11), for devices whose clock is wrong; None: as without a nonce.
    - *allow_http*: plain http in ``htu``, for development.
    """

    algorithms: frozenset[Algorithm]
    window: int
    skew: int
    nonce_required: bool = False
    window_with_nonce: int | None = None
    allow_http: bool = False

    def __post_init__(self) -> None:
        if not self.algorithms:
            raise ValueError("no algorithm is accepted")
        if self.window <= 0 or self.skew < 0 or (self.window_with_nonce or 0) < 0:
            raise ValueError("window is positive; skew and window_with_nonce are not negative")


class DpopVerifier:
    """Checks proofs for one server: one policy, one space of nonces, one replay table for all replicas."""

    def __init__(
        self,
        *,
        policy: DpopPolicy,
        replay: ReplayRepository,
        clock: Clock,
        nonces: NonceChecker | None = None,
    ) -> None:
        """*nonces*: None where this server gives out no nonces; then a proof's nonce is not looked at."""
        if nonces is None and policy.nonce_required:
            raise ValueError("nonces are required, but there is nothing to check them with")
        self._policy = policy
        self._replay = replay
        self._clock = clock
        self._nonces = nonces

    def check(
        self, proof: str, *, method: str, targets: Collection[TargetUri], nonce_subject: str = ""
    ) -> DpopProof:
        """Check *proof*, for a request without an access token (the token endpoint, PAR).

        It counts once it was given to `use`; all that needs no database comes before. *method* is the HTTP
        method, POST for gRPC; *targets* are the request's possible target URIs, see `Origins`;
        *nonce_subject* is whom the nonce was bound to. Raises `DpopError`.
        """
        try:
            jws = parse_compact(proof, max_size=MAX_SIZE)
            require_typ(jws.header, TYP)
            if jws.header.algorithm not in self._policy.algorithms:
                raise DpopError(DpopFault.ALG_NOT_ACCEPTED, "the algorithm is not accepted", member="alg")
            claims = Claims.parse(jws.payload)
            checked = self._check_claims(claims, method, targets, nonce_subject)
            jwk = _embedded_key(jws)
            verify(jws, jwk.public_key, jws.header.algorithm)
        except JoseError as error:
            raise from_jose(error) from error
        return DpopProof(
            jkt=jwk.thumbprint,
            jti=checked.jti,
            iat=checked.iat,
            method=method,
            target=checked.target,
            nonce=checked.nonce,
            ath=checked.ath,
            algorithm=jws.header.algorithm,
            public_key=jwk.public_key,
            claims=claims,
            expire_time=checked.expire_time,
        )

    def check_with_access_token(
        self, proof: str, *, method: str, targets: Collection[TargetUri], access_token: str, jkt: str
    ) -> DpopProof:
        """As `check`, for a request that presents *access_token*, which is bound to key *jkt*."""
        checked = self.check(proof, method=method, targets=targets)
        checked.require_access_token(access_token, jkt)
        return checked

    async def use(self, proof: DpopProof) -> None:
        """Record that *proof* was used: exactly one call over all replicas returns.

        Scoped by target, key and ``jti``, so that nobody can use up somebody else's ``jti``. Raises
        `DpopError` with `REPLAYED`, `AvailabilityError`.
        """
        # JSON keeps the three parts apart, whatever characters they hold.
        scope = json.dumps([str(proof.target), proof.jkt, proof.jti]).encode("ascii")
        value = hashlib.sha256(scope).hexdigest()
        # Another replica's clock may be behind ours, and would accept the proof for that much longer.
        expire_time = proof.expire_time + self._policy.skew
        if not await self._replay.use_once(REPLAY_KIND, value, expire_time=expire_time):
            raise DpopError(DpopFault.REPLAYED, "the proof was used before", member="jti")

    def _check_claims(
        self, claims: Claims, method: str, targets: Collection[TargetUri], nonce_subject: str
    ) -> "_Checked":
        jti = claims.string("jti", max_length=_MAX_TOKEN_ID)
        htm = claims.string("htm", max_length=_MAX_METHOD)
        htu = claims.string("htu")
        iat = claims.numeric_date("iat")
        ath = claims.optional_string("ath", max_length=_MAX_ATH)
        nonce = claims.optional_string("nonce", max_length=_MAX_NONCE)
        if htm != method:
            raise DpopError(DpopFault.METHOD_MISMATCH, "the proof is for another method", member="htm")
        target = self._target(htu, targets)
        nonce_end = self._check_nonce(nonce, nonce_subject)
        expire_time = self._check_times(claims, iat, nonce_end)
        return _Checked(jti, iat, target, nonce, ath, expire_time)

    def _target(self, htu: str, targets: Collection[TargetUri]) -> TargetUri:
        try:
            target = TargetUri.parse(htu, allow_http=self._policy.allow_http)
        except TargetUriError as error:
            raise DpopError(DpopFault.CLAIM_INVALID, str(error), member="htu") from error
        if target not in targets:
            raise DpopError(DpopFault.TARGET_MISMATCH, "the proof is for another target", member="htu")
        return target

    def _check_nonce(self, nonce: str | None, subject: str) -> float | None:
        """When the nonce stops being accepted; None where no nonce vouches for the proof's age."""
        if self._nonces is None:
            return None
        if nonce is None:
            if self._policy.nonce_required:
                raise DpopError(DpopFault.NONCE_MISSING, "a nonce is required", member="nonce")
            return None
        try:
            return self._nonces.check(nonce, subject=subject)
        except NonceError as error:
            raise DpopError(
                DpopFault.NONCE_MISMATCH, "the nonce is not a recent one of ours", member="nonce"
            ) from error

    def _check_times(self, claims: Claims, iat: int, nonce_end: float | None) -> float:
        """Check ``iat``, and ``exp`` and ``nbf`` where present; returns when the proof gets too old."""
        policy = self._policy
        now = self._clock()
        past, ahead = policy.window, policy.skew
        if nonce_end is not None and policy.window_with_nonce is not None:
            past = ahead = policy.window_with_nonce
        if iat > now + ahead:
            raise DpopError(DpopFault.ISSUED_IN_FUTURE, "the proof is from the future", member="iat")
        if iat + past < now:
            raise DpopError(DpopFault.ISSUED_TOO_LONG_AGO, "the proof is too old", member="iat")
        not_before = claims.optional_numeric_date("nbf")
        if not_before is not None and not_before > now + ahead:
            raise DpopError(DpopFault.NOT_YET_VALID, "the proof is not valid yet", member="nbf")
        ends = [float(iat + past)]
        if nonce_end is not None:
            ends.append(nonce_end)
        end = claims.optional_numeric_date("exp")
        if end is not None:
            if end + policy.skew <= now:
                raise DpopError(DpopFault.EXPIRED, "the proof has expired", member="exp")
            ends.append(float(end + policy.skew))
        return min(ends)


@dataclass(frozen=True, slots=True)
class _Checked:
    """The claims of a proof that passed, before its signature did."""

    jti: str
    iat: int
    target: TargetUri
    nonce: str | None
    ath: str | None
    expire_time: float


def _embedded_key(jws: CompactJws) -> Jwk:
    try:
        jwk = jws.header.embedded_jwk
        jwk.require_algorithm(jws.header.algorithm)
    except JoseError as error:
        raise from_key(error) from error
    return jwk
