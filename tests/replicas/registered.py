"""The OAuth clients of a run, and what they authenticate with."""

import json
from dataclasses import dataclass
from typing import Final

from countersign import (
    AccessTokenFormat,
    AssertionKey,
    CertificateName,
    ClientSecret,
    ClientSecretBasicAuth,
    DpopKey,
    GatewayClient,
    GrantType,
    PrivateKeyJwtAuth,
    TlsClientAuth,
)
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.jose.jwk import public_jwk
from tests.replicas.cluster import OPERATOR, REDIRECT
from tests.support.gateway import ISSUER, RESOURCE

MINTING: Final = "minting"
OPAQUE: Final = "opaque"
PROVING: Final = "proving"
ASSERTING: Final = "asserting"
WEB: Final = "web"


@dataclass(frozen=True, slots=True)
class Registered:
    """What the clients keep."""

    web: ClientSecret
    dpop: DpopKey
    assertion: AssertionKey


async def register(admin: GatewayClient) -> Registered:
    """Register them all."""
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = TlsClientAuth(CertificateName.SAN_URI, OPERATOR)
    jwks = json.dumps({"keys": [public_jwk(key.public_key(), kid="one")]})
    machine = {
        "grant_types": [GrantType.CLIENT_CREDENTIALS],
        "audiences": [RESOURCE],
        "default_audience": RESOURCE,
        "certificate_bound_access_tokens": False,
    }
    await admin.create_client(MINTING, authentication=certificate, **machine)
    await admin.create_client(
        OPAQUE, authentication=certificate, access_token_format=AccessTokenFormat.OPAQUE, **machine
    )
    await admin.create_client(PROVING, authentication=certificate, dpop_bound_access_tokens=True, **machine)
    await admin.create_client(ASSERTING, authentication=PrivateKeyJwtAuth(jwks), **machine)
    created = await admin.create_client(
        WEB,
        authentication=ClientSecretBasicAuth(),
        **machine
        | {
            "grant_types": [GrantType.AUTHORIZATION_CODE, GrantType.REFRESH_TOKEN],
            "redirect_uris": [REDIRECT],
        },
    )
    return Registered(
        ClientSecret(created.client_secret or ""),
        DpopKey(ec.generate_private_key(ec.SECP256R1()), "ES256", ISSUER),
        AssertionKey(key, "ES256", ISSUER, key_id="one"),
    )
