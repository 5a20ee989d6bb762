"""OpenSC's PKCS#11 spy between a process and SoftHSM: what was called, told by the module itself."""

from pathlib import Path

import pytest

from softhsm.provision import Provisioned, key_uri

_SPIES = (
    "/usr/lib/x86_64-linux-gnu/pkcs11-spy.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11-spy.so",
    "/usr/lib64/pkcs11-spy.so",
    "/usr/lib64/pkcs11/pkcs11-spy.so",
    "/usr/lib/pkcs11/pkcs11-spy.so",
    "/usr/lib/pkcs11-spy.so",
)


class Spy:
    """Processes that start from now on call SoftHSM through the spy, if they use `uri`."""

    def __init__(self, token: Provisioned, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._token = token
        self._log = folder / "spy.log"
        self._module = next(path for path in map(Path, _SPIES) if path.is_file())
        monkeypatch.setenv("PKCS11SPY", str(token.module))
        monkeypatch.setenv("PKCS11SPY_OUTPUT", str(self._log))

    def uri(self, label: str) -> str:
        """The URI of *label*, by way of the spy."""
        return key_uri(self._token.token, label, module=self._module, pin_file=self._token.pin_file)

    def calls(self, function: str) -> int:
        """How often *function* was called so far, in all processes."""
        text = self._log.read_text(errors="replace") if self._log.exists() else ""
        return sum(line.rstrip().endswith(f": {function}") for line in text.splitlines())
