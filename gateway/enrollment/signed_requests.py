"""Requests that a key has signed (RFC 8555 §6.2): by an account's key, a new one, or a certificate's.

ACME sends every request so. Over gRPC the caller is known by its certificate or token, and only what must be
proven by a key itself is: that an account's key, its next key, or a certificate's key is the device's. There
``url`` is the full name of the method (``/countersign.v1.EnrollmentService/CreateAccount``).
"""

from dataclasses import dataclass
from typing import Final, Protocol

from gateway.enrollment.device_proof import same
from gateway.errors import Reason, RequestError
from gateway.jose.errors import JoseError, JoseFault
from gateway.jose.jwk import Jwk
from gateway.jose.jws import CompactJws, parse_compact, verify
from gateway.pki.issuance_errors import RequestError as KeyRefusedError
from gateway.pki.key_strength import require_strong_key
from gateway.proofs.nonces import NonceError
from signers import Algorithm

ALGORITHMS: Final = frozenset(
    {
        Algorithm.EDDSA,
        Algorithm.ES256,
        Algorithm.ES384,
        Algorithm.ES512,
        Algorithm.RS256,
        Algorithm.PS256,
    }
)
MAX_PAYLOAD: Final = 64 * 1024
_MAX_SIZE: Final = 128 * 1024  # characters: a payload in base64url, twice for a JWS within a JWS


class Nonces(Protocol):
    """Nonces for one use: `gateway.proofs.single_use_nonces.SingleUseNonces`."""

    def issue(self, *, subject: str) -> str:
        """A new nonce for *subject*."""
        ...

    async def use(self, nonce: str, *, subject: str) -> None:
        """Use it up. Raises `NonceError`, `AvailabilityError`."""
        ...


@dataclass(frozen=True, slots=True)
class FlattenedJws:
    """The three members of a JWS in flattened JSON serialization (RFC 7515 §7.2.2), base64url each."""

    protected: str
    payload: str
    signature: str


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A well-formed request, not verified yet. Exactly one of *jwk* and *key_id* is set.

    *nonce* is None only within another request (RFC 8555 §7.3.4, §7.3.5).
    """

    jws: CompactJws
    jwk: Jwk | None
    key_id: str | None
    url: str
    nonce: str | None

    @property
    def payload(self) -> bytes:
        """The octets that were signed; empty for POST-as-GET (RFC 8555 §6.3)."""
        return self.jws.payload

    def require_jwk(self) -> Jwk:
        """The embedded key, where the request must carry one. Raises `RequestError`."""
        if self.jwk is None:
            raise _refused("The request must carry its key as jwk.")
        return self.jwk

    def require_url(self, url: str) -> None:
        """It was signed for *url*. Raises `RequestError` SIGNED_REQUEST_REFUSED."""
        if not same(self.url, url):
            raise _refused("The request is signed for another URL.", cause="url_mismatch")

    def require_signature(self, key: Jwk) -> None:
        """*key* signed it. Raises `RequestError` SIGNED_REQUEST_REFUSED."""
        try:
            key.require_algorithm(self.jws.header.algorithm)
            verify(self.jws, key.public_key, self.jws.header.algorithm)
        except JoseError as error:
            raise _refused("The signature of the request does not verify.") from error


def parse_signed_request(flattened: FlattenedJws, *, nonce_required: bool = True) -> SignedRequest:
    """Parse without verifying. Raises `RequestError`: SIGNED_REQUEST_REFUSED, BAD_PUBLIC_KEY, BAD_NONCE."""
    compact = f"{flattened.protected}.{flattened.payload}.{flattened.signature}"
    try:
        jws = parse_compact(compact, max_size=_MAX_SIZE)
    except JoseError as error:
        raise _refused("The request is not a JWS that is accepted here.") from error
    header = jws.header
    if header.algorithm not in ALGORITHMS:
        raise _refused("The signature algorithm is not accepted.", cause="bad_signature_algorithm")
    if len(jws.payload) > MAX_PAYLOAD:
        raise _refused("The payload of the request is too large.")
    jwk = _embedded(jws)
    if (jwk is None) == (header.kid is None):
        raise _refused("The request names its key by exactly one of jwk and kid.")
    url, nonce = header.parameter("url"), header.parameter("nonce")
    if not isinstance(url, str):
        raise _refused("The request names no url.")
    if nonce_required and not isinstance(nonce, str):
        raise RequestError(Reason.BAD_NONCE, "The request carries no nonce.", cause="nonce_missing")
    if not nonce_required and nonce is not None:
        raise _refused("A request within another carries no nonce.")
    return SignedRequest(jws, jwk, header.kid, url, nonce if isinstance(nonce, str) else None)


async def accept(request: SignedRequest, *, key: Jwk, url: str, nonces: Nonces, subject: str) -> None:
    """*request* is signed by *key* for *url*, with a nonce given to *subject*, which is used up last.

    Raises `RequestError`: SIGNED_REQUEST_REFUSED, BAD_NONCE; `AvailabilityError`.
    """
    request.require_url(url)
    request.require_signature(key)
    try:
        await nonces.use(request.nonce or "", subject=subject)
    except NonceError as error:
        raise RequestError(
            Reason.BAD_NONCE, "The nonce was used, has expired or is not ours; sign with a fresh one."
        ) from error


def require_account_key(key: Jwk) -> Jwk:
    """*key*, of a kind and strength that an account may have. Raises `RequestError` BAD_PUBLIC_KEY."""
    try:
        require_strong_key(key.public_key)
    except KeyRefusedError as error:
        raise RequestError(
            Reason.BAD_PUBLIC_KEY, "The key is not accepted for an account.", cause=error.code.value
        ) from error
    return key


def _embedded(jws: CompactJws) -> Jwk | None:
    try:
        return require_account_key(jws.header.embedded_jwk)
    except JoseError as error:
        if error.code is JoseFault.EMBEDDED_KEY_MISSING:
            return None
        raise RequestError(
            Reason.BAD_PUBLIC_KEY, "The key of the request is not accepted.", cause=error.code.value
        ) from error


def _refused(message: str, *, cause: str | None = None) -> RequestError:
    return RequestError(Reason.SIGNED_REQUEST_REFUSED, message, field="signed_request", cause=cause)
