"""A PKCS#11 module as slow as an HSM behind a network, built from slow_hsm.c by the machine's C compiler."""

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from signers.key_files import write_private_key
from softhsm.provision import Provisioned, key_uri, provision

SOURCE = Path(__file__).with_name("slow_hsm.c")
LABEL = "tokens-slow"


@dataclass(frozen=True, slots=True)
class SlowHsm:
    """A token with one P-256 key whose signatures take `seconds` each, `engines` of them at once."""

    token: Provisioned
    module: Path
    key: Path
    seconds: float
    engines: int

    @property
    def environment(self) -> Mapping[str, str]:
        """What to add to the environment before the module is first used."""
        return {
            **self.token.environment,
            "SLOW_HSM_MODULE": str(self.token.module),
            "SLOW_HSM_KEY": str(self.key),
            "SLOW_HSM_MICROSECONDS": str(round(self.seconds * 1e6)),
            "SLOW_HSM_ENGINES": str(self.engines),
        }

    @property
    def per_second(self) -> float:
        """The signatures per second that the device can make."""
        return self.engines / self.seconds

    @property
    def uri(self) -> str:
        """The URI of its key, by way of the slow module."""
        return key_uri(self.token.token, LABEL, module=self.module, pin_file=self.token.pin_file)


def build(folder: Path, *, seconds: float = 0.005, engines: int = 32) -> SlowHsm:
    """Compile the module and make its token, all in *folder*.

    Raises `subprocess.CalledProcessError` where the compiler or softhsm2-util fails.
    """
    token = provision(folder / "token")
    key = folder / "key.pem"
    write_private_key(key, ec.generate_private_key(ec.SECP256R1()), None, key=LABEL)
    pin = token.pin_file.read_text()
    arguments = ["--import", str(key), "--token", token.token, "--label", LABEL, "--id", "01", "--pin", pin]
    _run(["softhsm2-util", *arguments], {**os.environ, **token.environment})
    module = folder / "slow_hsm.so"
    flags = ["-std=gnu11", "-O2", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-pthread"]
    _run(["cc", *flags, "-o", str(module), str(SOURCE), "-ldl"], os.environ)
    return SlowHsm(token, module, key, seconds, engines)


def _run(command: list[str], environment: Mapping[str, str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=60, env=environment)
