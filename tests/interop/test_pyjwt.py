"""A resource server that knows nothing of this project: PyJWT, the published key set, and RFC 9068 §4."""

import hashlib
from base64 import urlsafe_b64encode

import jwt
import pytest
from countersign import CertificateName, CountersignError, GrantType, TlsClientAuth

from signers import Algorithm
from tests.support.gateway import ISSUER, RESOURCE, running_gateway
from tests.support.pki import new_key

ALGORITHMS = [Algorithm.ES256, Algorithm.EDDSA, Algorithm.PS256, Algorithm.RS256]


async def minted(gateway) -> tuple[str, str, bytes]:
    """A token, the key set that a verifier fetches, and the client's certificate."""
    certificate = gateway.root.leaf(dns=("orders.example.org",))
    async with gateway.client(gateway.admin) as admin, gateway.client(certificate) as client:
        await admin.create_client(
            "orders",
            authentication=TlsClientAuth(CertificateName.SAN_DNS, "orders.example.org"),
            grant_types=[GrantType.CLIENT_CREDENTIALS],
            scopes=["read"],
            audiences=[RESOURCE],
            default_audience=RESOURCE,
        )
        token = await client.mint_token("orders")
        return token.value, (await client.get_jwks()).document.decode(), certificate.der


def verify(token: str, key_set: str, algorithm: Algorithm, audience: str = RESOURCE) -> dict:
    header = jwt.get_unverified_header(token)
    assert header["typ"] == "at+jwt"
    key = jwt.PyJWKSet.from_json(key_set)[header["kid"]]
    return jwt.decode(
        token,
        key,
        algorithms=[algorithm.value],
        audience=audience,
        issuer=ISSUER,
        options={"require": ["iss", "exp", "aud", "sub", "client_id", "iat", "jti"]},
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_token_verifies(tmp_path, algorithm):
    """The token verifies from what the gateway publishes, and its binding is the certificate's hash."""
    async with running_gateway(tmp_path, algorithm=algorithm) as gateway:
        token, key_set, certificate = await minted(gateway)
    claims = verify(token, key_set, algorithm)
    assert (claims["sub"], claims["client_id"], claims["scope"]) == ("orders", "orders", "read")
    thumbprint = urlsafe_b64encode(hashlib.sha256(certificate).digest()).rstrip(b"=").decode()
    assert claims["cnf"] == {"x5t#S256": thumbprint}
    with pytest.raises(jwt.InvalidAudienceError):
        verify(token, key_set, algorithm, "https://other.example.org")


@pytest.mark.parametrize("algorithm", [Algorithm.ES256, Algorithm.RS256])
async def test_token_from_softhsm_verifies(tmp_path, algorithm):
    """What a key in SoftHSM signed verifies in the same way."""
    async with running_gateway(tmp_path, key_uri="softhsm", algorithm=algorithm) as gateway:
        token, key_set, _ = await minted(gateway)
    assert verify(token, key_set, algorithm)["client_id"] == "orders"


async def test_forged_by_pyjwt(tmp_path):
    """A token that PyJWT made up with the wrong key is refused by the gateway, too."""
    async with running_gateway(tmp_path) as gateway:
        token, _, _ = await minted(gateway)
        claims = jwt.decode(token, options={"verify_signature": False})
        headers = jwt.get_unverified_header(token)
        forged = jwt.encode(claims, new_key(), algorithm="ES256", headers=headers)
        async with gateway.client(gateway.api) as api:
            assert await api.introspect_token(token)
            assert await api.introspect_token(forged) is None
            with pytest.raises(CountersignError):
                await api.introspect_token("")
