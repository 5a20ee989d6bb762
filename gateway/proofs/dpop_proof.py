"""What a DPoP proof is (RFC 9449 §4.2): the possession of a key, shown for one request."""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.jose import base64url
from gateway.jose.errors import JoseError
from gateway.jose.jwt import Claims
from gateway.proofs.dpop_errors import DpopError, DpopFault
from gateway.proofs.target_uri import TargetUri
from signers import Algorithm, PublicKey

MAX_SIZE: Final = 8 * 1024
"""Characters of a proof; room for an RSA key and signature of 8192 bits."""


@dataclass(frozen=True, slots=True)
class DpopProof:
    """A proof whose signature and claims are good, though it may have been used before.

    *jkt* is the RFC 7638 SHA-256 thumbprint of *public_key*, base64url without padding; *iat* and
    *expire_time*, from when on the proof is refused for its age, are seconds since the epoch; *target* is
    ``htu`` in normal form; *nonce* and *ath* are None where absent, and *nonce* is verified only if the
    verifier has nonces. *claims* gives access to claims of a profile (Wire's ``chal``, ``handle``).
    """

    jkt: str
    jti: str
    iat: int
    method: str
    target: TargetUri
    nonce: str | None
    ath: str | None
    algorithm: Algorithm
    public_key: PublicKey
    claims: Claims = field(repr=False)
    expire_time: float

    def require_key(self, jkt: str) -> None:
        """The proof's key is the one with thumbprint *jkt*: ``cnf.jkt`` of a token, or ``dpop_jkt``.

        Raises `DpopError` with `KEY_MISMATCH`.
        """
        if not hmac.compare_digest(self.jkt.encode(), jkt.encode("utf-8", "surrogatepass")):
            raise DpopError(DpopFault.KEY_MISMATCH, "the proof is signed with another key")

    def require_access_token(self, access_token: str, jkt: str) -> None:
        """The proof goes with *access_token*, which is bound to *jkt* (RFC 9449 §4.3, 12).

        Raises `DpopError` with `ACCESS_TOKEN_HASH_MISSING`, `ACCESS_TOKEN_MISMATCH` or `KEY_MISMATCH`.
        """
        if self.ath is None:
            raise DpopError(DpopFault.ACCESS_TOKEN_HASH_MISSING, "ath is missing", member="ath")
        expected = access_token_hash(access_token)
        if not hmac.compare_digest(self.ath.encode(), expected.encode()):
            raise DpopError(
                DpopFault.ACCESS_TOKEN_MISMATCH, "the proof is for another access token", member="ath"
            )
        self.require_key(jkt)


def access_token_hash(access_token: str) -> str:
    """``ath``: SHA-256 of the access token's octets, base64url without padding (RFC 9449 §4.2)."""
    return base64url.encode(hashlib.sha256(access_token.encode("utf-8", "surrogatepass")).digest())


def single_proof(values: Sequence[str | bytes], *, allow_encoded: bool = False) -> str:
    """The only value among those of all ``DPoP`` header fields, or ``dpop`` metadata entries, of a request.

    With *allow_encoded*, a value without a dot is taken for the base64url encoding of the proof, which is
    what some Wire clients send. Raises `DpopError` with `HEADER_MISSING`, `HEADER_REPEATED`, `TOO_LARGE` or
    `MALFORMED`.
    """
    if not values:
        raise DpopError(DpopFault.HEADER_MISSING, "the request carries no proof")
    if len(values) > 1:
        raise DpopError(DpopFault.HEADER_REPEATED, f"the request carries {len(values)} proofs")
    value = values[0]
    # The encoding of an encoding is a third longer.
    if len(value) > (MAX_SIZE * 4 // 3 + 2 if allow_encoded else MAX_SIZE):
        raise DpopError(DpopFault.TOO_LARGE, f"the proof exceeds {MAX_SIZE} characters")
    try:
        text = value if isinstance(value, str) else value.decode("ascii")
        if allow_encoded and "." not in text:
            text = base64url.decode(text).decode("ascii")
    except (UnicodeDecodeError, JoseError) as error:
        raise DpopError(DpopFault.MALFORMED, "the value is not ASCII or not base64url") from error
    return text
