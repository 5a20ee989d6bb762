"""Client assertions that are right but for what a test changes, signed with PyJWT or by hand."""

import base64
import json
import uuid
from typing import Any

import jwt

from signers.jose_form import public_jwk
from tests.support.gateway import ISSUER
from tests.support.pki import PrivateKey


def claims(now: float, client_id: str = "backend", **changes: Any) -> dict[str, Any]:
    """The claims of a good assertion; a change to None leaves the claim out."""
    values = {
        "iss": client_id,
        "sub": client_id,
        "aud": ISSUER,
        "jti": str(uuid.uuid4()),
        "iat": int(now),
        "exp": int(now) + 60,
    } | changes
    return {name: value for name, value in values.items() if value is not None}


def signed(key: PrivateKey, claims: dict[str, Any], algorithm: str = "ES256", **header: Any) -> str:
    """A compact JWS over *claims*. A header parameter that is None is left out."""
    return jwt.encode(claims, key, algorithm=algorithm, headers={"typ": "JWT", **header})


def signed_octets(key: PrivateKey, payload: bytes, algorithm: str = "ES256", **header: Any) -> str:
    """A compact JWS over any octets: PyJWT checks some claims before it signs them."""
    return jwt.api_jws.encode(payload, key, algorithm=algorithm, headers=header)


def unsigned(header: dict[str, Any], claims: dict[str, Any], signature: bytes = b"") -> str:
    """A compact JWS with any header and any signature."""
    parts = (json.dumps(header).encode(), json.dumps(claims).encode(), signature)
    return ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)


def jwks_of(*keys: PrivateKey, kids: tuple[str, ...] = ()) -> bytes:
    """The JWK Set that a client with *keys* registers."""
    members: list[dict[str, Any]] = [dict(public_jwk(key.public_key())) for key in keys]
    for member, kid in zip(members, kids, strict=False):
        member["kid"] = kid
    return json.dumps({"keys": members}).encode()
