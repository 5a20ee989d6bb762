"""How an OAuth client proves who it is where the client certificate of the connection does not."""

import time
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from countersign.v1 import client_authentication_pb2 as pb

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

ALGORITHMS = frozenset({"EdDSA", "ES256", "ES384", "ES512", "ES256K", "RS256", "PS256"})
MAX_LIFETIME = timedelta(minutes=5)


class ClientCredential(Protocol):
    """What proves a client's identity. Implement it to keep the key elsewhere, as in an HSM."""

    def authentication(self, client_id: str) -> pb.ClientAuthentication:
        """A fresh proof for *client_id*; called for every attempt of a call."""
        ...


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """The secret that the gateway generated for the client (`client_secret_basic`, `client_secret_post`)."""

    secret: str = field(repr=False)

    def authentication(self, client_id: str) -> pb.ClientAuthentication:  # noqa: ARG002 - the protocol's signature.
        """The secret; the same for every call."""
        return pb.ClientAuthentication(client_secret=pb.ClientSecret(secret=self.secret))


@dataclass(frozen=True, slots=True)
class AssertionKey:
    """The key of a client that authenticates with `private_key_jwt` (RFC 7523 §2.2).

    - `private_key`: a cryptography private key, or an unencrypted PKCS#8 PEM.
    - `algorithm`: a JOSE name of `ALGORITHMS` that fits the key (`ES256`).
    - `issuer`: the gateway's issuer identifier (`ServerMetadata.issuer`), the only audience of an assertion.
    - `key_id`: the `kid` of the registered key; None leaves it out.
    - `lifetime`: how long an assertion may be used, at most five minutes.
    """

    private_key: PrivateKey | bytes = field(repr=False)
    algorithm: str
    issuer: str
    key_id: str | None = None
    lifetime: timedelta = timedelta(seconds=60)

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise ValueError(f"algorithm must be one of {', '.join(sorted(ALGORITHMS))}.")
        if not timedelta(0) < self.lifetime <= MAX_LIFETIME:
            raise ValueError("lifetime must be above 0 and at most five minutes.")
        if isinstance(self.private_key, bytes):  # Parsed once, not for every call.
            object.__setattr__(self, "private_key", load_pem_private_key(self.private_key, None))

    def authentication(self, client_id: str) -> pb.ClientAuthentication:
        """A new assertion; each is good for one call."""
        return pb.ClientAuthentication(private_key_jwt=pb.PrivateKeyJwt(assertion=self.assertion(client_id)))

    def assertion(self, client_id: str) -> str:
        """A signed assertion for *client_id*, as a compact JWS with a random `jti` and a single `aud`."""
        now = int(time.time())
        claims = {
            "iss": client_id,
            "sub": client_id,
            "aud": self.issuer,
            "jti": str(uuid.uuid4()),
            "iat": now,
            "exp": now + int(self.lifetime.total_seconds()),
        }
        headers: dict[str, Any] = {"typ": "client-authentication+jwt"}
        if self.key_id is not None:
            headers["kid"] = self.key_id
        return jwt.encode(claims, self.private_key, algorithm=self.algorithm, headers=headers)
