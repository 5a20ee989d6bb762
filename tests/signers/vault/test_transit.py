"""Transit keys of a real server: which are used, which are refused, and in which words."""

import asyncio
import os

import pytest

from signers import (
    AccessDeniedError,
    Algorithm,
    KeyAmbiguousError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
    SignerThrottledError,
)
from signers.jose_form import spki_sha256
from signers.registry import SignerRegistry
from signers.remote.options import RemoteOptions
from signers.vault.replies import MAX_RETRY_AFTER
from signers.verification import verify


@pytest.fixture
def login(openbao):
    return {"token_source": f"file:{openbao.token_file('transit')}"}


@pytest.fixture
async def registry():
    async with SignerRegistry() as made:
        yield made


@pytest.fixture
def name(openbao):
    """A P-256 key of the test's own."""
    made = f"own-{os.urandom(4).hex()}"
    openbao.create_key(made)
    return made


@pytest.mark.parametrize("key_type", ["rsa-2048", "rsa-3072", "rsa-4096"])
@pytest.mark.parametrize("algorithm", [Algorithm.RS256, Algorithm.PS256])
async def test_rsa_sizes(openbao, registry, login, key_type, algorithm):
    """RSA keys of each size sign with both paddings."""
    openbao.create_key(key_type, key_type)
    await (await registry.open(openbao.uri(key_type, **login), algorithm)).check()


async def test_messages_of_any_length(openbao, registry, login):
    """Empty and long messages are signed, hashed here or there."""
    for algorithm, key in ((Algorithm.ES256, "ecdsa-p256"), (Algorithm.EDDSA, "ed25519")):
        signer = await registry.open(openbao.uri(key, **login), algorithm)
        for message in (b"", bytes(2_000_000)):
            verify(signer.public_key, algorithm, message, await signer.sign(message))


async def test_another_mount(openbao, registry, login):
    """A key at another mount is found there."""
    openbao.call("POST", "sys/mounts/keys/deep", {"type": "transit"})
    openbao.call("POST", "keys/deep/keys/inner", {"type": "ed25519"})
    root = openbao.write_secret("root", openbao.root_token)
    uri = openbao.uri("inner;mount=keys/deep", token_source=f"file:{root}")
    await (await registry.open(uri, Algorithm.EDDSA)).check()


async def test_version_above_the_latest(openbao, registry, login, name):
    """A version that the key does not have yet is not found."""
    with pytest.raises(KeyNotFoundError, match="latest is 1"):
        await registry.open(openbao.uri(f"{name};version=2", **login), Algorithm.ES256)


@pytest.mark.parametrize("setting", ["min_encryption_version", "min_decryption_version"])
async def test_version_withdrawn(openbao, registry, login, name, setting):
    """A version that the key's settings withdraw signs no more, and can be opened no more."""
    signer = await registry.open(openbao.uri(name, **login), Algorithm.ES256)
    openbao.rotate(name)
    openbao.configure_key(name, **{setting: 2})
    uri = openbao.uri(f"{name};version=1", **login)
    with pytest.raises(KeyUnusableError, match=setting):
        await registry.open(uri, Algorithm.ES256)
    if setting == "min_encryption_version":
        with pytest.raises(KeyUnusableError, match=setting):
            await signer.sign(b"m")


async def test_withdrawn_versions_do_not_hide_the_pinned_one(openbao, registry, login, name):
    """Beside versions that are withdrawn, the one with the pinned public key is found."""
    openbao.rotate(name)
    second = await registry.open(openbao.uri(name, **login), Algorithm.ES256)
    openbao.rotate(name)
    openbao.configure_key(name, min_encryption_version=2)
    from_pin = await registry.open(
        openbao.uri(name, **login), Algorithm.ES256, public_key_sha256=spki_sha256(second.public_key)
    )
    assert from_pin.key_version == "2"


async def test_keys_that_do_not_sign(openbao, registry, login):
    """Keys for encryption, derived keys and softly deleted keys are refused when they are opened."""
    openbao.create_key("aes", "aes256-gcm96")
    openbao.call("POST", "transit/keys/derived", {"type": "ed25519", "derived": True})
    openbao.create_key("gone", "ed25519")
    openbao.call("DELETE", "transit/keys/gone/soft-delete")
    for key, said in (("aes", "aes256-gcm96"), ("derived", "derived"), ("gone", "deleted")):
        with pytest.raises(KeyUnusableError, match=said):
            await registry.open(openbao.uri(key, **login), Algorithm.EDDSA)


async def test_no_such_mount(openbao, registry, login):
    """A mount that does not exist is refused by the policy, or not found by who may see it."""
    with pytest.raises(AccessDeniedError):
        await registry.open(openbao.uri("a;mount=nowhere", **login), Algorithm.EDDSA)
    root = openbao.write_secret("root", openbao.root_token)
    uri = openbao.uri("a;mount=nowhere", token_source=f"file:{root}")
    with pytest.raises(KeyNotFoundError):
        await registry.open(uri, Algorithm.EDDSA)


async def test_created_keys(openbao, registry, login):
    """Every algorithm's key can be created, but not with a version, and ES256K not at all."""
    for algorithm in set(Algorithm) - {Algorithm.ES256K}:
        uri = openbao.uri(f"created-{algorithm.lower()}", **login)
        await (await registry.create(uri, algorithm)).check()
    with pytest.raises(KeyUnusableError, match="version 1"):
        await registry.create(openbao.uri("created-v;version=2", **login), Algorithm.ES256)
    with pytest.raises(KeyUnusableError, match="ES256K"):
        await registry.create(openbao.uri("created-k", **login), Algorithm.ES256K)


async def test_creating_never_changes_a_key(openbao, registry, login, name):
    """A taken name is refused, whatever the algorithm, and the key stays what it was."""
    before = await registry.open(openbao.uri(name, **login), Algorithm.ES256)
    for algorithm in (Algorithm.ES256, Algorithm.EDDSA):
        with pytest.raises(KeyAmbiguousError):
            await registry.create(openbao.uri(name, **login), algorithm)
    after = await registry.open(openbao.uri(name, **login), Algorithm.ES256)
    assert (after.key_id, after.key_version) == (before.key_id, "1")


async def test_rate_limit_of_the_server(openbao, login):
    """A rate limit quota of the server is told with its time, and nobody asks before that."""
    path = f"limited-{os.urandom(4).hex()}"
    openbao.call("POST", f"sys/mounts/{path}", {"type": "transit"})
    openbao.call("POST", f"{path}/keys/k", {"type": "ecdsa-p256"})
    root = openbao.write_secret("root", openbao.root_token)
    uri = openbao.uri(f"k;mount={path}", token_source=f"file:{root}")
    async with SignerRegistry(remote={"vault": RemoteOptions(max_batch=1)}) as registry:
        signer = await registry.open(uri, Algorithm.ES256)
        openbao.call("POST", "sys/quotas/rate-limit/test", {"path": path, "rate": 3, "interval": "10s"})
        ended = await asyncio.gather(*(signer.sign(b"m") for _ in range(20)), return_exceptions=True)
        openbao.call("DELETE", "sys/quotas/rate-limit/test")
    refused = [each for each in ended if not isinstance(each, bytes)]
    assert len(ended) - len(refused) == 3
    assert {type(each) for each in refused} == {SignerThrottledError}
    assert all(0 < each.retry_after <= MAX_RETRY_AFTER for each in refused)


async def test_budget_keeps_callers_below_the_servers_limit(openbao, login):
    """With a budget below the server's quota, too much load is refused here and never there."""
    options = RemoteOptions(max_batch=1, budget=50, burst=5, budget_wait=0.1)
    async with SignerRegistry(remote={"vault": options}) as registry:
        signer = await registry.open(openbao.uri("ecdsa-p256", **login), Algorithm.ES256)
        ended = await asyncio.gather(*(signer.sign(b"m") for _ in range(100)), return_exceptions=True)
        refused = [each for each in ended if isinstance(each, SignerThrottledError)]
        (health,) = registry.health().values()
    assert len(ended) - len(refused) == 10
    assert all("budget" in str(each) and each.retry_after > 0.1 for each in refused)
    assert health.budget_left < 5


async def test_uri_that_is_wrong(registry):
    """A URI without a server is refused before anything is asked."""
    with pytest.raises(KeyUriError):
        await registry.open("vault:key=a", Algorithm.ES256)
