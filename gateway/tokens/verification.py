"""Is this an access token of ours, and what does it say? One place, whoever asks."""

import hashlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from gateway.clock import Clock
from gateway.jose.errors import JoseError
from gateway.jose.jws import CompactJws, parse_compact, verify
from gateway.jose.jwt import Claims, require_typ
from gateway.keys.keyring import Keyring, VerificationKey
from gateway.keys.model import KeyPurpose
from gateway.tokens.access_token import TYP, AccessToken
from gateway.tokens.grant_ports import OpaqueTokenRepository
from gateway.tokens.opaque import OpaqueKind, digest_of, is_kind

MAX_TOKEN_SIZE: Final = 16 * 1024
CACHE_ENTRIES: Final = 10_000
_REFRESH_PAUSE: Final = 0.1


class TokenInvalidError(Exception):
    """Not an access token of ours that is in force. `cause` is a stable word for our log only."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class _Seen:
    key_id: str
    token: AccessToken


class AccessTokenVerifier:
    """Verifies access tokens of this issuer (RFC 9068 §4), audience and revocation aside.

    A token whose signature was found good is remembered by its SHA-256, so that the next look costs a hash;
    its key must still be honored and its time not over, each time.
    """

    def __init__(
        self,
        *,
        issuer: str,
        keyring: Keyring,
        refresh_keys: Callable[[], Awaitable[None]],
        ensure_fresh: Callable[[], Awaitable[None]],
        opaque: OpaqueTokenRepository,
        clock: Clock,
        issued_before: float = 0.0,
    ) -> None:
        """*refresh_keys* brings the keyring up to date: another replica may have made a key a moment ago.
        *ensure_fresh* does so where nobody has for long: another replica may have disabled one.

        Tokens issued up to *issued_before*, seconds since the epoch, are not in force.
        """
        self._issuer = issuer
        self._keyring = keyring
        self._refresh_keys = refresh_keys
        self._ensure_fresh = ensure_fresh
        self._opaque = opaque
        self._refresh_at = 0.0
        self._clock = clock
        self._issued_before = int(issued_before)
        self._seen: OrderedDict[bytes, _Seen] = OrderedDict()

    async def verify(self, token: str) -> AccessToken:
        """The claims of *token*, which is signed by us and in force. Raises `TokenInvalidError`."""
        accepted = await self.read(token)
        if accepted.expire_time <= self._clock():
            raise TokenInvalidError("expired")
        if accepted.issue_time <= self._issued_before:
            raise TokenInvalidError("issued_before_restore")
        return accepted

    async def read(self, token: str) -> AccessToken:
        """As `verify`, but an expired token is read too, which revocation needs."""
        if len(token) > MAX_TOKEN_SIZE:
            raise TokenInvalidError("token_too_large")
        if is_kind(OpaqueKind.ACCESS_TOKEN, token):
            return await self._referenced(token)
        try:
            digest = hashlib.sha256(token.encode("ascii")).digest()
        except UnicodeEncodeError as error:
            raise TokenInvalidError("malformed_compact") from error
        # A replica that stood still, or was cut off, must not honor a key that was disabled meanwhile.
        await self._ensure_fresh()
        seen = self._seen.get(digest)
        if seen is not None:
            if self._keyring.verification_key(KeyPurpose.TOKENS, seen.key_id) is None:
                raise TokenInvalidError("key_not_honored")
            self._seen.move_to_end(digest)
            return seen.token
        try:
            jws = parse_compact(token, max_size=MAX_TOKEN_SIZE)
            require_typ(jws.header, TYP)
            key = await self._key(jws)
            verify(jws, key.public_key, key.algorithm)
            claims = Claims.parse(jws.payload)
            claims.require_issuer(self._issuer)
            accepted = AccessToken.from_claims(claims)
        except JoseError as error:
            raise TokenInvalidError(str(error.code)) from error
        self._seen[digest] = _Seen(key.key_id, accepted)
        if len(self._seen) > CACHE_ENTRIES:
            self._seen.popitem(last=False)
        return accepted

    async def _referenced(self, token: str) -> AccessToken:
        digest = digest_of(OpaqueKind.ACCESS_TOKEN, token)
        claims = None if digest is None else await self._opaque.find(digest)
        if claims is None:
            raise TokenInvalidError("opaque_token_unknown")
        return AccessToken.from_claims(Claims.parse(claims))

    async def _key(self, jws: CompactJws) -> VerificationKey:
        kid = jws.header.kid
        if kid is None:
            raise TokenInvalidError("kid_missing")
        key = self._keyring.verification_key(KeyPurpose.TOKENS, kid)
        if key is None and self._clock() >= self._refresh_at:
            self._refresh_at = self._clock() + _REFRESH_PAUSE
            await self._refresh_keys()
            key = self._keyring.verification_key(KeyPurpose.TOKENS, kid)
        if key is None:
            raise TokenInvalidError("key_unknown")
        return key
