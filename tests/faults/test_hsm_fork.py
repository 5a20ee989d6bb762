"""A forked child must not sign with its parent's sessions."""

import subprocess
import sys

import pytest

from softhsm.provision import ROOT

_SCRIPT = """
import asyncio, os, sys
from signers import Algorithm, SignerUnavailableError
from signers.pkcs11.options import Pkcs11Options
from signers.registry import SignerRegistry

uri, isolation = sys.argv[1], sys.argv[2] == "isolated"
options = Pkcs11Options(isolation=isolation)
loop = asyncio.new_event_loop()
registry = SignerRegistry(pkcs11=options)
signer = loop.run_until_complete(registry.open(uri, Algorithm.ES256))
loop.run_until_complete(signer.check())

async def child():
    refused = []
    async def expect(call):
        try:
            await call
        except SignerUnavailableError as error:
            assert "forked" in str(error), error
            refused.append(error)
    await expect(signer.sign(b"message"))
    await expect(signer.sign_many([b"message"]))
    async with SignerRegistry(pkcs11=options) as own:
        if isolation:
            # A process of the child's own is nothing that the parent's state could harm.
            await (await own.open(uri, Algorithm.ES256)).check()
        else:
            await expect(own.open(uri, Algorithm.ES256))
    await registry.aclose()
    assert len(refused) == (2 if isolation else 3), refused

pid = os.fork()
if pid == 0:
    code = 1
    try:
        asyncio.run(child())
        code = 0
    finally:
        os._exit(code)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
loop.run_until_complete(signer.check())
loop.run_until_complete(registry.aclose())
print("done")
"""


@pytest.mark.parametrize("mode", ["in-process", "isolated"])
def test_forked_child_is_refused_and_the_parent_goes_on(softhsm, mode):
    """A forked child is told why it may not sign with its parent's signers; the parent signs and closes."""
    result = subprocess.run(
        [sys.executable, "-c", _SCRIPT, softhsm.uris[0], mode],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (result.returncode, result.stdout.strip()) == (0, "done"), result.stderr
