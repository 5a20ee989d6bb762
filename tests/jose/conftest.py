"""Keys and tokens for the tests of gateway.jose."""

import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from gateway.jose import assemble, base64url, signing_input
from signers.jose_form import public_jwk

VECTORS = Path(__file__).parent.parent / "vectors"


class Es256Issuer:
    """An ES256 key that signs whatever header it is told to, as an attacker would."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.public_key = self.key.public_key()
        self.jwk = public_jwk(self.public_key)

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self.key.sign(message, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")

    def token(self, payload: bytes = b"{}", **header: Any) -> str:
        """A signed token; *header* replaces the default header but for alg, which it may override."""
        return self.token_of_header(json.dumps({"alg": "ES256"} | header).encode(), payload)

    def token_of_header(self, header: bytes, payload: bytes = b"{}") -> str:
        message = signing_input(base64url.encode(header), payload)
        return assemble(message, self.sign(message))


@pytest.fixture(scope="session")
def issuer() -> Es256Issuer:
    return Es256Issuer()


@pytest.fixture(scope="session")
def ed25519_key() -> ed25519.Ed25519PrivateKey:
    return ed25519.Ed25519PrivateKey.generate()


@pytest.fixture(scope="session")
def load_vectors():
    """Reads one JSON file of tests/vectors."""
    return lambda name: json.loads((VECTORS / name).read_text())
