"""Tokens of a real gateway, verified offline."""

import hashlib

import jwt
import pytest
from countersign.resource_server import AccessRefusedError, Fault, InvalidTokenError

from gateway.jose import base64url
from tests.clients.resource_server.conftest import ORIGIN, policy, request, verifier
from tests.support.gateway import ISSUER, RESOURCE


@pytest.fixture
async def keys(served):
    """A client that may ask for keys: anybody may."""
    async with served.gateway.client() as client:
        yield client


async def refused(checking, call):
    with pytest.raises(AccessRefusedError) as caught:
        await checking.verify(call)
    return caught.value.fault


async def test_certificate_bound(served, keys):
    """The token is good with the client's certificate alone, and PyJWT reads the same from it."""
    token = await served.certificate_bound(scope=["read"])
    checking = verifier(keys)
    seen = await checking.verify(request(token, certificate=served.identity.der), scope=["read"])
    key_set = jwt.PyJWKSet.from_json((await keys.get_jwks()).document.decode())
    key = key_set[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["ES256"], audience=RESOURCE, issuer=ISSUER)
    assert (seen.token_id, seen.subject, seen.client_id) == (
        claims["jti"],
        claims["sub"],
        claims["client_id"],
    )
    assert claims["cnf"] == {"x5t#S256": base64url.encode(seen.x5t_s256)}
    assert seen.x5t_s256 == hashlib.sha256(served.identity.der).digest()
    other = served.gateway.root.leaf("other")
    assert await refused(checking, request(token, certificate=other.der)) is Fault.CERTIFICATE_MISMATCH
    assert await refused(checking, request(token)) is Fault.CERTIFICATE_MISSING


async def test_dpop_bound(served, keys):
    """The token is good with a proof of its key, once for each proof, and never as Bearer."""
    token = await served.dpop_bound()
    checking = verifier(keys)
    call = request(token, served.proof(token), scheme="DPoP")
    seen = await checking.verify(call)
    assert (seen.jkt is not None, seen.x5t_s256) == (True, None)
    assert await refused(checking, call) is Fault.REPLAYED
    assert await refused(checking, request(token, served.proof(token))) is Fault.SCHEME_MISMATCH


async def test_for_another_server(served, keys):
    """A token that this client may use elsewhere is not good here."""
    token = await served.certificate_bound(resource=["https://other.example.org"])
    call = request(token, certificate=served.identity.der)
    assert await refused(verifier(keys), call) is Fault.AUDIENCE_MISMATCH


async def test_proof_for_the_gateway(served, keys):
    """The proof that minted a token is none of a request here."""
    token = await served.dpop_bound()
    minting = served.dpop.proof("/countersign.v1.TokenService/MintToken", access_token=token)
    call = request(token, minting, scheme="DPoP")
    assert await refused(verifier(keys), call) is Fault.TARGET_MISMATCH
    both = verifier(keys, dpop=policy(origins=(ORIGIN, ISSUER)))
    assert await refused(both, call) is Fault.TARGET_MISMATCH


async def test_damaged_token(served, keys):
    """One changed character of the claims refuses the token."""
    header, payload, signature = (await served.certificate_bound()).split(".")
    claims = base64url.decode(payload).replace(b'"scope":"read"', b'"scope":"root"')
    forged = f"{header}.{base64url.encode(claims)}.{signature}"
    with pytest.raises(InvalidTokenError) as caught:
        await verifier(keys).verify(request(forged, certificate=served.identity.der))
    assert caught.value.fault is Fault.SIGNATURE_INVALID
