"""Replicas of the gateway on one PostgreSQL: processes that can be killed, frozen, replaced and cut off."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Final

from cryptography import x509

from gateway.cli.demo_provider import DemoProvider
from gateway.keys.model import KeyPurpose
from signers import Algorithm
from signers.registry import SignerRegistry
from softhsm.provision import provision
from tests.replicas.database_proxy import DatabaseProxy, database_proxy
from tests.replicas.program import TODAY, environment_of
from tests.support.edge import free_ports
from tests.support.gateway import RESOURCE, make_key, prepare
from tests.support.issuing import ca_certificate
from tests.support.pki import Authority, Issued, pem
from tests.support.postgres import PostgresServer

OPERATOR: Final = "spiffe://example.org/operator"
DOMAIN: Final = "wire.com"
TARGET: Final = "https://wire.com/clients/{device}/access-token"
USER: Final = {"sub": "alice", "name": "Alice Smith", "preferred_username": f"alice@{DOMAIN}"}
REDIRECT: Final = "https://app.example.org/callback"
LOGIN_CLIENT: Final = "devices"
VERIFIER: Final = "employees"
_ROOT: Final = Path(__file__).resolve().parents[2]
_START_TIMEOUT: Final = 90.0


@dataclass
class Replica:
    """One `countersign serve`, with its supervisor and workers in a process group of its own.

    `revision` names its program, see `tests.replicas.program`; the next start is the first to heed it.
    """

    number: int
    folder: Path
    ports: Sequence[int]
    environment: dict[str, str]
    process: asyncio.subprocess.Process | None = None
    revision: str = TODAY
    starts: int = 0
    log: IO[bytes] | None = None

    @property
    def target(self) -> str:
        """The mutual-TLS listener."""
        return f"127.0.0.1:{self.ports[1]}"

    async def start(self) -> float:
        """Start it and wait until it takes calls; the seconds that it took."""
        self.starts += 1
        began = time.monotonic()
        if self.log is None:
            self.log = (self.folder / f"replica-{self.number}.log").open("ab")
        names = ("TLS_ADDRESS", "MTLS_ADDRESS")
        addresses = {
            f"COUNTERSIGN_SERVER__{name}": f"127.0.0.1:{port}"
            for name, port in zip(names, self.ports, strict=True)
        }
        self.process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.replicas.replica"),
            *("--config", str(self.folder / "countersign.toml"), "--build", f"build-{self.starts}"),
            cwd=_ROOT,
            env={**os.environ, **self.environment, **addresses, **environment_of(self.revision)},
            stdout=asyncio.subprocess.PIPE,
            stderr=self.log,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        async with asyncio.timeout(_START_TIMEOUT):
            async for line in self.process.stdout:
                if line.startswith(b"Ready:"):
                    return time.monotonic() - began
        raise RuntimeError(f"replica {self.number} did not start: {self.folder}/replica-{self.number}.log")

    async def kill(self) -> None:
        """SIGKILL to all of its processes at once."""
        self._send(signal.SIGKILL)
        await self._ended()

    async def drain(self) -> None:
        """SIGTERM, as a deployment stops it; it must end well."""
        if self.process is None:
            return
        self.process.terminate()
        code = await self._ended()
        if code != 0:
            raise RuntimeError(f"replica {self.number} ended with {code} after SIGTERM")

    def freeze(self) -> None:
        """SIGSTOP to all of its processes."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self._send(signal.SIGCONT)

    def close(self) -> None:
        """Leave nothing behind."""
        if self.process is not None and self.process.returncode is None:
            self._send(signal.SIGKILL)
        if self.log is not None:
            self.log.close()

    def _send(self, number: signal.Signals) -> None:
        if self.process is not None:
            os.killpg(self.process.pid, number)

    async def _ended(self) -> int:
        process, self.process = self.process, None
        return 0 if process is None else await process.wait()


@dataclass
class Cluster:
    """What a run works on. The third replica reaches the database through `proxy`.

    `revision` names the program that migrated the database last.
    """

    folder: Path
    root: Authority
    issuing_ca: x509.Certificate
    postgres: PostgresServer
    database_url: str
    provider: DemoProvider
    proxy: DatabaseProxy
    replicas: list[Replica] = field(default_factory=list)
    revision: str = TODAY

    @property
    def operator(self) -> Issued:
        """The certificate of the caller that may do everything."""
        return self.root.leaf("operator", uris=(OPERATOR,))

    async def migrate(self, revision: str) -> bool:
        """Let the program of *revision* migrate the database; False where older ones that live prevent it."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.replicas.migrate"),
            *("--config", str(self.folder / "countersign.toml")),
            cwd=_ROOT,
            env={**os.environ, **environment_of(revision)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        if process.returncode == 0:
            self.revision = revision
            return True
        if b"and older ones serve" in said:
            return False
        raise RuntimeError(f"migrating to {revision} failed: {said.decode()}")


@asynccontextmanager
async def running_cluster(
    folder: Path, postgres: PostgresServer, url: str, *, replicas: int = 3, hsm: bool = False
) -> AsyncIterator[Cluster]:
    """Everything started and serving, on the empty database *url* of *postgres*.

    *hsm* puts the key of the tokens into SoftHSM.
    """
    async with AsyncExitStack() as stack:
        root = Authority.root()
        provider = stack.enter_context(
            DemoProvider(
                _provider_folder(folder, root), client_id=LOGIN_CLIENT, redirect_uri=REDIRECT, user=USER
            )
        )
        environment, issuing_ca = await _prepare(folder, root, url, provider.issuer, hsm=hsm)
        proxy = await stack.enter_async_context(database_proxy(folder, url))
        cluster = Cluster(folder, root, issuing_ca, postgres, url, provider, proxy)
        ports = free_ports(2 * replicas)
        for number in range(replicas):
            through = {"COUNTERSIGN_STORE__URL": proxy.url} if number == replicas - 1 else {}
            replica = Replica(number, folder, ports[2 * number : 2 * number + 2], environment | through)
            stack.callback(replica.close)
            cluster.replicas.append(replica)
        await asyncio.gather(*(replica.start() for replica in cluster.replicas))
        yield cluster
        await asyncio.gather(*(replica.drain() for replica in cluster.replicas))


def _provider_folder(folder: Path, root: Authority) -> Path:
    """Where the OpenID provider finds its certificate."""
    own = folder / "provider"
    own.mkdir()
    certificate, key = root.server().write(own, "server")
    certificate.rename(own / "server.pem")
    key.rename(own / "server-key.pem")
    return own


async def _prepare(
    folder: Path, root: Authority, url: str, issuer: str, *, hsm: bool
) -> tuple[dict[str, str], x509.Certificate]:
    """Write the one configuration of all replicas; what their environment needs, and the CA's certificate."""
    uris = {name: make_key(folder, name) for name in ("tokens", "ca", "minter", "ocsp", "verifier", "linked")}
    environment: dict[str, str] = {}
    if hsm:
        provisioned = await asyncio.to_thread(
            provision, folder / "hsm", token="replicas", keys=["tokens:ES256"]
        )
        uris["tokens"], environment = provisioned.uri("tokens"), dict(provisioned.environment)
    async with SignerRegistry(base_dir=folder) as signers:
        public_key = (await signers.open(uris["ca"], Algorithm.ES256)).public_key
    issuing_ca = ca_certificate(public_key, root, datetime.now(UTC).replace(microsecond=0))
    (folder / "chain.pem").write_bytes(pem(issuing_ca))
    (folder / "nonce.secret").write_bytes(os.urandom(32))
    purposes = {
        "tokens": "tokens",
        "ca": "certificates",
        "minter": "client-access-tokens",
        "ocsp": "ocsp-responses",
        "verifier": KeyPurpose.PRESENTATION_REQUESTS,
        "linked": KeyPurpose.LINKED_DOMAINS,
    }
    await prepare(
        folder,
        key_uri="",
        database_url=url,
        root=root,
        callers=[
            {
                "san_uri": OPERATOR,
                "roles": ["admin", "resource-server", "login", "enroller", "verifier"],
                "resources": [RESOURCE],
            }
        ],
        server={"drain_timeout": 5.0, "https_address": "", "https_mtls_address": ""},
        store={"timeout": 2.0},
        tokens={"jwks_max_age": 1, "lifetime": 3600, "max_lifetime": 3600},
        keys=[
            {"purpose": purpose, "algorithm": "ES256", "uri": uris[name]}
            for name, purpose in purposes.items()
        ],
        health={"interval": 1.0, "timeout": 1.0},
        log={"access": False, "audit": False},
        edge={"public_url": "https://id.example.org"},
        presentations={"algorithm": "ES256"},
        verifiers=[{"name": VERIFIER, "trusted_issuers": ["*"]}],
        enrollment={"nonce_secrets": ["nonce.secret"], "client_token_target": TARGET},
        provisioners=[
            {
                "name": "wire",
                "url": "https://ca.example.org/acme/wire",
                "chain": "chain.pem",
                "challenges": ["wire-oidc-01", "wire-dpop-01"],
                "domains": [DOMAIN],
                "oidc_issuer": issuer,
                "oidc_client_id": LOGIN_CLIENT,
                "dpop_target": TARGET,
            }
        ],
    )
    return environment, issuing_ca
