"""The access token that vouches for a device: minted for its backend, shown to the CA (wire-dpop-01).

It is bound to the device's key by ``cnf.kid`` and carries the device's own proof, so that the CA verifies two
signatures: the backend's, that this is the user's device, and the device's, that it holds the key.
"""

import json
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.jose import base64url
from gateway.jose.jwt import Claims
from signers import Algorithm, PublicKey
from signers.jose_form import public_jwk

TYP: Final = "at+jwt"
SCOPE: Final = "wire_client_id"
API_VERSION: Final = 5
BACKDATE: Final = 3600
"""Seconds by which ``iat`` and ``nbf`` lie before the minting, for clocks that are behind."""
LIFETIME: Final = 360
"""Seconds from the minting to ``exp``."""

_MAX_PROOF: Final = 8 * 1024
_JWK_ORDER: Final = ("kty", "crv", "x", "y", "n", "e")


@dataclass(frozen=True, slots=True)
class ClientAccessToken:
    """The claims of one token. Times are whole seconds; *key_id* is the thumbprint of the device's key."""

    issue_time: int
    expire_time: int
    issuer: str
    subject: str
    audience: str
    token_id: str
    nonce: str
    challenge: str
    key_id: str
    proof: str = field(repr=False)

    def payload(self) -> bytes:
        """The claims as JSON, in the order in which wire-server writes them."""
        return _json(
            {
                "iat": self.issue_time,
                "exp": self.expire_time,
                "nbf": self.issue_time,
                "iss": self.issuer,
                "sub": self.subject,
                "aud": self.audience,
                "jti": self.token_id,
                "nonce": self.nonce,
                "chal": self.challenge,
                "cnf": {"kid": self.key_id},
                "proof": self.proof,
                "client_id": self.subject,
                "api_version": API_VERSION,
                "scope": SCOPE,
            }
        )

    @classmethod
    def from_claims(cls, claims: Claims) -> "ClientAccessToken":
        """Read a verified claims set; ``exp``, ``iat``, ``nbf`` and ``jti`` are required.

        What is said twice or is constant (``client_id``, ``api_version``, ``scope``) is left to whoever
        checks it. Raises `JoseError`.
        """
        return cls(
            issue_time=claims.numeric_date("iat"),
            expire_time=claims.numeric_date("exp"),
            issuer=claims.string("iss"),
            subject=claims.string("sub"),
            audience=claims.single_audience(),
            token_id=claims.string("jti", max_length=256),
            nonce=claims.string("nonce"),
            challenge=claims.string("chal"),
            key_id=claims.nested("cnf").string("kid"),
            proof=claims.string("proof", max_length=_MAX_PROOF),
        )


def encoded_header(algorithm: Algorithm, public_key: PublicKey) -> str:
    """The protected header of the minter's tokens: ``alg``, ``typ`` and its public ``jwk``; no ``kid``."""
    members = public_jwk(public_key)
    jwk = {name: members[name] for name in _JWK_ORDER if name in members}
    return base64url.encode(_json({"alg": algorithm.value, "typ": TYP, "jwk": jwk}))


def _json(members: dict[str, Any]) -> bytes:
    return json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()
