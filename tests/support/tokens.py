"""Tokens for tests of introspection, revocation and callers: minted, or forged with the gateway's own key."""

import hashlib
import json
from typing import Any

from gateway.keys.model import KeyPurpose
from gateway.tokens.client import ClientAuthenticationMethod as Method
from gateway.tokens.client_authentication import ClientSecret
from gateway.tokens.grants import ClientCredentialsGrant, TokenRequest
from gateway.tokens.mint import MintedToken
from signers import Algorithm
from tests.support.gateway import ISSUER, RESOURCE, OpenedApplication, call_of
from tests.support.pki import Issued

SECRET = ClientSecret("s3cret")


async def register_by_secret(app: OpenedApplication, client_id: str, **changes: Any) -> None:
    """A client that authenticates with `SECRET`, so that no certificate matters."""
    await app.register(
        client_id,
        **{
            "authentication_method": Method.CLIENT_SECRET_BASIC,
            "identity": None,
            "secret_hash": hashlib.sha256(SECRET.secret.encode()).digest(),
            "certificate_bound_access_tokens": False,
        }
        | changes,
    )


async def mint(
    app: OpenedApplication, client_id: str, *, certificate: Issued | None = None, resource: str | None = None
) -> MintedToken:
    """A token of a client of `register_by_secret`, bound to *certificate* where given."""
    request = TokenRequest(ClientCredentialsGrant(), (), () if resource is None else (resource,))
    return await app.minter.mint(call_of(certificate), client_id, SECRET, request)


def claims_of_token(now: float, **changes: Any) -> dict[str, Any]:
    """The claims of a right access token of the client `backend`; a change to None leaves one out."""
    values = {
        "iss": ISSUER,
        "sub": "backend",
        "aud": RESOURCE,
        "client_id": "backend",
        "iat": int(now),
        "exp": int(now) + 600,
        "jti": "forged",
    } | changes
    return {name: value for name, value in values.items() if value is not None}


async def forge(app: OpenedApplication, claims: dict[str, Any], typ: str = "at+jwt") -> str:
    """A JWS over *claims* that the gateway's own token key signed."""
    key = app.keyring.signing_key(KeyPurpose.TOKENS, Algorithm.ES256)
    return await key.sign_jws(typ, json.dumps(claims).encode())
