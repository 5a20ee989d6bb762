"""Verifying the access token of a request offline (RFC 9068 §4, RFC 8705 §3, RFC 9449 §7)."""

import hmac
import re
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final, Protocol

from countersign.resource_server._jws import CompactJws, parse_jws
from countersign.resource_server._public_keys import ALGORITHMS
from countersign.resource_server.certificate import certificate_thumbprint
from countersign.resource_server.dpop import DpopPolicy, ProofChecker
from countersign.resource_server.errors import (
    AccessRefusedError,
    Fault,
    InvalidTokenError,
    MalformedRequestError,
    NonceRequiredError,
    TokenMissingError,
)
from countersign.resource_server.key_cache import KeySetCache, KeySource
from countersign.resource_server.token import VerifiedToken, token_of
from countersign.tokens import TokenType

TYP: Final = "at+jwt"
MAX_LEEWAY: Final = timedelta(minutes=5)
"""Revocations are kept longer than that, so that none is forgotten while its token is still accepted."""
_MAX_KEY_ID: Final = 256
# RFC 9110 §11.4: the scheme in any case, then the token68 of RFC 6750 §2.1.
_CREDENTIALS: Final = re.compile(r"(?P<scheme>[A-Za-z]+) +(?P<token>[A-Za-z0-9\-._~+/]+=*)")
_SCHEMES: Final = {each.value.lower(): each for each in (TokenType.BEARER, TokenType.DPOP)}


@dataclass(frozen=True, slots=True)
class PresentedRequest:
    """What a request shows of its sender.

    - `method`: the HTTP method; POST for gRPC. `path`: as received, without query
      (``/package.Service/Method`` for gRPC).
    - `authorization`, `dpop`: the values of all header fields or metadata entries of these names.
    - `certificate`: the client's certificate, DER, from the TLS layer or from a proxy that is trusted with
      it; never from anything that the sender can write.
    """

    method: str
    path: str
    authorization: tuple[str, ...] = field(repr=False)
    dpop: tuple[str, ...] = field(default=(), repr=False)
    certificate: bytes | None = field(default=None, repr=False)


class RevocationCheck(Protocol):
    """What is known of revocations: `RevocationFollower`."""

    def require_not_revoked(self, token: VerifiedToken) -> None:
        """Raises `InvalidTokenError` (`REVOKED`), `VerificationUnavailableError` (`REVOCATIONS_STALE`)."""
        ...


class AccessTokenVerifier:
    """Verifies access tokens for one resource server, on one event loop.

    - *keys*: an open `GatewayClient`, of which only `get_jwks` is called.
    - *issuer*: the gateway's issuer identifier, compared octet for octet.
    - *audience*: the resource identifiers of this server; a token must name one of them.
    - *algorithms*: those accepted for tokens, of `ALGORITHMS`. A key serves the one that its set names.
    - *leeway*: how far the gateway's clock and ours may differ, for ``exp``, ``nbf`` and ``iat``; at most
      five minutes.
    - *dpop*: what proofs must be like; None refuses all tokens that are bound to a DPoP key.
    - *revocations*: asked about a token that is good otherwise; None accepts tokens until they expire.
    - *accept_unbound*: also takes tokens that are bound to nothing, which whoever sees one may use.
    - *clock*: seconds since the epoch.
    """

    def __init__(
        self,
        keys: KeySource,
        *,
        issuer: str,
        audience: Collection[str],
        algorithms: Collection[str] = ("EdDSA", "ES256", "ES384", "ES512", "PS256", "RS256"),
        leeway: timedelta = timedelta(seconds=10),
        dpop: DpopPolicy | None = None,
        revocations: RevocationCheck | None = None,
        accept_unbound: bool = False,
        refresh_interval: timedelta = timedelta(seconds=10),
        clock: Callable[[], float] = time.time,
    ) -> None:
        """*refresh_interval*: at least this long between two fetches of the keys. Raises `ValueError`."""
        if isinstance(audience, str) or not audience or not issuer:
            raise ValueError("issuer and audience must not be empty, and audience is a collection.")
        if not algorithms or not set(algorithms) <= ALGORITHMS:
            raise ValueError(f"algorithms must be some of {', '.join(sorted(ALGORITHMS))}.")
        if not timedelta(0) <= leeway <= MAX_LEEWAY:
            raise ValueError("leeway must not be below 0 and not above five minutes.")
        self._keys = KeySetCache(keys, refresh_interval=refresh_interval)
        self._issuer = issuer
        self._audience = frozenset(audience)
        self._algorithms = frozenset(algorithms)
        self._leeway = leeway.total_seconds()
        self._proofs = None if dpop is None else ProofChecker(dpop, clock=clock)
        self._revocations = revocations
        self._accept_unbound = accept_unbound
        self._clock = clock

    async def verify(self, request: PresentedRequest, *, scope: Collection[str] = ()) -> VerifiedToken:
        """The access token of *request*, which has every scope of *scope*.

        Raises an `AccessRefusedError`, whose `challenges` and `dpop_nonce` belong in the answer, or
        `VerificationUnavailableError`.
        """
        try:
            token = await self._verify(request)
            token.require_scope(*scope)
        except AccessRefusedError as error:
            error.dpop_algorithms = () if self._proofs is None else self._proofs.algorithms
            if isinstance(error, NonceRequiredError):
                error.dpop_nonce = self.new_dpop_nonce()
            raise
        return token

    def new_dpop_nonce(self) -> str | None:
        """What belongs in the DPoP-Nonce of an answer (RFC 9449 §8.2); None where nonces are not used."""
        return None if self._proofs is None else self._proofs.new_nonce()

    async def _verify(self, request: PresentedRequest) -> VerifiedToken:
        scheme, text = _credentials(request.authorization)
        try:
            jws = parse_jws(text, typ=TYP, algorithms=self._algorithms, refusal=InvalidTokenError)
            token = await self._check_token(jws)
            self._check_scheme(token, scheme)
            if token.x5t_s256 is not None:
                _check_certificate(token.x5t_s256, request.certificate)
            if self._revocations is not None:
                self._revocations.require_not_revoked(token)
        except InvalidTokenError as error:
            error.scheme = error.scheme or scheme
            raise
        if token.jkt is not None and self._proofs is not None:
            # After all else, as it uses the proof up.
            self._proofs.check(
                request.dpop, method=request.method, path=request.path, access_token=text, jkt=token.jkt
            )
        return token

    async def _check_token(self, jws: CompactJws) -> VerifiedToken:
        token = token_of(jws.claims, jws.header.string("kid", max_length=_MAX_KEY_ID))
        # Before the signature: a token of another issuer must not make us fetch keys.
        if token.issuer != self._issuer:
            raise InvalidTokenError(Fault.ISSUER_MISMATCH, "The token is of another issuer.")
        if self._audience.isdisjoint(token.audience):
            raise InvalidTokenError(Fault.AUDIENCE_MISMATCH, "The token is for other resource servers.")
        key = await self._keys.key(token.key_id)
        if key.algorithm != jws.algorithm:
            raise InvalidTokenError(Fault.ALG_NOT_ACCEPTED, "The key is bound to another algorithm.")
        if not key.verifies(jws.message, jws.signature):
            raise InvalidTokenError(Fault.SIGNATURE_INVALID, "The signature does not verify.")
        self._check_times(token)
        return token

    def _check_times(self, token: VerifiedToken) -> None:
        now = self._clock()
        # RFC 7519 §4.1.4: not accepted on or after the time.
        if now - self._leeway >= token.expire_time.timestamp():
            raise InvalidTokenError(Fault.EXPIRED, "The token has expired.")
        if token.not_before_time is not None and token.not_before_time.timestamp() > now + self._leeway:
            raise InvalidTokenError(Fault.NOT_YET_VALID, "The token is not valid yet.")
        if token.issue_time.timestamp() > now + self._leeway:
            raise InvalidTokenError(Fault.ISSUED_IN_FUTURE, "The token was issued in the future.")

    def _check_scheme(self, token: VerifiedToken, scheme: TokenType) -> None:
        """RFC 9449 §7.1 and §7.2: a token that is bound to a key is good under DPoP only, and no other is."""
        if token.jkt is not None and self._proofs is None:
            raise InvalidTokenError(Fault.CONFIRMATION_INVALID, "DPoP is not supported here.")
        if token.token_type is not scheme:
            error = InvalidTokenError(Fault.SCHEME_MISMATCH, f"The token is a {token.token_type} token.")
            error.scheme = token.token_type
            raise error
        if token.jkt is None and token.x5t_s256 is None and not self._accept_unbound:
            raise InvalidTokenError(Fault.CONFIRMATION_MISSING, "The token is bound to nothing.")


def _credentials(values: tuple[str, ...]) -> tuple[TokenType, str]:
    if not values:
        raise TokenMissingError(Fault.MISSING, "The request carries no access token.")
    if len(values) > 1:
        raise MalformedRequestError(Fault.REPEATED, "The request carries several Authorization headers.")
    match = _CREDENTIALS.fullmatch(values[0])
    scheme = _SCHEMES.get(match["scheme"].lower()) if match is not None else None
    if match is not None and scheme is not None:
        return scheme, match["token"]
    if values[0].partition(" ")[0].lower() in _SCHEMES:
        raise MalformedRequestError(Fault.MALFORMED, "The Authorization header is malformed.")
    # Another scheme, such as Basic, is none of ours (RFC 6750 §3.1).
    raise TokenMissingError(Fault.MISSING, "The request carries no access token.")


def _check_certificate(x5t_s256: bytes, certificate: bytes | None) -> None:
    if certificate is None:
        raise InvalidTokenError(
            Fault.CERTIFICATE_MISSING, "The token is bound to a certificate, and the request has none."
        )
    if not hmac.compare_digest(certificate_thumbprint(certificate), x5t_s256):
        raise InvalidTokenError(Fault.CERTIFICATE_MISMATCH, "The token is bound to another certificate.")
