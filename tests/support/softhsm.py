"""SoftHSM tokens for tests: each in a folder of its own, with a binding that can be made to fail."""

import asyncio
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from signers.algorithms import Algorithm
from signers.pkcs11.binding import Cryptoki, CryptokiError
from signers.pkcs11.ctypes_binding import CtypesCryptoki
from signers.pkcs11.module_table import ModuleTable
from signers.pkcs11.options import Pkcs11Options
from signers.pkcs11.provider import Pkcs11Provider
from softhsm.provision import ROOT, Provisioned, provision

LABELS = {
    Algorithm.EDDSA: "ed25519",
    Algorithm.ES256: "p256",
    Algorithm.ES384: "p384",
    Algorithm.ES512: "p521",
    Algorithm.ES256K: "k256",
    Algorithm.RS256: "rsa",
    Algorithm.PS256: "rsa",
}
"""The key of each algorithm on the token that `provision_all` makes."""


def provision_all(folder: Path) -> Provisioned:
    """A token with a key for every algorithm; one RSA key serves both of its."""
    labels = {label: algorithm for algorithm, label in LABELS.items()}
    keys = [f"{label}:{algorithm}" for label, algorithm in labels.items()]
    return provision(folder, token="contract", keys=keys)


@pytest.fixture(scope="session")
def softhsm_all(tmp_path_factory) -> Provisioned:
    """A token with every kind of key, made once per test run; tests must not change its keys."""
    return provision_all(tmp_path_factory.mktemp("softhsm"))


@pytest.fixture
def softhsm(tmp_path, monkeypatch) -> Provisioned:
    """A token of the test's own, with the keys tokens-es256 and tokens-eddsa, used by this process."""
    provisioned = provision(tmp_path / "hsm")
    monkeypatch.setenv("SOFTHSM2_CONF", str(provisioned.softhsm2_conf))
    return provisioned


class FaultyCryptoki:
    """A real binding whose calls can be counted, made to fail, blocked or altered, by method name."""

    def __init__(self, path: str) -> None:
        self._inner = CtypesCryptoki(path)
        self.calls: Counter[str] = Counter()
        self.faults: dict[str, list[int]] = defaultdict(list)
        self.gates: dict[str, threading.Event] = {}
        self.alter: dict[str, Callable[[object], object]] = {}

    def __getattr__(self, name: str) -> Callable[..., object]:
        method = getattr(self._inner, name)

        def call(*arguments: object, **keywords: object) -> object:
            self.calls[name] += 1
            gate = self.gates.get(name)
            if gate is not None:
                assert gate.wait(30)
            if self.faults[name]:
                raise CryptokiError(name, self.faults[name].pop(0))
            result = method(*arguments, **keywords)
            return self.alter[name](result) if name in self.alter else result

        return call


class FaultyTable(ModuleTable):
    """A table of its own, whose one module is a `FaultyCryptoki`."""

    def __init__(self) -> None:
        self.bindings: list[FaultyCryptoki] = []
        super().__init__(self._make)

    @property
    def cryptoki(self) -> FaultyCryptoki:
        return self.bindings[0]

    def _make(self, path: str) -> Cryptoki:
        self.bindings.append(FaultyCryptoki(path))
        return self.bindings[0]


@asynccontextmanager
async def opened(uri: str, table: ModuleTable, **options: object) -> AsyncIterator[Pkcs11Provider]:
    """A provider for the token of *uri*, closed at the end."""
    provider = await Pkcs11Provider.open(uri, Pkcs11Options(**options), table)
    try:
        yield provider
    finally:
        await provider.aclose()


async def eventually(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until *condition* holds: for states that a thread or process reaches without an event."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # What is awaited lies outside the event loop.
            await asyncio.sleep(0.005)


_DELETE = """
import sys
from signers.pkcs11 import constants as ck
from signers.pkcs11.ctypes_binding import CtypesCryptoki
module, token, label, pin = sys.argv[1:]
cryptoki = CtypesCryptoki(module)
cryptoki.initialize()
slot = next(info.slot for info in cryptoki.tokens() if info.label == token)
session = cryptoki.open_session(slot, read_write=True)
cryptoki.login(session, pin.encode())
for handle in cryptoki.find(session, ((ck.CKA_LABEL, label.encode()),), 16):
    cryptoki.destroy_object(session, handle)
cryptoki.finalize()
"""


def delete_key(token: Provisioned, label: str) -> None:
    """Delete every object called *label* from the token, as another process."""
    pin = token.pin_file.read_text()
    subprocess.run(
        [sys.executable, "-c", _DELETE, str(token.module), token.token, label, pin],
        check=True,
        cwd=ROOT,
        env={"SOFTHSM2_CONF": str(token.softhsm2_conf), "PYTHONPATH": str(ROOT)},
        timeout=30,
    )
