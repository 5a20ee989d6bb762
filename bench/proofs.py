"""DPoP proofs for the load generator, made ahead so that a window measures the server."""

import base64
import itertools
import json
import math
import time
from collections import deque

import jwt
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

PER_SECOND = 2_000
"""Proofs made for each second of a window; where a server takes more, the rest are made when needed."""

_ES256 = ec.ECDSA(hashes.SHA256())
_COORDINATE = 32  # octets


class Proofs:
    """Proofs of one P-256 key for POST requests to *target* (RFC 9449 §4.2), each with an id of its own."""

    def __init__(self, target: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self._key.public_key()))
        header = {
            "typ": "dpop+jwt",
            "alg": "ES256",
            "jwk": {name: jwk[name] for name in ("kty", "crv", "x", "y")},
        }
        self._header = _encoded(json.dumps(header).encode())
        self._target = target
        self._numbers = itertools.count()
        self._ready: deque[str] = deque()

    def prepare(self, seconds: float) -> None:
        """Make as many as *seconds* need, and forget what is left of those made before, which grow old."""
        self._ready.clear()
        self._ready.extend(self._proof() for _ in range(math.ceil(seconds * PER_SECOND)))

    def take(self) -> str:
        """A proof that nobody has seen."""
        return self._ready.popleft() if self._ready else self._proof()

    def _proof(self) -> str:
        claims = {
            "jti": str(next(self._numbers)),
            "htm": "POST",
            "htu": self._target,
            "iat": int(time.time()),
        }
        message = self._header + b"." + _encoded(json.dumps(claims).encode())
        r, s = decode_dss_signature(self._key.sign(message, _ES256))
        signature = r.to_bytes(_COORDINATE, "big") + s.to_bytes(_COORDINATE, "big")
        return (message + b"." + _encoded(signature)).decode()


def _encoded(octets: bytes) -> bytes:
    return base64.urlsafe_b64encode(octets).rstrip(b"=")
