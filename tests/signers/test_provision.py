"""softhsm/provision.py, as a command and as a function."""

import stat
import subprocess
import sys

import pytest

from signers import Algorithm
from signers.registry import SignerRegistry
from softhsm.provision import ROOT, provision


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "softhsm" / "provision.py"), *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)


async def test_command_prints_what_a_process_needs(tmp_path, monkeypatch):
    """The command prints SOFTHSM2_CONF and one URI per key, with which the keys sign."""
    result = run(str(tmp_path / "hsm"))
    assert result.returncode == 0, result.stderr
    setting, *uris = result.stdout.splitlines()
    name, _, value = setting.partition("=")
    monkeypatch.setenv(name, value)
    assert name == "SOFTHSM2_CONF"
    async with SignerRegistry() as registry:
        for uri, algorithm in zip(uris, (Algorithm.ES256, Algorithm.EDDSA), strict=True):
            await (await registry.open(uri, algorithm)).check()


async def test_second_run_keeps_token_and_keys(tmp_path, monkeypatch):
    """A second run keeps the PIN and the keys that are there, and adds those that are not."""

    async def key_ids(uris) -> list[str]:
        async with SignerRegistry() as registry:
            return [(await registry.open(uri, Algorithm.ES256)).key_id for uri in uris]

    first = provision(tmp_path, token="dev", keys=["a:ES256"])
    monkeypatch.setenv("SOFTHSM2_CONF", str(first.softhsm2_conf))
    pin, before = first.pin_file.read_bytes(), await key_ids(first.uris)
    second = provision(tmp_path, token="dev", keys=["a:ES256", "b:ES256"])
    after = await key_ids(second.uris)
    assert second.pin_file.read_bytes() == pin
    assert after[0] == before[0]
    assert after[1] != before[0]


def test_pin_is_private(tmp_path):
    """The PIN is random and readable by its owner alone."""
    one, other = (provision(tmp_path / name, keys=["a:ES256"]).pin_file for name in ("one", "other"))
    assert stat.S_IMODE(one.stat().st_mode) == 0o600
    assert one.read_bytes() != other.read_bytes()
    assert len(one.read_bytes()) >= 16


@pytest.mark.parametrize("key", ["tokens", "tokens:", ":ES256", "tokens:HS256"])
def test_malformed_key(tmp_path, key):
    """A key that is not LABEL:ALGORITHM is refused with the algorithms there are."""
    result = run(str(tmp_path / "hsm"), "--key", key)
    assert result.returncode == 2
    assert "LABEL:ALGORITHM" in result.stderr
    assert "EdDSA" in result.stderr
    assert not (tmp_path / "hsm").exists()
