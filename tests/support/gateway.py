"""A whole gateway in this process: the real composition root, over real TLS, on free ports.

    async with running_gateway(tmp_path, clients=[...]) as gateway:
        async with gateway.client(gateway.admin) as admin:
            await admin.create_client("billing", ...)

`opened_application` is the same without the listeners: the use cases over a real database and real keys.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from countersign import CountersignError, GatewayClient, RetryPolicy, TlsConfig

from gateway.application import Application, load_roots, open_application
from gateway.client_roots import ClientRoots
from gateway.clock import Clock, system_clock
from gateway.config import Settings, load
from gateway.principal import ANONYMOUS, Call, Principal, Role
from gateway.proofs.client_certificate import ClientCertificate
from gateway.rpc.server import GrpcServer
from gateway.server import open_server
from gateway.store import upgrade
from gateway.telemetry.access_log import AccessRecord
from gateway.tokens.client import Client
from gateway.wiring.store import store_options, store_url
from signers import Algorithm
from signers.key_files import generate_private_key, write_private_key
from softhsm.provision import provision
from tests.support import stores
from tests.support.pki import Authority, Issued

ISSUER = "https://id.example.org"
RESOURCE = "https://api.example.org"
ADMIN = "spiffe://example.org/admin"
API = "spiffe://example.org/api"
CALLERS: Sequence[Mapping[str, Any]] = (
    {"san_uri": ADMIN, "roles": ["admin"]},
    {"san_uri": API, "roles": ["resource-server"], "resources": [RESOURCE]},
)
_ONCE = RetryPolicy(max_attempts=1)
_SQLITE = "sqlite:///"


class RememberingLog:
    """An access log that keeps its records in order."""

    def __init__(self) -> None:
        self.records: list[AccessRecord] = []

    def record(self, record: AccessRecord) -> None:
        self.records.append(record)

    def cause_of(self, error: CountersignError) -> str:
        """The cause that was logged for the call that failed with *error*; the record is made before it."""
        (cause,) = [record.cause for record in self.records if record.request_id == error.request_id]
        return cause


@dataclass(frozen=True)
class Prepared:
    """A folder with all that a gateway needs, a configuration that names it, and a migrated database."""

    folder: Path
    root: Authority
    settings: Settings
    environment: Mapping[str, str]


@dataclass(frozen=True)
class RunningGateway:
    """A gateway that serves. `admin` and `api` are certificates of `CALLERS`; `root` issues more."""

    prepared: Prepared
    server: GrpcServer
    log: RememberingLog
    admin: Issued
    api: Issued

    @property
    def root(self) -> Authority:
        """The authority that the gateway trusts for client certificates and has its own from."""
        return self.prepared.root

    @property
    def database_file(self) -> Path:
        """The SQLite file."""
        return Path(store_url(self.prepared.settings).removeprefix(_SQLITE))

    def client(self, identity: Issued | None = None, **options: Any) -> GatewayClient:
        """A client that calls once, as *identity* on the mutual-TLS port, or as nobody on the TLS port."""
        tls = TlsConfig(
            ca=self.root.pem,
            certificate=None if identity is None else identity.chain_pem,
            private_key=None if identity is None else identity.key_pem,
        )
        ports = self.server.ports
        return GatewayClient(
            f"127.0.0.1:{ports.tls}",
            mtls_target=f"127.0.0.1:{ports.mtls}",
            **{"tls": tls, "retry": _ONCE, "timeout": 10.0} | options,
        )

    def channel(self, identity: Issued | None = None) -> grpc.aio.Channel:
        """A bare channel of its own connection, as *identity* or as nobody."""
        ports = self.server.ports
        port = ports.tls if identity is None else ports.mtls
        credentials = grpc.ssl_channel_credentials(
            self.root.pem,
            None if identity is None else identity.key_pem,
            None if identity is None else identity.chain_pem,
        )
        options = (("grpc.use_local_subchannel_pool", 1),)
        return grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options)


async def prepare(
    folder: Path,
    *,
    key_uri: str = "file",
    algorithm: Algorithm = Algorithm.ES256,
    callers: Sequence[Mapping[str, Any]] = CALLERS,
    database_url: str | None = None,
    root: Authority | None = None,
    tokens: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Prepared:
    """Write everything that is not there yet into *folder*, and migrate the database.

    *key_uri* is ``file`` (a key made here), ``softhsm`` (a token made here), a URI, or empty for no key.
    *tokens* and *sections* (``server={...}``) are merged over the defaults of their sections.
    """
    root = root or Authority.root()
    uri, variables = await asyncio.to_thread(_key, folder, key_uri, algorithm)
    certificate, key = root.server().write(folder, "server")
    (folder / "client-ca.pem").write_bytes(root.pem)
    document: dict[str, Any] = {
        "server": {
            "tls_address": "127.0.0.1:0",
            "mtls_address": "127.0.0.1:0",
            "https_address": "127.0.0.1:0",
            "https_mtls_address": "127.0.0.1:0",
            "certificate": certificate.name,
            "private_key": key.name,
            "client_ca": "client-ca.pem",
            "drain_timeout": 2.0,
            "tls_reload_interval": 0.05,
        },
        "store": {"url": database_url or "sqlite:///countersign.db"},
        "tokens": {"issuer": ISSUER, "algorithm": algorithm.value, **(tokens or {})},
        "callers": list(callers),
        # The gateway shares a loop with its test, whose own work would look like an overload.
        "limits": {"queue_target": 0.0},
    }
    if uri:
        document["keys"] = [{"purpose": "tokens", "algorithm": algorithm.value, "uri": uri}]
    for name, section in sections.items():
        document[name] = document.get(name, {}) | section if isinstance(section, Mapping) else section
    file = folder / "countersign.toml"
    file.write_text("".join(_toml(document)))
    settings = load(file)
    await _migrate(settings)
    return Prepared(folder, root, settings, variables)


@asynccontextmanager
async def running_gateway(
    folder: Path, *, clock: Clock = system_clock, prepared: Prepared | None = None, **options: Any
) -> AsyncIterator[RunningGateway]:
    """Serve until the end of the block. *options* are those of `prepare`, unless *prepared* is given."""
    prepared = prepared or await prepare(folder, **options)
    log = RememberingLog()
    async with _environment(prepared), open_server(prepared.settings, log, clock=clock) as server:
        yield RunningGateway(
            prepared,
            server,
            log,
            admin=prepared.root.leaf("admin", uris=(ADMIN,)),
            api=prepared.root.leaf("api", uris=(API,)),
        )


@dataclass(frozen=True)
class OpenedApplication:
    """The use cases, and what a test needs to call them as somebody."""

    application: Application
    prepared: Prepared
    roots: ClientRoots

    def __getattr__(self, name: str) -> Any:
        """The parts of the application: `minter`, `store` and so on."""
        return getattr(self.application, name)

    @property
    def root(self) -> Authority:
        """The authority of client certificates."""
        return self.prepared.root

    async def register(self, client_id: str, **changes: Any) -> Client:
        """Store a client without the checks of registration; the default is that of `stores.client`."""
        stored, _ = await self.application.store.clients.create(stores.client(client_id, **changes), None)
        return stored


class SteppedClock:
    """A clock that stands still at the real time of its making until it is moved."""

    def __init__(self) -> None:
        self.now = float(int(time.time()))

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Move it."""
        self.now += seconds


@asynccontextmanager
async def opened_application(
    folder: Path, *, clock: Clock = time.time, prepared: Prepared | None = None, **options: Any
) -> AsyncIterator[OpenedApplication]:
    """The use cases without listeners. *options* are those of `prepare`."""
    prepared = prepared or await prepare(folder, **options)
    roots = load_roots(prepared.settings)
    async with _environment(prepared), open_application(prepared.settings, roots, clock=clock) as application:
        yield OpenedApplication(application, prepared, roots)


@pytest.fixture
def clock() -> SteppedClock:
    """The clock of `app`."""
    return SteppedClock()


@pytest.fixture
async def app(tmp_path: Path, clock: SteppedClock) -> AsyncIterator[OpenedApplication]:
    """The use cases over a SQLite database and an ES256 key of the test's own."""
    async with opened_application(tmp_path, clock=clock) as opened:
        yield opened


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[RunningGateway]:
    """A gateway of the test's own."""
    async with running_gateway(tmp_path) as running:
        yield running


def call_of(
    certificate: Issued | None = None,
    *,
    roles: Sequence[Role] = (),
    resources: Sequence[str] = (),
    client_id: str | None = None,
) -> Call:
    """A call with *certificate*; by a caller with *roles* or a client id, else by nobody."""
    principal = ANONYMOUS
    if roles or client_id:
        principal = Principal("caller", frozenset(roles), frozenset(resources), client_id)
    presented = None if certificate is None else ClientCertificate.from_pem(certificate.chain_pem)
    return Call(principal, presented, "request-1")


_migrated: list[bytes] = []
"""A migrated SQLite file: migrating takes longer than most tests."""


async def _migrate(settings: Settings) -> None:
    url = store_url(settings)
    if _migrated and await asyncio.to_thread(_copy_migrated, url):
        return
    await upgrade(url, options=store_options(settings))
    if url.startswith(_SQLITE) and not _migrated:
        _migrated.append(await asyncio.to_thread(Path(url.removeprefix(_SQLITE)).read_bytes))


def _copy_migrated(url: str) -> bool:
    file = Path(url.removeprefix(_SQLITE))
    if not url.startswith(_SQLITE) or file.exists():
        return False
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    file.write_bytes(_migrated[0])
    return True


@asynccontextmanager
async def _environment(prepared: Prepared) -> AsyncIterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in prepared.environment.items():
            patch.setenv(name, value)
        yield


def _key(folder: Path, key_uri: str, algorithm: Algorithm) -> tuple[str, Mapping[str, str]]:
    """The URI, and the environment that it needs."""
    folder.mkdir(parents=True, exist_ok=True)
    if key_uri == "softhsm":
        provisioned = provision(folder / "hsm", token="gateway", keys=[f"tokens:{algorithm}"])
        return provisioned.uri("tokens"), provisioned.environment
    return (make_key(folder, "tokens", algorithm) if key_uri == "file" else key_uri), {}


def stored_octets(folder: Path) -> bytes:
    """All that the SQLite database in *folder* has written, its log included."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob("countersign.db*")))


def make_key(folder: Path, name: str, algorithm: Algorithm = Algorithm.ES256) -> str:
    """Write ``keys/NAME.pem`` into *folder*, unless it is there; its URI."""
    path = folder / "keys" / f"{name}.pem"
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        write_private_key(path, generate_private_key(algorithm), None, key=name)
    return f"file:keys/{name}.pem"


def _toml(document: Mapping[str, Any]) -> Iterator[str]:
    """Two levels of tables, and arrays of tables; JSON's literals are TOML's for what tests write."""
    for name, section in document.items():
        tables = section if isinstance(section, list) else [section]
        header = f"[[{name}]]" if isinstance(section, list) else f"[{name}]"
        for table in tables:
            yield f"{header}\n"
            for field, value in table.items():
                yield f"{field} = {json.dumps(value)}\n"
