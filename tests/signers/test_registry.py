"""The table of schemes, and providers shared between keys."""

import subprocess
import sys

import pytest

from signers import Algorithm, KeyUriError, SignerUnavailableError
from signers.pkcs11.options import Pkcs11Options
from signers.registry import SignerRegistry


async def test_unknown_scheme():
    """A scheme without a backend is refused with those that have one."""
    async with SignerRegistry() as registry:
        known = "awskms, azurekms, file, gcpkms, pkcs11, vault"
        with pytest.raises(KeyUriError, match=rf"'tpm'; known are {known}\."):
            await registry.open("tpm:key", Algorithm.ES256)


@pytest.mark.parametrize(
    ("uri", "library"),
    [
        ("awskms:key-id=alias/k;region=eu-central-1", "botocore"),
        ("gcpkms:key=projects/p/locations/l/keyRings/r/cryptoKeys/k", "google.auth"),
        ("gcpkms:key=projects/p/locations/l/keyRings/r/cryptoKeys/k", "google_crc32c"),
        ("azurekms:vault=example.vault.azure.net;key=k", "azure"),
    ],
)
def test_missing_extra(uri, library):
    """Where a backend's library is not installed, the error says which extra to install; what has been loaded
    before, the gateway's own modules included, has not asked for it.
    """
    program = f"""
import asyncio, importlib, sys
sys.modules[{library!r}] = None
import gateway.application
from signers import Algorithm, KeyUriError
from signers.registry import SignerRegistry

async def main():
    async with SignerRegistry() as registry:
        try:
            await registry.open({uri!r}, Algorithm.ES256)
        except KeyUriError as error:
            print(error)

asyncio.run(main())
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    scheme = uri.partition(":")[0]
    assert ran.stdout.strip().endswith(f"need an extra: pip install 'countersign-gateway[{scheme}]'."), (
        ran.stderr
    )


async def test_a_missing_module_of_ours_is_no_missing_extra(monkeypatch):
    """An installation that lacks a module of the gateway's own is not told to install an extra."""
    monkeypatch.delitem(sys.modules, "signers.kms.aws.backend", raising=False)
    monkeypatch.setitem(sys.modules, "signers.kms.aws.service", None)
    async with SignerRegistry() as registry:
        with pytest.raises(ModuleNotFoundError, match=r"signers\.kms\.aws\.service"):
            await registry.open("awskms:key-id=alias/k;region=eu-central-1", Algorithm.ES256)


async def test_module_path_is_needed():
    """Without a module path in the URI or the options, the error says where to put it."""
    async with SignerRegistry() as registry:
        with pytest.raises(KeyUriError, match="module-path=/path"):
            await registry.open("pkcs11:token=t;object=o", Algorithm.ES256)


async def test_keys_of_one_token_share_a_provider(softhsm):
    """Two keys of one token are served by one provider, named without a secret."""
    async with SignerRegistry(pkcs11=Pkcs11Options(module_path=str(softhsm.module))) as registry:
        await registry.open(softhsm.uris[0], Algorithm.ES256)
        bare = f"pkcs11:token=countersign;object=tokens-eddsa?pin-source=file:{softhsm.pin_file}"
        await registry.open(bare, Algorithm.EDDSA)
        (name,) = registry.health()
        assert name.startswith("pkcs11:token=countersign?module-path=/")


async def test_one_token_has_one_pin_source(softhsm):
    """Two keys of one token that name different PIN sources are refused."""
    async with SignerRegistry() as registry:
        await registry.open(softhsm.uris[0], Algorithm.ES256)
        with pytest.raises(KeyUriError, match="differ in pin-source"):
            await registry.open(softhsm.uris[1].partition("&")[0] + "&pin-source=env:PIN", Algorithm.EDDSA)


async def test_closed_token_is_reported(softhsm):
    """After closing, nothing is open, and a signer kept by a caller says that it is closed."""
    async with SignerRegistry() as registry:
        signer = await registry.open(softhsm.uris[0], Algorithm.ES256)
    assert registry.health() == {}
    with pytest.raises(SignerUnavailableError, match="closed"):
        await signer.sign(b"message")


@pytest.mark.parametrize(
    "options",
    [
        {"module_path": "module.so"},
        {"sessions": 0},
        {"sessions": 257},
        {"max_queue": 0},
        {"timeout": 0},
        {"timeout": 301},
    ],
)
def test_options_out_of_range(options):
    """Options out of range are refused."""
    with pytest.raises(KeyUriError):
        Pkcs11Options(**options)
