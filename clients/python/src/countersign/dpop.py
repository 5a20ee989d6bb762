"""Proof of possession of a key, for tokens that nobody else can use (RFC 9449)."""

import base64
import hashlib
import json
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import get_default_algorithms

from countersign.credentials import ALGORITHMS, PrivateKey


@dataclass(frozen=True, slots=True)
class DpopKey:
    """The key that a client's tokens are bound to.

    - `private_key`: a cryptography private key, or an unencrypted PKCS#8 PEM.
    - `algorithm`: a JOSE name that fits the key and is one of
      `ServerMetadata.dpop_signing_alg_values_supported` (`ES256`).
    - `origin`: where the gateway is reached as it knows itself, ``https://host`` or ``https://host:port``:
      one of its configured origins.
    """

    private_key: PrivateKey | bytes = field(repr=False)
    algorithm: str
    origin: str
    _jwk: dict[str, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {', '.join(sorted(ALGORITHMS))}.")
        key = self.private_key
        if isinstance(key, bytes):
            key = load_pem_private_key(key, None)  # type: ignore[assignment]  # PyJWT refuses other kinds.
            object.__setattr__(self, "private_key", key)
        members = json.loads(get_default_algorithms()[self.algorithm].to_jwk(key.public_key()))  # type: ignore[union-attr]  # It was loaded above.
        names = {"kty", "crv", "x", "y", "n", "e"}
        object.__setattr__(self, "_jwk", {name: members[name] for name in names & members.keys()})

    def proof(self, method: str, *, access_token: str | None = None, nonce: str | None = None) -> str:
        """A new proof for one call of the gRPC *method* (``/package.Service/Method``), a compact JWS.

        *access_token* is the token that the call presents, *nonce* what the gateway asked for.
        """
        claims: dict[str, Any] = {
            "jti": str(uuid.uuid4()),
            "htm": "POST",
            "htu": self.origin + method,
            "iat": int(time.time()),
        }
        if access_token is not None:
            digest = hashlib.sha256(access_token.encode()).digest()
            claims["ath"] = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if nonce is not None:
            claims["nonce"] = nonce
        headers = {"typ": "dpop+jwt", "jwk": self._jwk}
        return jwt.encode(claims, self.private_key, algorithm=self.algorithm, headers=headers)
