"""Logging in to a real server, and staying so."""

import asyncio
import json
import subprocess
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signers import AccessDeniedError, Algorithm, KeyNotFoundError, KeyUnusableError
from signers.key_files import generate_private_key
from signers.registry import SignerRegistry
from signers.remote import credentials
from tests.support.openbao import PROGRAM
from tests.support.softhsm import eventually

KEY = "ecdsa-p256"


async def signed(server, **login):
    """Sign once by way of *login*, in a registry of its own."""
    async with SignerRegistry() as registry:
        await (await registry.open(server.uri(KEY, **login), Algorithm.ES256)).check()


@pytest.fixture(scope="module")
def jwt_issuer(openbao):
    """A key whose JWTs the server's JWT method accepts for the role `signer`."""
    key = generate_private_key(Algorithm.ES256)
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    openbao.call("POST", "sys/auth/jwt", {"type": "jwt"})
    openbao.call("POST", "auth/jwt/config", {"jwt_validation_pubkeys": [pem]})
    role = {"role_type": "jwt", "bound_audiences": ["bao"], "user_claim": "sub", "token_policies": ["signer"]}
    openbao.call("POST", "auth/jwt/role/signer", role)
    return key


async def test_token_file(openbao):
    """A token in a file signs."""
    await signed(openbao, token_source=f"file:{openbao.token_file('plain')}")


async def test_token_in_the_environment(openbao, monkeypatch):
    """A token in an environment variable signs."""
    monkeypatch.setenv("BAO_TEST_TOKEN", openbao.new_token())
    await signed(openbao, token_source="env:BAO_TEST_TOKEN")


async def test_app_role(openbao):
    """AppRole with a SecretID from a file signs."""
    await signed(openbao, **openbao.app_role("plain-secret-id"))


async def test_jwt(openbao, jwt_issuer):
    """A JWT is exchanged for a token; its file may be readable by others, as Kubernetes mounts it."""
    now, spare = datetime.now(UTC), timedelta(minutes=5)
    claims = {"sub": "gateway", "aud": "bao", "iat": now, "nbf": now - spare, "exp": now + spare}
    path = openbao.write_secret("jwt", jwt.encode(claims, jwt_issuer, "ES256"))
    path.chmod(0o644)
    await signed(openbao, auth="jwt", role="signer", jwt_source=f"file:{path}")


async def test_namespace(own_openbao, tmp_path):
    """A key in a namespace is found there, and only there."""
    own_openbao.call("POST", "sys/namespaces/team", {})
    environment = {
        "BAO_ADDR": own_openbao.address,
        "BAO_CACERT": str(own_openbao.ca_file),
        "BAO_TOKEN": own_openbao.root_token,
        "BAO_NAMESPACE": "team",
        "HOME": str(tmp_path),
    }
    for command in (
        ["secrets", "enable", "transit"],
        ["write", "-f", "transit/keys/inner", "type=ecdsa-p256"],
    ):
        await asyncio.to_thread(
            subprocess.run, [PROGRAM, *command], env=environment, check=True, capture_output=True, timeout=30
        )
    root = own_openbao.write_secret("root", own_openbao.root_token)
    async with SignerRegistry() as registry:
        uri = own_openbao.uri("inner;namespace=team", token_source=f"file:{root}")
        await (await registry.open(uri, Algorithm.ES256)).check()
        outside = own_openbao.uri("inner", token_source=f"file:{root}")
        with pytest.raises(KeyNotFoundError):
            await registry.open(outside, Algorithm.ES256)


@pytest.mark.parametrize(
    ("secret", "error"),
    [("hvs.wrong", AccessDeniedError), ("", KeyUnusableError), ("two\nlines", KeyUnusableError)],
    ids=["wrong", "empty", "two lines"],
)
async def test_token_that_is_none(openbao, secret, error):
    """A wrong token is refused by the server, and what cannot be a token is not sent."""
    path = openbao.write_secret("none", secret)
    with pytest.raises(error) as caught:
        await signed(openbao, token_source=f"file:{path}")
    assert "hvs.wrong" not in str(caught.value)


async def test_secret_files_are_private(openbao):
    """A token file that others can read is refused, as a key file would be."""
    path = openbao.token_file("open")
    path.chmod(0o640)
    with pytest.raises(KeyUnusableError, match="chmod 600"):
        await signed(openbao, token_source=f"file:{path}")


async def test_wrong_secret_id(openbao):
    """A login that the server refuses says at which mount, and not with what."""
    login = openbao.app_role("wrong-secret-id")
    openbao.write_secret("wrong-secret-id", "0e6d7c5a-wrong")
    with pytest.raises(AccessDeniedError, match="approle") as caught:
        await signed(openbao, **login)
    assert "0e6d7c5a" not in str(caught.value)


async def test_policy_that_does_not_sign(openbao):
    """A token that may read the key and not sign opens it, and says so at the first signature."""
    openbao.call(
        "PUT", "sys/policies/acl/reader", {"policy": 'path "transit/keys/*" { capabilities = ["read"] }'}
    )
    made = openbao.call("POST", "auth/token/create", {"policies": ["reader"]})
    path = openbao.write_secret("reader", made["auth"]["client_token"])
    async with SignerRegistry() as registry:
        signer = await registry.open(openbao.uri(KEY, token_source=f"file:{path}"), Algorithm.ES256)
        with pytest.raises(AccessDeniedError):
            await signer.check()


async def test_token_is_renewed_before_it_expires(openbao):
    """A renewable token is prolonged while nobody signs, and outlives its first time to live."""
    path = openbao.token_file("short", ttl="3s")
    async with SignerRegistry() as registry:
        uri = openbao.uri(KEY, token_source=f"file:{path}")
        signer = await registry.open(uri, Algorithm.ES256)
        token = path.read_text()

        def prolonged():
            data = openbao.call("GET", "auth/token/lookup-self", token=token)["data"]
            return data.get("last_renewal") is not None

        await eventually(prolonged)
        await signer.check()


async def test_login_is_repeated_before_the_longest_life_ends(own_openbao, monkeypatch):
    """Where a token may not live longer, another login replaces it before it ends."""
    monkeypatch.setattr(credentials, "MIN_AGE", 0.2)
    own_openbao.call(
        "POST",
        "auth/approle/role/signer",
        {"token_policies": ["signer"], "token_ttl": "2s", "token_max_ttl": "2s"},
    )

    def tokens():
        listed = own_openbao.call("LIST", "auth/token/accessors")
        return len(listed["data"]["keys"])

    async with SignerRegistry() as registry:
        signer = await registry.open(own_openbao.uri(KEY, **own_openbao.app_role()), Algorithm.ES256)
        before = tokens()
        await eventually(lambda: tokens() != before)
        await signer.check()


async def test_new_token_in_the_file_is_taken_up(openbao):
    """After the token was revoked, one that an agent wrote into the file in its place is used."""
    path = openbao.token_file("agent")
    async with SignerRegistry() as registry:
        signer = await registry.open(openbao.uri(KEY, token_source=f"file:{path}"), Algorithm.ES256)
        await signer.check()
        openbao.call("POST", "auth/token/revoke", {"token": path.read_text()})
        openbao.token_file("agent")
        await asyncio.sleep(credentials.MIN_AGE)
        await signer.check()


async def test_no_secret_in_the_log(openbao, caplog):
    """At the most talkative level the log holds neither token nor SecretID."""
    caplog.set_level("DEBUG")
    login = openbao.app_role("logged-secret-id")
    secret = (openbao.folder / "logged-secret-id").read_text()
    await signed(openbao, **login)
    path = openbao.token_file("logged")
    await signed(openbao, token_source=f"file:{path}")
    assert caplog.records
    text = json.dumps([record.getMessage() for record in caplog.records])
    assert secret not in text
    assert path.read_text() not in text
