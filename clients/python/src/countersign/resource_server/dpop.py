"""Checking the DPoP proof of a request that presents an access token (RFC 9449 §4.3 and §7)."""

import hashlib
import hmac
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from countersign.resource_server._encoding import encode_base64url
from countersign.resource_server._jws import CompactJws, Members, parse_jws
from countersign.resource_server._public_keys import (
    ALGORITHMS,
    KeyUnusableError,
    VerificationKey,
    key_of_members,
    thumbprint,
)
from countersign.resource_server._replays import ReplayTable
from countersign.resource_server._target_uri import Origins, TargetUri, TargetUriError
from countersign.resource_server.errors import Fault, InvalidProofError, InvalidTokenError, NonceRequiredError
from countersign.resource_server.nonces import DpopNonces
from countersign.tokens import TokenType

TYP: Final = "dpop+jwt"
_MAX_TOKEN_ID: Final = 256
_MAX_METHOD: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class DpopPolicy:
    """What a proof must be like.

    - `origins`: where clients reach this resource server, ``https://host`` or ``https://host:port``. A
      proof's ``htu`` is compared with these and never with a Host header, which its sender chooses.
    - `algorithms`: those accepted, of `ALGORITHMS`.
    - `window`: how long ago ``iat`` may lie. `skew`: how far ahead of our clock it may be.
    - `nonces`: with them every proof must carry a nonce of ours.
    - `max_proofs`: how many are remembered, each for `window` and twice `skew`; where there are more,
      requests are refused with `VerificationUnavailableError`. Replicas do not share what they remember: a
      proof may be used once at each, unless `nonces` have a secret of each replica's own.
    - `allow_http`: plain http in ``htu``, for development.
    """

    origins: tuple[str, ...]
    algorithms: frozenset[str] = frozenset({"ES256", "ES384", "ES512", "EdDSA", "PS256"})
    window: timedelta = timedelta(seconds=60)
    skew: timedelta = timedelta(seconds=10)
    nonces: DpopNonces | None = field(default=None, repr=False)
    max_proofs: int = 200_000
    allow_http: bool = False

    def __post_init__(self) -> None:
        Origins(self.origins, allow_http=self.allow_http)
        if not self.algorithms or not self.algorithms <= ALGORITHMS:
            raise ValueError(f"algorithms must be some of {', '.join(sorted(ALGORITHMS))}.")
        if self.window <= timedelta(0) or self.skew < timedelta(0) or self.max_proofs < 1:
            raise ValueError("window and max_proofs must be above 0, skew not below.")


class ProofChecker:
    """Accepts each proof once."""

    def __init__(self, policy: DpopPolicy, *, clock: Callable[[], float] = time.time) -> None:
        self._policy = policy
        self._clock = clock
        self._origins = Origins(policy.origins, allow_http=policy.allow_http)
        self._window, self._skew = policy.window.total_seconds(), policy.skew.total_seconds()
        # The latest time at which a proof of now can still be accepted is when its iat was ahead by skew.
        self._used = ReplayTable(max_entries=policy.max_proofs, lifetime=self._window + 2 * self._skew)
        self.algorithms = tuple(sorted(policy.algorithms))

    def new_nonce(self) -> str | None:
        """What the next proof must carry; None where nonces are not used."""
        return None if self._policy.nonces is None else self._policy.nonces.issue()

    def check(self, proofs: Sequence[str], *, method: str, path: str, access_token: str, jkt: bytes) -> None:
        """Accept the one proof of a request: *proofs* are the values of all its DPoP header fields.

        *method* is the HTTP method (POST for gRPC), *path* as received and without query; *jkt* is what
        *access_token* is bound to. Raises `InvalidProofError`, `NonceRequiredError`, `InvalidTokenError`
        (`KEY_MISMATCH`), `VerificationUnavailableError`.
        """
        if not proofs:
            raise InvalidProofError(Fault.MISSING, "The request carries no DPoP proof.")
        if len(proofs) > 1:
            raise InvalidProofError(Fault.REPEATED, "The request carries several DPoP proofs.")
        jws = parse_jws(proofs[0], typ=TYP, algorithms=self._policy.algorithms, refusal=InvalidProofError)
        claims = jws.claims
        token_id = claims.string("jti", max_length=_MAX_TOKEN_ID)
        if claims.string("htm", max_length=_MAX_METHOD) != method:
            raise InvalidProofError(Fault.METHOD_MISMATCH, "The proof is for another method.")
        target = self._target(claims.string("htu"), path)
        now = self._clock()
        self._check_times(claims, now)
        if not _equal(claims.string("ath"), _hash(access_token)):
            raise InvalidProofError(Fault.TOKEN_MISMATCH, "The proof is for another access token.")
        self._check_nonce(claims)
        found = _signing_key(jws)
        if not hmac.compare_digest(found, jkt):
            error = InvalidTokenError(Fault.KEY_MISMATCH, "The token is bound to another key.")
            error.scheme = TokenType.DPOP
            raise error
        # Last, so that only a proof which is good in every other way takes room.
        self._used.use(str(target), encode_base64url(found), token_id, now=now)

    def _target(self, htu: str, path: str) -> TargetUri:
        try:
            target = self._origins.match(htu, path)
        except TargetUriError as error:
            raise InvalidProofError(Fault.CLAIM_INVALID, "htu is not the URI of a request.") from error
        if target is None:
            raise InvalidProofError(Fault.TARGET_MISMATCH, "The proof is for another target.")
        return target

    def _check_times(self, claims: Members, now: float) -> None:
        issued = claims.numeric_date("iat")
        if issued > now + self._skew:
            raise InvalidProofError(Fault.ISSUED_IN_FUTURE, "The proof is from the future.")
        if issued + self._window < now:
            raise InvalidProofError(Fault.TOO_OLD, "The proof is too old.")
        not_before, end = claims.optional_numeric_date("nbf"), claims.optional_numeric_date("exp")
        if not_before is not None and not_before > now + self._skew:
            raise InvalidProofError(Fault.NOT_YET_VALID, "The proof is not valid yet.")
        if end is not None and end + self._skew <= now:
            raise InvalidProofError(Fault.EXPIRED, "The proof has expired.")

    def _check_nonce(self, claims: Members) -> None:
        nonces = self._policy.nonces
        if nonces is None:
            return
        nonce = claims.optional_string("nonce", max_length=256)
        if nonce is None:
            raise NonceRequiredError(Fault.NONCE_MISSING, "The proof must carry a nonce.")
        if not nonces.accepts(nonce):
            raise NonceRequiredError(Fault.NONCE_MISMATCH, "The nonce is not a recent one of ours.")


def _signing_key(jws: CompactJws) -> bytes:
    """The thumbprint of the key in the header, which signed the proof."""
    try:
        public_key = key_of_members(jws.header.value("jwk"))
        key = VerificationKey.of(public_key, jws.algorithm)
    except KeyUnusableError as error:
        raise InvalidProofError(Fault.KEY_INVALID, "The jwk of the proof cannot be used.") from error
    if not key.verifies(jws.message, jws.signature):
        raise InvalidProofError(Fault.SIGNATURE_INVALID, "The signature of the proof does not verify.")
    return thumbprint(public_key)


def _hash(access_token: str) -> str:
    return encode_base64url(hashlib.sha256(access_token.encode("ascii")).digest())


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode())
