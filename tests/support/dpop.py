"""DPoP proofs for tests: good ones, and ones with any fault asked for.

prover = Prover.es256()
prover.proof(htm="POST", htu="https://id.example.org/token")
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.jose import assemble, base64url, signing_input
from gateway.proofs.dpop import DpopVerifier
from gateway.proofs.dpop_proof import DpopProof
from signers.jose_form import public_jwk, thumbprint

NOW = 1_900_000_000
"""Seconds since the epoch: ``iat`` unless a test says otherwise."""

TARGET = "https://id.example.org/oauth2/token"

OMIT = object()
"""The value of a header parameter or claim that is to be left out."""

PrivateKey = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

_numbers = count()


@dataclass
class Prover:
    """Holds a key and signs whatever it is told to, as an attacker would."""

    key: PrivateKey
    alg: str
    jwk: Mapping[str, Any] = field(init=False)
    jkt: str = field(init=False)

    def __post_init__(self) -> None:
        self.jwk = public_jwk(self.key.public_key())
        self.jkt = thumbprint(self.key.public_key())

    @classmethod
    def es256(cls) -> "Prover":
        return cls(ec.generate_private_key(ec.SECP256R1()), "ES256")

    def proof(self, header: Mapping[str, Any] | None = None, **claims: Any) -> str:
        """A proof; *header* and *claims* replace the good values, or leave them out with `OMIT`."""
        members = {"typ": "dpop+jwt", "alg": self.alg, "jwk": self.jwk} | dict(header or {})
        payload = {"jti": f"proof-{next(_numbers)}", "htm": "POST", "htu": TARGET, "iat": NOW} | claims
        return self.signed(_encoded(members), _encoded(payload))

    def signed(self, header: bytes, payload: bytes) -> str:
        """Any octets as header and payload, signed."""
        message = signing_input(base64url.encode(header), payload)
        return assemble(message, self._sign(message))

    def _sign(self, message: bytes) -> bytes:
        if isinstance(self.key, ed25519.Ed25519PrivateKey):
            return self.key.sign(message)
        if isinstance(self.key, rsa.RSAPrivateKey):
            pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
            return self.key.sign(message, pss, hashes.SHA256())
        digest = {256: hashes.SHA256(), 384: hashes.SHA384(), 521: hashes.SHA512()}[self.key.curve.key_size]
        size = (self.key.curve.key_size + 7) // 8
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(digest)))
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")


class MemoryReplays:
    """What was used, in one process. *used* holds kind, value and expire_time of each first use."""

    def __init__(self) -> None:
        self.used: list[tuple[str, str, float]] = []

    async def use_once(self, kind: str, value: str, *, expire_time: float) -> bool:
        if any((kind, value) == entry[:2] for entry in self.used):
            return False
        self.used.append((kind, value, expire_time))
        return True


async def accept(verifier: DpopVerifier, proof: str, **request: Any) -> DpopProof:
    """Check *proof* with *verifier* and use it up. Raises `DpopError`."""
    checked = verifier.check(proof, **request)
    await verifier.use(checked)
    return checked


async def accept_with_token(verifier: DpopVerifier, proof: str, **request: Any) -> DpopProof:
    """As `accept`, beside an access token."""
    checked = verifier.check_with_access_token(proof, **request)
    await verifier.use(checked)
    return checked


def _encoded(members: Mapping[str, Any]) -> bytes:
    return json.dumps({name: value for name, value in members.items() if value is not OMIT}).encode()
