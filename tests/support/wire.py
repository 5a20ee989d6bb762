"""Wire devices for tests: names, keys and proofs of both generations, with any fault asked for."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gateway.jose import base64url
from tests.support.dpop import OMIT, PrivateKey, Prover

DOMAIN = "wire.com"
USER = "KPrqV67URCOHFKk4yKIXZQ"
DEVICE = "84cdc209f1eaaa5e"
HANDLE = "alice_wire"
NAME = "Alice Smith"
TEAM = "wire"
TARGET = "http://wire.com:24401/clients/{device}/access-token"
FIRST = f"im:wireapp={USER}/{DEVICE}@{DOMAIN}"
SECOND = f"wireapp://{USER}!{DEVICE}@{DOMAIN}"


def prover(alg: str = "EdDSA") -> Prover:
    """A device with a fresh key for *alg*."""
    curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
    key = ed25519.Ed25519PrivateKey.generate() if alg == "EdDSA" else ec.generate_private_key(curves[alg])
    return Prover(key, alg)


def prover_of(pem: str, alg: str = "EdDSA") -> Prover:
    """A device with a recorded key."""
    key = load_pem_private_key(pem.encode(), None)
    assert isinstance(key, PrivateKey)
    return Prover(key, alg)


@dataclass(frozen=True)
class Device:
    """A device of one generation and its key."""

    prover: Prover
    client_id: str = SECOND

    @property
    def first(self) -> bool:
        """Whether it speaks the first generation."""
        return self.client_id.startswith("im:")

    @property
    def handle(self) -> str:
        """The qualified handle."""
        return f"{'im:wireapp=' if self.first else 'wireapp://'}%40{HANDLE}@{DOMAIN}"

    def claims(
        self, now: int, nonce: str, challenge: str, audience: str = "https://ca/challenge"
    ) -> dict[str, Any]:
        """The claims of a right proof at *now*."""
        claims = {
            "iat": now - 3600,
            "exp": now + 300,
            "nbf": now - 3600,
            "sub": self.client_id,
            "jti": f"proof-{nonce[:8]}",
            "nonce": nonce,
            "htm": "POST",
            "htu": TARGET.replace("{device}", DEVICE),
            "chal": challenge,
            "handle": self.handle,
            "team": TEAM,
        }
        return claims if self.first else claims | {"name": NAME, "aud": audience}

    def sign(self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None) -> str:
        """A compact JWS over *claims* with the header of a proof."""
        members = {"alg": self.prover.alg, "typ": "dpop+jwt", "jwk": self.prover.jwk} | dict(header or {})
        return self.prover.signed(_json(members), _json(claims))


def parts(compact: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a compact JWS."""
    header, payload, _ = compact.split(".")
    return json.loads(base64url.decode(header)), json.loads(base64url.decode(payload))


def _json(members: Mapping[str, Any]) -> bytes:
    kept = {name: value for name, value in members.items() if value is not OMIT}
    return json.dumps(kept, separators=(",", ":")).encode()
