"""Azure Key Vault: versions, attributes, protection levels and what its errors mean."""

import json
import os
import time

import pytest

from signers import (
    AccessDeniedError,
    Algorithm,
    KeyAmbiguousError,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
    SignerThrottledError,
    SignerUnavailableError,
)
from signers.jose_form import spki_sha256
from signers.kms.azure.faults import fault_of
from signers.kms.azure.uri import parse_azurekms_uri
from signers.registry import SignerRegistry
from signers.remote.http import HttpReply
from signers.remote.options import RemoteOptions
from tests.support.kms_emulators import AZURE_KEYS

VERSION = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def registry():
    async with SignerRegistry(remote={"azurekms": RemoteOptions()}) as made:
        yield made


@pytest.fixture
def key(azure_vault):
    """The name of a P-256 key of the test's own, in software."""
    name = f"key-{os.urandom(4).hex()}"
    azure_vault.create_key(name, **AZURE_KEYS["ES256"])
    return name


def version_of(server, key):
    """The only version of *key*, and what the vault knows of it."""
    ((name, version),) = server.vault.keys[key].items()
    return name, version


async def test_latest_version_is_pinned(registry, azure_vault, key):
    """Without a version the latest signs, and the pinned URI has it."""
    signer = await registry.open(azure_vault.uri(key), Algorithm.ES256)
    name, _ = version_of(azure_vault, key)
    assert signer.key_version == name
    assert signer.pinned_uri == azure_vault.uri(key, version=name)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"enabled": False}, "disabled"),
        ({"expires": -60}, "expired"),
        ({"not_before": 600}, "not active yet"),
        ({"operations": ["verify"]}, "do not include 'sign'"),
    ],
)
async def test_key_that_may_not_sign(registry, azure_vault, key, change, reason):
    """A key that is disabled, out of its time, or not for signing is refused when it is opened."""
    _, version = version_of(azure_vault, key)
    for name, value in change.items():
        # Times are relative: the parameters are made long before the test may run.
        setattr(version, name, int(time.time()) + value if name in {"expires", "not_before"} else value)
    with pytest.raises(KeyUnusableError, match=reason):
        await registry.open(azure_vault.uri(key), Algorithm.ES256)


async def test_key_that_expires_under_load(registry, azure_vault, key):
    """A key that expires while it is used fails as unusable, in the vault's words."""
    signer = await registry.open(azure_vault.uri(key), Algorithm.ES256)
    version_of(azure_vault, key)[1].expires = int(time.time()) - 1
    with pytest.raises(KeyUnusableError, match="KeyExpired"):
        await signer.sign(b"message")


async def test_pin_that_no_version_has(registry, azure_vault, key):
    """Where no version has the pinned public half, the error tells the hash of the latest."""
    azure_vault.create_key(key, **AZURE_KEYS["ES256"])
    latest = await registry.open(azure_vault.uri(key), Algorithm.ES256)
    with pytest.raises(KeyMismatchError, match=spki_sha256(latest.public_key)):
        await registry.open(azure_vault.uri(key), Algorithm.ES256, public_key_sha256="0" * 64)


async def test_public_key_is_asked_for_once(registry, azure_vault, key):
    """However often a version is opened, it is read once."""
    name, _ = version_of(azure_vault, key)
    before = azure_vault.vault.calls["keys/get"]
    for _ in range(3):
        await registry.open(azure_vault.uri(key, version=name), Algorithm.ES256)
    assert azure_vault.vault.calls["keys/get"] == before + 1


async def test_key_of_another_vault(registry, azure_vault, key, monkeypatch):
    """A key whose identifier is in another vault than the URI's is refused."""
    monkeypatch.setattr(azure_vault.vault, "host", "another.vault.azure.net")
    uri = azure_vault.uri(key).replace("another.", "contract.")
    with pytest.raises(KeyUnusableError, match="another key than asked for"):
        await registry.open(uri, Algorithm.ES256)


async def test_protection_level(registry, azure_vault, key):
    """A URI that asks for a protection level is refused for a key at another; new keys are in the HSM."""
    await registry.open(azure_vault.uri(key) + "&protection-level=software", Algorithm.ES256)
    with pytest.raises(KeyUnusableError, match="level is software, and the URI asks for hsm"):
        await registry.open(azure_vault.uri(key) + "&protection-level=hsm", Algorithm.ES256)
    for more, kty in (("", "EC-HSM"), ("&protection-level=software", "EC")):
        name = f"new-{os.urandom(4).hex()}"
        await registry.create(azure_vault.uri(name) + more, Algorithm.ES256)
        assert version_of(azure_vault, name)[1].kty == kty


async def test_no_eddsa(registry, azure_vault):
    """EdDSA is refused when a key is created as well."""
    with pytest.raises(KeyUnusableError, match="has no EdDSA"):
        await registry.create(azure_vault.uri("new-eddsa"), Algorithm.EDDSA)


async def test_identity_that_is_refused(azure_vault, monkeypatch):
    """Where the platform gives no token, the error says that Azure gave none."""
    monkeypatch.setenv("IDENTITY_HEADER", "wrong")
    async with SignerRegistry() as registry:
        with pytest.raises(AccessDeniedError, match=r"no Azure credentials|Azure gives no token"):
            await registry.open(azure_vault.uri("contract-ES256"), Algorithm.ES256)


@pytest.mark.parametrize(
    ("http", "code", "inner", "error"),
    [
        (401, "Unauthorized", None, AccessDeniedError),
        (403, "Forbidden", "ForbiddenByRbac", AccessDeniedError),
        (403, "Forbidden", "ForbiddenByFirewall", AccessDeniedError),
        (403, "Forbidden", "KeyDisabled", KeyUnusableError),
        (404, "KeyNotFound", None, KeyNotFoundError),
        (409, "Conflict", "ObjectIsDeletedButRecoverable", KeyAmbiguousError),
        (400, "BadParameter", None, KeyUnusableError),
        (429, "Throttled", None, SignerThrottledError),
        (500, "InternalServerError", None, SignerUnavailableError),
        (503, "ServiceUnavailable", None, SignerUnavailableError),
    ],
)
def test_errors(http, code, inner, error):
    """Each error of the service is one of ours."""
    inside = {"innererror": {"code": inner}} if inner else {}
    body = json.dumps({"error": {"code": code, "message": "why", **inside}}).encode()
    found = fault_of(HttpReply(http, {"retry-after": "7"}, body), "k")
    assert type(found) is error
    assert str(found) == f"Azure Key Vault answered {inner or code}: why"
    assert found.retry_after == (7 if http in (429, 500, 503) else None)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": "no"}', b""])
def test_error_that_is_none_of_the_service(body):
    """An answer of a load balancer is told by its status."""
    found = fault_of(HttpReply(502, {}, body), "k")
    assert type(found) is SignerUnavailableError
    assert "502" in str(found)


@pytest.mark.parametrize(
    ("host", "resource"),
    [
        ("example.vault.azure.net", "https://vault.azure.net"),
        ("example.managedhsm.azure.net", "https://managedhsm.azure.net"),
        ("Example.vault.azure.cn", "https://vault.azure.cn"),
    ],
)
def test_uri(host, resource):
    """A vault, a key and a version name a key version; the vault's domain decides what token is asked for."""
    uri = f"azurekms:vault={host};key=tokens;version={VERSION}?protection-level=hsm"
    parsed = parse_azurekms_uri(uri)
    assert (parsed.key, parsed.version, parsed.resource) == ("tokens", VERSION, resource)
    assert parsed.redacted + parsed.query == uri.replace("Example", "example")


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("azurekms:key=tokens", "lacks 'vault'"),
        ("azurekms:vault=example.vault.azure.net", "lacks 'key'"),
        ("azurekms:vault=evil.example;key=tokens", "host name below one of"),
        ("azurekms:vault=example.vault.azure.net.evil.example;key=tokens", "host name below one of"),
        ("azurekms:vault=a.b.vault.azure.net;key=tokens", "host name below one of"),
        ("azurekms:vault=example.vault.azure.net;key=to_kens", "letters, digits and hyphens"),
        ("azurekms:vault=example.vault.azure.net;key=tokens;version=1", "32 hex digits"),
        ("azurekms:vault=example.vault.azure.net;key=tokens?protection-level=tpm", "'software' or 'hsm'"),
    ],
)
def test_uri_refused(uri, reason):
    """A URI that names no key in a vault is refused; no token is ever sent to another domain."""
    with pytest.raises(KeyUriError, match=reason):
        parse_azurekms_uri(uri)
