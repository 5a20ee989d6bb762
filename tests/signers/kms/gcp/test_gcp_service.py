"""Cloud KMS: versions, integrity fields, protection levels and what its errors mean."""

import json
import os

import pytest

from signers import (
    AccessDeniedError,
    Algorithm,
    KeyAmbiguousError,
    KeyMismatchError,
    KeyNotFoundError,
    KeyUnusableError,
    KeyUriError,
    SignatureInvalidError,
    SignerThrottledError,
    SignerUnavailableError,
)
from signers.jose_form import spki_sha256
from signers.kms.gcp import service
from signers.kms.gcp.faults import fault_of
from signers.kms.gcp.integrity import crc32c
from signers.kms.gcp.uri import parse_gcpkms_uri
from signers.registry import SignerRegistry
from signers.remote.http import HttpReply
from signers.remote.options import RemoteOptions
from tests.support.fault_proxy import FaultProxy, altering
from tests.support.kms_clouds import flip
from tests.support.kms_emulators import GCP_ALGORITHMS, RING

KEY = "projects/p/locations/europe-west1/keyRings/r/cryptoKeys/k"


@pytest.fixture
async def registry():
    async with SignerRegistry(remote={"gcpkms": RemoteOptions()}) as made:
        yield made


@pytest.fixture
def key(gcp_kms):
    """A P-256 key of the test's own, in the HSM."""
    return gcp_kms.create_key(f"key-{os.urandom(4).hex()}", GCP_ALGORITHMS["ES256"])


def test_crc32c():
    """The checksum is CRC32C. SOURCE: RFC 3720 appendix B.4, 32 bytes of zeros and of 0xFF."""
    assert crc32c(bytes(32)) == 0x8A9136AA
    assert crc32c(b"\xff" * 32) == 0x62A8AB43


async def test_latest_enabled_version(registry, gcp_kms, key, monkeypatch):
    """Without a version the latest enabled one signs, found over several pages."""
    monkeypatch.setattr(service, "PAGE_SIZE", 4)
    for _ in range(11):
        gcp_kms.newer_version(key)
    gcp_kms.kms.keys[key][12].state = "DISABLED"
    signer = await registry.open(gcp_kms.uri(key), Algorithm.ES256)
    assert signer.key_version == "11"
    assert signer.pinned_uri == gcp_kms.uri(key, version=11)
    await signer.check()


async def test_no_enabled_version(registry, gcp_kms, key):
    """A key none of whose versions is enabled is not found."""
    gcp_kms.kms.keys[key][1].state = "DISABLED"
    with pytest.raises(KeyNotFoundError, match="no enabled version"):
        await registry.open(gcp_kms.uri(key), Algorithm.ES256)


async def test_pin_that_no_version_has(registry, gcp_kms, key):
    """Where no version has the pinned public half, the error tells the hash of the latest."""
    gcp_kms.newer_version(key)
    latest = await registry.open(gcp_kms.uri(key, version=2), Algorithm.ES256)
    with pytest.raises(KeyMismatchError, match=spki_sha256(latest.public_key)):
        await registry.open(gcp_kms.uri(key), Algorithm.ES256, public_key_sha256="0" * 64)


async def test_public_key_is_asked_for_once(registry, gcp_kms, key):
    """However often a version is opened, its public key is read once."""
    before = gcp_kms.kms.calls["cloudkms.cryptoKeyVersions.viewPublicKey"]
    for _ in range(3):
        await registry.open(gcp_kms.uri(key, version=1), Algorithm.ES256)
    assert gcp_kms.kms.calls["cloudkms.cryptoKeyVersions.viewPublicKey"] == before + 1


@pytest.mark.parametrize(
    "damage",
    [
        flip("signature"),
        lambda reply: reply.update(signatureCrc32c="1"),
        lambda reply: reply.pop("signatureCrc32c"),
        lambda reply: reply.update(verifiedDigestCrc32c=False),
        lambda reply: reply.pop("verifiedDigestCrc32c"),
    ],
)
async def test_reply_whose_checksums_do_not_fit(registry, gcp_kms, key, damage):
    """A reply that its checksums do not vouch for is discarded and asked for again; one that stays so is an
    outage.
    """
    async with FaultProxy(upstream=gcp_kms.url) as proxy:
        signer = await registry.open(gcp_kms.uri(key, proxy.url), Algorithm.ES256)
        proxy.faults = [altering(damage)]
        await signer.check()
        assert proxy.signing == 2
        proxy.always = altering(damage)
        with pytest.raises(SignerUnavailableError, match=r"CRC32C|checksum|signatureCrc32c"):
            await signer.sign(b"message")


async def test_protection_level_of_a_signature(registry, gcp_kms, key):
    """A signature made outside the HSM with a key that was inside is withheld."""
    async with FaultProxy(upstream=gcp_kms.url) as proxy:
        signer = await registry.open(gcp_kms.uri(key, proxy.url), Algorithm.ES256)
        proxy.faults = [altering(lambda reply: reply.update(protectionLevel="SOFTWARE"))]
        with pytest.raises(SignatureInvalidError, match="protection level"):
            await signer.sign(b"message")


async def test_protection_level_that_the_uri_asks_for(registry, gcp_kms, key):
    """A URI that asks for a protection level is refused for a key at another."""
    await registry.open(gcp_kms.uri(key) + "&protection-level=hsm", Algorithm.ES256)
    with pytest.raises(KeyUnusableError, match="level is hsm, and the URI asks for software"):
        await registry.open(gcp_kms.uri(key) + "&protection-level=software", Algorithm.ES256)


@pytest.mark.parametrize("damage", [lambda pem: pem + "x", lambda pem: pem.replace("A", "B", 1)])
async def test_public_key_that_is_damaged(registry, gcp_kms, key, damage, monkeypatch):
    """A public key that its checksum does not vouch for is not used."""
    describe = gcp_kms.kms._public_key
    monkeypatch.setattr(
        gcp_kms.kms, "_public_key", lambda path: {**describe(path), "pem": damage(describe(path)["pem"])}
    )
    with pytest.raises(SignerUnavailableError, match="public key was damaged"):
        await registry.open(gcp_kms.uri(key), Algorithm.ES256)


async def test_public_key_of_another_version(registry, gcp_kms, key, monkeypatch):
    """A public key that is said to be another version's is refused."""
    describe = gcp_kms.kms._public_key
    monkeypatch.setattr(gcp_kms.kms, "_public_key", lambda path: {**describe(path), "name": path + "1"})
    with pytest.raises(SignatureInvalidError, match="another version"):
        await registry.open(gcp_kms.uri(key), Algorithm.ES256)


async def test_rsa_with_sha512_is_not_rs256(registry, gcp_kms):
    """An RSA key version with SHA-512 is refused for RS256, by its algorithm's name."""
    key = gcp_kms.create_key(f"rsa-{os.urandom(4).hex()}", "RSA_SIGN_PKCS1_4096_SHA512")
    with pytest.raises(KeyUnusableError, match="RSA_SIGN_PKCS1_4096_SHA512, which is not RS256"):
        await registry.open(gcp_kms.uri(key), Algorithm.RS256)


async def test_message_that_is_too_long_for_ed25519(registry, gcp_kms):
    """Ed25519 takes messages of up to 64 KiB; a longer one is refused before it is sent."""
    key = f"{RING}/cryptoKeys/contract-EdDSA"
    signer = await registry.open(gcp_kms.uri(key), Algorithm.EDDSA)
    await signer.sign(bytes(65536))
    with pytest.raises(KeyUnusableError, match="at most 65536 bytes"):
        await signer.sign(bytes(65537))


async def test_created_key_is_waited_for(registry, gcp_kms, monkeypatch):
    """A key that the HSM takes time to generate is ready when `create` returns."""
    monkeypatch.setattr(gcp_kms.kms, "generation_looks", 2)
    name = f"{RING}/cryptoKeys/slow-{os.urandom(4).hex()}"
    signer = await registry.create(gcp_kms.uri(name), Algorithm.ES256)
    await signer.check()
    assert gcp_kms.kms.keys[name][1].level == "HSM"


async def test_no_such_algorithm(registry, gcp_kms):
    """P-521 is refused when a key is created as well."""
    with pytest.raises(KeyUnusableError, match="has no ES512"):
        await registry.create(gcp_kms.uri(f"{RING}/cryptoKeys/p521"), Algorithm.ES512)


async def test_wrong_account_key(gcp_kms, tmp_path, monkeypatch):
    """A service account whose key Google no longer knows is told as refused."""
    path = tmp_path / "other.json"
    other = json.loads(gcp_kms.kms.credentials(gcp_kms.url))
    other["client_email"] = "nobody@project.iam.gserviceaccount.com"
    path.write_text(json.dumps(other))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    async with SignerRegistry() as registry:
        with pytest.raises(AccessDeniedError, match=r"Google gives no token: .*invalid_grant"):
            await registry.open(gcp_kms.uri(KEY), Algorithm.ES256)


async def test_no_credentials(gcp_kms, tmp_path, monkeypatch):
    """Where the named key file is missing, the error names it."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    async with SignerRegistry() as registry:
        with pytest.raises(AccessDeniedError, match=r"no Google credentials: .*none\.json"):
            await registry.open(gcp_kms.uri(KEY), Algorithm.ES256)


@pytest.mark.parametrize("content", ["{", "[]", '{"type": "unheard_of"}', '{"type": "service_account"}'])
async def test_key_file_that_cannot_be_used(gcp_kms, tmp_path, monkeypatch, content):
    """A key file with something else in it is told as such."""
    path = tmp_path / "broken.json"
    path.write_text(content)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(path))
    async with SignerRegistry() as registry:
        with pytest.raises(AccessDeniedError, match="no Google credentials"):
            await registry.open(gcp_kms.uri(KEY), Algorithm.ES256)


@pytest.mark.parametrize(
    ("status", "http", "error"),
    [
        ("NOT_FOUND", 404, KeyNotFoundError),
        ("ALREADY_EXISTS", 409, KeyAmbiguousError),
        ("FAILED_PRECONDITION", 400, KeyUnusableError),
        ("INVALID_ARGUMENT", 400, KeyUnusableError),
        ("PERMISSION_DENIED", 403, AccessDeniedError),
        ("UNAUTHENTICATED", 401, AccessDeniedError),
        ("RESOURCE_EXHAUSTED", 429, SignerThrottledError),
        ("UNAVAILABLE", 503, SignerUnavailableError),
        ("INTERNAL", 500, SignerUnavailableError),
        ("DEADLINE_EXCEEDED", 504, SignerUnavailableError),
        ("SOMETHING_NEW", 400, KeyUnusableError),
        ("SOMETHING_NEW", 500, SignerUnavailableError),
    ],
)
def test_errors(status, http, error):
    """Each error of the service is one of ours."""
    body = json.dumps({"error": {"code": http, "status": status, "message": "why"}}).encode()
    found = fault_of(HttpReply(http, {}, body), "k")
    assert type(found) is error
    assert str(found) == f"Cloud KMS answered {status}: why"


def test_request_that_arrived_damaged():
    """A checksum that the service found wrong is worth another try, unlike other wrong arguments."""
    message = "The checksum in field digest_crc32c did not match the data in field digest."
    body = json.dumps({"error": {"code": 400, "status": "INVALID_ARGUMENT", "message": message}}).encode()
    assert type(fault_of(HttpReply(400, {}, body), "k")) is SignerUnavailableError


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"error": "no"}', b""])
def test_error_that_is_none_of_the_service(body):
    """An answer of a load balancer is told by its status."""
    found = fault_of(HttpReply(502, {}, body), "k")
    assert type(found) is SignerUnavailableError
    assert "502" in str(found)


def test_uri():
    """A key's resource name and a version name a key version, with what was asked for besides."""
    uri = f"gcpkms:key={KEY};version=7?endpoint=https://kms.example&protection-level=hsm"
    parsed = parse_gcpkms_uri(uri)
    assert (parsed.key, parsed.version) == (KEY, 7)
    assert parsed.parent == "projects/p/locations/europe-west1"
    assert parsed.redacted == f"gcpkms:key={KEY};version=7"
    assert parsed.redacted + parsed.query == uri


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("gcpkms:version=1", "lacks 'key'"),
        ("gcpkms:key=tokens", "projects/P/locations"),
        (f"gcpkms:key={KEY}/cryptoKeyVersions/1", "write its version as 'version=1'"),
        (f"gcpkms:key={KEY};version=0", "number from 1"),
        (f"gcpkms:key={KEY};version=latest", "number from 1"),
        (f"gcpkms:key={KEY}?protection-level=tpm", "'software' or 'hsm'"),
        (f"gcpkms:key={KEY}?endpoint=http://kms.example", "https"),
        (f"gcpkms:key={KEY}%2F..%2Fx", "projects/P/locations"),
    ],
)
def test_uri_refused(uri, reason):
    """A URI that names no CryptoKey is refused with the way to mend it."""
    with pytest.raises(KeyUriError, match=reason):
        parse_gcpkms_uri(uri)
