"""Which modules this process has loaded."""

import os
import threading
from collections.abc import Callable
from pathlib import Path

from signers.errors import KeyUnusableError
from signers.pkcs11.binding import Cryptoki, ModuleLoadError, TokenInfo
from signers.pkcs11.ctypes_binding import CtypesCryptoki
from signers.pkcs11.module import Module


class ModuleTable:
    """Every module of a process, by the real path of its library.

    PKCS#11 keeps one state per process and library: a second C_Initialize fails, and one C_Finalize ends all
    users' sessions. So modules must be shared across the whole process, and `PROCESS_MODULES` is the one
    table in production; tests make their own around a binding that injects faults.
    """

    def __init__(self, load: Callable[[str], Cryptoki]) -> None:
        self._load = load
        self._lock = threading.Lock()
        self._modules: dict[str, Module] = {}

    def get(self, path: str) -> Module:
        """The module at *path*, loaded at first use and kept: many libraries do not survive being unloaded.

        Raises `KeyUnusableError` where the file is no PKCS#11 module, `SignerUnavailableError` in a fork.
        """
        real = os.path.realpath(path)
        if real in self._modules:
            # Asked before the lock is taken, which a fork may have copied in its locked state.
            self._modules[real].require_same_process()
        with self._lock:
            module = self._modules.get(real)
            if module is None:
                try:
                    module = self._modules[real] = Module(real, self._load(real))
                except ModuleLoadError as error:
                    raise KeyUnusableError(f"{path} cannot be used as a PKCS#11 module: {error}.") from error
        return module

    def refused(self) -> dict[TokenInfo, str]:
        """The tokens, as in slot 0, that refused a PIN in this process, and why."""
        with self._lock:
            return {info: why for module in self._modules.values() for info, why in module.refused.items()}


def load_module(path: str) -> Cryptoki:
    """Load the module at *path*, minding what is known to be wrong with it. Raises `ModuleLoadError`.

    p11-kit's client shares one socket among its threads. Where the server dies while one thread reads the
    reply of another, the others wait on a condition that nobody signals any more, and the module can never be
    finalized. Seen in 0.24.1, about once in thirty kills under load. One call at a time cannot get there.
    """
    return CtypesCryptoki(path, one_call_at_a_time=Path(path).name.startswith("p11-kit-client"))


PROCESS_MODULES = ModuleTable(load_module)
