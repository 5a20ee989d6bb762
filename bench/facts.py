"""What all servers of a run have in common, and what is known of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from signers import Algorithm

CLIENT_ID = "bench-client"
"""Authenticates with its certificate, and its tokens are bound to it."""

DPOP_CLIENT_ID = "bench-dpop"
"""Authenticates with the same certificate; its tokens are bound to a DPoP key."""

SECRET_CLIENT_ID = "bench-secret"
"""Authenticates with a secret, over HTTPS."""

AUDIENCE = "https://api.bench.example"
SCOPES = ("orders:read", "orders:write")
ISSUER = "https://id.bench.example"


class ReplyError(Exception):
    """A reply that arrived with status OK does not hold what it must; the message says what."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What requests are made from and replies are checked with.

    - `tokens`: of the case's own server, compact JWS; none where no case introspects there.
    - `keys`: by key id, what verifies them; `issuer`: who they are from.
    - `secret`: of `SECRET_CLIENT_ID`, empty where there is no such client.
    """

    tokens: Sequence[str]
    keys: Mapping[str, jwt.PyJWK]
    issuer: str = ISSUER
    secret: str = ""


NO_FACTS = Facts(tokens=(), keys={})
"""Of a server that knows no tokens."""


def keys_of(jwks: bytes | str) -> Mapping[str, jwt.PyJWK]:
    """The keys of a JWK Set by their ids."""
    text = jwks.decode() if isinstance(jwks, bytes) else jwks
    return {key.key_id: key for key in jwt.PyJWKSet.from_json(text).keys if key.key_id is not None}


def verify_token(token: str, facts: Facts, client_id: str) -> Mapping[str, Any]:
    """The claims of *token*, verified with a library of somebody else's making. Raises `ReplyError`."""
    try:
        key = facts.keys[jwt.get_unverified_header(token)["kid"]]
        algorithms = [Algorithm.EDDSA, Algorithm.ES256]
        claims: dict[str, Any] = jwt.decode(token, key, algorithms, audience=AUDIENCE, issuer=facts.issuer)
    except (jwt.PyJWTError, KeyError) as error:
        raise ReplyError(f"A minted token does not verify: {error}") from error
    if claims["client_id"] != client_id or set(claims["scope"].split()) != set(SCOPES):
        raise ReplyError("A minted token has other claims than were asked for.")
    return claims
