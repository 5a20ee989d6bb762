"""The software token of openCryptoki, a PKCS#11 implementation that shares nothing with SoftHSM.

Its Debian package (3.8.1) keeps one token for the whole machine, behind a daemon that only root can start. So
it is used where root runs the tests and the package is there, which `.ci/need-opencryptoki` sees to. A token
that somebody else has initialized is left alone.
"""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from softhsm.provision import Provisioned
from tests.support.softhsm import delete_key

LABEL = "countersign-tests"
_DEFAULT_LABEL = "IBM OS PKCS#11"
# SOURCE: openCryptoki 3.8.1, man 1 pkcsconf: the PIN of a security officer nobody has changed yet.
_DEFAULT_SO_PIN = "87654321"
_SO_PIN, _FIRST_PIN, _PIN = "76543210", "1234abcd", "abcd1234"
_MODULES = tuple(Path("/usr/lib").glob("*/pkcs11/libopencryptoki.so"))
_TIMEOUT = 30


def is_usable() -> bool:
    """Whether the package is there and this process may start its daemon."""
    return os.geteuid() == 0 and bool(_MODULES) and shutil.which("pkcsslotd") is not None


@pytest.fixture(scope="session")
def opencryptoki(tmp_path_factory) -> Iterator[Provisioned]:
    """The token, with a PIN file and a folder of the test run's own; keys that were made are deleted."""
    folder = tmp_path_factory.mktemp("opencryptoki")
    pin_file = folder / "pin"
    pin_file.write_text(_PIN)
    pin_file.chmod(0o600)
    with _alone():
        _start_daemon()
        _initialize()
    token = Provisioned(
        softhsm2_conf=folder / "none", module=_MODULES[0], token=LABEL, pin_file=pin_file, uris=()
    )
    yield token
    for label in labels_made(token):
        delete_key(token, label)


def made(token: Provisioned, label: str) -> str:
    """*label* of this test run alone, remembered so that its key is deleted at the end."""
    with _made(token).open("a") as labels:
        labels.write(f"{label}\n")
    return label


def labels_made(token: Provisioned) -> list[str]:
    """What was given to `made`."""
    return _made(token).read_text().split() if _made(token).exists() else []


def _made(token: Provisioned) -> Path:
    return token.pin_file.parent / "made"


@contextmanager
def _alone() -> Iterator[None]:
    """Of several test runs on this machine, one at a time."""
    with Path("/run/lock/countersign-opencryptoki").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _start_daemon() -> None:
    Path("/run/lock/opencryptoki").mkdir(exist_ok=True)
    if subprocess.run(["pidof", "pkcsslotd"], check=False, capture_output=True).returncode:
        subprocess.run(["pkcsslotd"], check=True, timeout=_TIMEOUT)


def _initialize() -> None:
    slot, label = _software_token()
    if label == LABEL:
        return
    assert label == _DEFAULT_LABEL, f"The openCryptoki token {label!r} belongs to somebody; it is left alone."
    _pkcsconf("-I", "-c", slot, "-S", _DEFAULT_SO_PIN, typed=f"{LABEL}\n")
    _pkcsconf("-P", "-c", slot, "-S", _DEFAULT_SO_PIN, "-n", _SO_PIN)
    # A PIN that the security officer chose has to be changed by the user before anything else works.
    _pkcsconf("-u", "-c", slot, "-S", _SO_PIN, "-n", _FIRST_PIN)
    _pkcsconf("-p", "-c", slot, "-U", _FIRST_PIN, "-n", _PIN)


def _software_token() -> tuple[str, str]:
    """Its slot number and label."""
    slot, label = "", ""
    for line in _pkcsconf("-t").splitlines():
        name, _, value = line.strip().partition(":")
        if name.startswith("Token #"):
            slot = name.removeprefix("Token #").split()[0]
        elif name == "Label":
            label = value.strip()
        elif name == "Model" and value.strip() == "IBM SoftTok":
            return slot, label
    raise LookupError("openCryptoki shows no software token")


def _pkcsconf(*arguments: str, typed: str = "") -> str:
    ran = subprocess.run(
        ["pkcsconf", *arguments], check=True, capture_output=True, text=True, input=typed, timeout=_TIMEOUT
    )
    return ran.stdout


__all__ = ["LABEL", "is_usable", "labels_made", "made", "opencryptoki"]
