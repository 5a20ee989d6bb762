"""A key that is deleted, replaced or forbidden on the token while callers sign with it."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from signers import Algorithm, KeyMismatchError, KeyNotFoundError, SignerError
from signers.pkcs11.options import Pkcs11Options
from signers.registry import SignerRegistry
from softhsm.provision import ROOT, provision
from tests.support.signing_load import Load, record
from tests.support.softhsm import delete_key

pytestmark = pytest.mark.parametrize("isolation", [False, True], ids=["in-process", "isolated"])

_ALLOW = """
import sys
import pkcs11
module, token, label, pin, allowed = sys.argv[1:]
with pkcs11.lib(module).get_token(token_label=token).open(user_pin=pin, rw=True) as session:
    key = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=label)
    key[pkcs11.Attribute.SIGN] = allowed == "True"
"""


def allow(token, label: str, *, allowed: bool) -> None:
    """Set CKA_SIGN of a private key, as another process."""
    pin = token.pin_file.read_text()
    subprocess.run(
        [sys.executable, "-c", _ALLOW, str(token.module), token.token, label, pin, str(allowed)],
        check=True,
        cwd=ROOT,
        env={**os.environ, **token.environment},
        timeout=30,
    )


async def test_deleted_under_load(softhsm, isolation, record_property):
    """Callers are told that the key is gone, the token stays in use, and every signature before verifies."""
    async with SignerRegistry(pkcs11=Pkcs11Options(isolation=isolation)) as registry:
        signer = await registry.open(softhsm.uris[0], Algorithm.ES256)
        other = await registry.open(softhsm.uris[1], Algorithm.EDDSA)
        load = Load(signer, expected=(SignerError,))
        await load.more("signed")
        await asyncio.to_thread(delete_key, softhsm, "tokens-es256")
        await load.more("KeyNotFoundError")
        with pytest.raises(KeyNotFoundError):
            await signer.sign(b"message")
        await other.check()
        assert next(iter(registry.health().values())).available
        await load.finish()
        record(record_property, load, [])


async def test_replaced_under_load(softhsm, isolation, record_property):
    """No signature by the new key is released; once both its halves are there, callers are told of it."""
    async with SignerRegistry(pkcs11=Pkcs11Options(isolation=isolation)) as registry:
        signer = await registry.open(softhsm.uris[0], Algorithm.ES256)
        load = Load(signer, expected=(SignerError,))
        await load.more("signed")
        await asyncio.to_thread(delete_key, softhsm, "tokens-es256")
        await asyncio.to_thread(provision, softhsm.softhsm2_conf.parent)
        await load.more("KeyMismatchError")
        with pytest.raises(KeyMismatchError):
            await signer.sign(b"message")
        await load.finish()
        record(record_property, load, [])


async def test_forbidden_and_allowed_under_load(softhsm, isolation, record_property):
    """While CKA_SIGN is false callers are told so, and they sign again as soon as it is true."""
    async with SignerRegistry(pkcs11=Pkcs11Options(isolation=isolation)) as registry:
        signer = await registry.open(softhsm.uris[0], Algorithm.ES256)
        load = Load(signer, expected=(SignerError,))
        await load.more("signed")
        await asyncio.to_thread(allow, softhsm, "tokens-es256", allowed=False)
        await load.more("KeyUnusableError")
        await asyncio.to_thread(allow, softhsm, "tokens-es256", allowed=True)
        allowed = time.monotonic()
        await load.more("signed")
        recovery = time.monotonic() - allowed
        await load.finish()
        assert recovery < 1
        record(record_property, load, [recovery])
