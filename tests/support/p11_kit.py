"""`p11-kit server` before SoftHSM: a "network HSM" that can be killed, stopped and started again."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from softhsm.provision import Provisioned, key_uri

_CLIENTS = (
    "/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib/aarch64-linux-gnu/pkcs11/p11-kit-client.so",
    "/usr/lib64/pkcs11/p11-kit-client.so",
    "/usr/lib/pkcs11/p11-kit-client.so",
)


def find_client() -> Path:
    """The PKCS#11 module that talks to the server."""
    return next(path for path in map(Path, _CLIENTS) if path.is_file())


class P11KitServer:
    """The server and the process that it starts for each client, as one process group."""

    def __init__(self, token: Provisioned, path: Path) -> None:
        self.address = f"unix:path={path}"
        self._token = token
        self._socket = path
        self._process: subprocess.Popen[bytes] | None = None

    def uri(self, label: str) -> str:
        """The URI of *label*, by way of the client module."""
        return key_uri(self._token.token, label, module=find_client(), pin_file=self._token.pin_file)

    def start(self) -> None:
        self._socket.unlink(missing_ok=True)
        command = ["p11-kit", "server", "-f", "--name", str(self._socket)]
        command += ["--provider", str(self._token.module), f"pkcs11:token={self._token.token}"]
        self._process = subprocess.Popen(
            command,
            env={**os.environ, "SOFTHSM2_CONF": str(self._token.softhsm2_conf)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 10
        while not self._accepts():
            assert self._process.poll() is None, "p11-kit server ended"
            assert time.monotonic() < deadline, "p11-kit server did not start"
            time.sleep(0.005)

    def _accepts(self) -> bool:
        # The socket's file is there a moment before the server listens.
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(str(self._socket)) == 0

    def kill(self) -> None:
        """SIGKILL the whole group, and wait for the server's end."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

    def stop(self) -> None:
        """SIGSTOP: every call hangs from now on."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)
