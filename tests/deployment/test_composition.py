"""deploy/compose as it runs, but for Docker: Envoy before the gateway, PostgreSQL, a key in SoftHSM."""

import os
import re
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import grpc
import httpx
import pytest
from countersign.v1 import client_service_pb2 as clients_pb
from countersign.v1 import introspection_service_pb2 as introspection_pb2
from countersign.v1 import token_service_pb2 as tokens_pb
from countersign.v1.client_service_pb2_grpc import ClientServiceStub
from countersign.v1.introspection_service_pb2_grpc import IntrospectionServiceStub
from countersign.v1.token_service_pb2_grpc import TokenServiceStub
from grpc_health.v1 import health_pb2, health_pb2_grpc

from softhsm.provision import find_module
from tests.support.deployment import COMPOSE, PORTS, ROOT
from tests.support.edge import free_ports
from tests.support.stores import shared_postgres

RESOURCE = "https://orders.countersign.test"
IDENTITY = "spiffe://countersign.test/orders-backend"
HEADER = "x-forwarded-client-cert"
ENVOY = Path(sys.executable).with_name("envoy")
STOP = 40  # seconds


@contextmanager
def running(command, log: Path, ready: str, **options) -> Iterator[None]:
    """A program that has written a line with *ready* to its log; it must end with 0 when it is told to."""
    with log.open("w") as output:
        process = subprocess.Popen(
            list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options
        )
        try:
            for line in process.stdout:
                output.write(line)
                if ready in line:
                    break
            output.flush()
            assert process.poll() is None, log.read_text()
            yield
            process.terminate()
            output.write(process.communicate(timeout=STOP)[0])
            output.flush()
            assert process.returncode == 0, log.read_text()
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


@dataclass(frozen=True)
class Composition:
    """Where everything listens, and the folder of the secrets."""

    ports: dict[str, int]
    envoy: int
    secrets: Path

    def pair(self, name: str | None) -> tuple[bytes | None, bytes | None]:
        """The key and certificate of *name*."""
        if name is None:
            return None, None
        return (self.secrets / f"{name}-key.pem").read_bytes(), (self.secrets / f"{name}.pem").read_bytes()

    @contextmanager
    def channel(self, name: str | None, port: int, server: str) -> Iterator[grpc.Channel]:
        """A connection with the certificate of *name*, or without any."""
        credentials = grpc.ssl_channel_credentials((self.secrets / "ca.pem").read_bytes(), *self.pair(name))
        options = (("grpc.ssl_target_name_override", server),)
        with grpc.secure_channel(f"127.0.0.1:{port}", credentials, options) as channel:
            yield channel

    def through_envoy(self, name: str | None = None):
        """As callers do it."""
        return self.channel(name, self.envoy, "localhost")

    def as_envoy(self):
        """As Envoy itself does it."""
        return self.channel("envoy", self.ports["mtls_address"], "gateway")

    def https(self, name: str | None = None) -> httpx.Client:
        """A client of the public URL."""
        context = ssl.create_default_context(cafile=self.secrets / "ca.pem")
        if name is not None:
            context.load_cert_chain(self.secrets / f"{name}.pem", self.secrets / f"{name}-key.pem")
        return httpx.Client(
            verify=context, timeout=10, trust_env=False, base_url=f"https://localhost:{self.envoy}"
        )

    def written(self, name: str) -> tuple[tuple[str, str], ...]:
        """The header that Envoy writes for *name*, as somebody else may write it."""
        pem = (self.secrets / f"{name}.pem").read_text()
        return ((HEADER, f'By=spiffe://countersign.test/envoy;Cert="{quote(pem, safe="")}"'),)


def replaced(text: str, changes: dict[str, str]) -> str:
    """*text*, with what is only so in containers changed to what is so here."""
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


@pytest.fixture(scope="module")
def database():
    """A new database in a PostgreSQL."""
    with shared_postgres().new_database() as url:
        yield url


@pytest.fixture(scope="module")
def composition(prepared, services, database):
    """All of it, with the files of the composition, on free ports."""
    envoy, *free = free_ports(1 + len(PORTS))
    ports = dict(zip(PORTS, free, strict=True))
    state = prepared / "state" / "softhsm"
    folder, *rest = services["softhsm"]["command"]
    assert folder == "/var/lib/softhsm"
    provision = [sys.executable, ROOT / "softhsm" / "provision.py", state, *rest]
    subprocess.run(provision, check=True, capture_output=True, timeout=60)
    secrets = f"{prepared}/secrets/"
    configuration = replaced(
        (COMPOSE / "countersign.toml").read_text(),
        {
            "/run/secrets/": secrets,
            "/var/lib/softhsm/": f"{state}/",
            "/usr/lib/softhsm/libsofthsm2.so": str(find_module()),
            "postgresql://countersign@postgres/countersign": database,
            "https://localhost:8443": f"https://localhost:{envoy}",
            **{f"0.0.0.0:{PORTS[name]}": f"127.0.0.1:{port}" for name, port in ports.items()},
        },
    )
    # The database here trusts who is on this machine.
    configuration = re.sub(r"^password_file = .*\n", "", configuration, flags=re.MULTILINE)
    (prepared / "countersign.toml").write_text(configuration)
    (prepared / "envoy.yaml").write_text(
        replaced(
            (COMPOSE / "envoy.yaml").read_text(),
            {
                "/run/secrets/": secrets,
                "{address: 0.0.0.0, port_value: 8443}": f"{{address: 127.0.0.1, port_value: {envoy}}}",
                **{
                    f"address: gateway, port_value: {PORTS[name]}": f"address: 127.0.0.1, port_value: {port}"
                    for name, port in ports.items()
                    if "mtls" in name
                },
            },
        )
    )
    variable = services["gateway"]["environment"]["SOFTHSM2_CONF"].replace("/var/lib/softhsm", str(state))
    _, *options = services["gateway"]["command"]
    options[options.index("--config") + 1] = prepared / "countersign.toml"
    serve = [sys.executable, "-m", "gateway.cli", "serve", *options]
    front = [ENVOY, "--config-path", prepared / "envoy.yaml", "--disable-hot-restart", "--concurrency", "1"]
    environment = {"SOFTHSM2_CONF": variable, "PATH": os.environ["PATH"]}
    with (
        running(serve, prepared / "gateway.log", "Ready:", cwd=ROOT, env=environment),
        running(front, prepared / "envoy.log", "starting main dispatch loop"),
    ):
        yield Composition(ports, envoy, prepared / "secrets")


@pytest.fixture(scope="module")
def trial(composition):
    """A client that authenticates by its certificate, registered through Envoy."""
    client = clients_pb.Client(
        tls_client_auth=clients_pb.TlsClientAuth(san_uri=IDENTITY),
        grant_types=[clients_pb.GRANT_TYPE_CLIENT_CREDENTIALS],
        scopes=["read"],
        audiences=[RESOURCE],
        default_audience=RESOURCE,
    )
    request = clients_pb.CreateClientRequest(client_id="trial", client=client)
    with composition.through_envoy("admin") as channel:
        ClientServiceStub(channel).CreateClient(request, timeout=10, wait_for_ready=True)
    return "trial"


def test_grpc_through_envoy(composition, trial):
    """Callers behind Envoy are who their certificates say: a token is bound to that, and introspected."""
    mint = tokens_pb.MintTokenRequest(
        client_id=trial, client_credentials=tokens_pb.ClientCredentialsGrant(), scope=["read"]
    )
    with composition.through_envoy("orders-backend") as channel:
        token = TokenServiceStub(channel).MintToken(mint, timeout=10).token
    assert token.confirmation.x5t_s256
    with composition.through_envoy("orders-api") as channel:
        request = introspection_pb2.IntrospectTokenRequest(token=token.value)
        introspected = IntrospectionServiceStub(channel).IntrospectToken(request, timeout=10)
    assert introspected.token.client_id == trial
    assert introspected.token.confirmation == token.confirmation


def test_https_through_envoy(composition, trial):
    """The same port serves OAuth's endpoints, with the same certificates; another caller is refused."""
    form = {"grant_type": "client_credentials", "client_id": trial}
    with composition.https("orders-backend") as client:
        metadata = client.get("/.well-known/oauth-authorization-server").json()
        minted = client.post("/oauth2/token", data=form)
    assert metadata["token_endpoint"] == f"https://localhost:{composition.envoy}/oauth2/token"
    assert minted.status_code == 200, minted.text
    for other in ("orders-api", None):
        with composition.https(other) as client:
            refused = client.post("/oauth2/token", data=form)
        assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        ("orders-api", grpc.StatusCode.PERMISSION_DENIED),
        (None, grpc.StatusCode.UNAUTHENTICATED),
    ],
)
def test_nobody_speaks_for_another(composition, caller, expected):
    """What a caller writes as Envoy's header is removed: it stays who its certificate says, or nobody."""
    with composition.through_envoy(caller) as channel:
        listing = ClientServiceStub(channel).ListClients
        with pytest.raises(grpc.RpcError) as failed:
            listing(clients_pb.ListClientsRequest(), metadata=composition.written("admin"), timeout=10)
    assert failed.value.code() is expected


def test_envoys_own_header_is_believed(composition):
    """The header of the test before is one that the gateway takes, from Envoy."""
    with composition.as_envoy() as channel:
        listing = ClientServiceStub(channel).ListClients
        assert listing(clients_pb.ListClientsRequest(), metadata=composition.written("admin"), timeout=10)


def test_envoy_itself_may_do_nothing(composition):
    """Without the header there is no caller: Envoy's own certificate gives no role."""
    with composition.as_envoy() as channel, pytest.raises(grpc.RpcError) as failed:
        ClientServiceStub(channel).ListClients(clients_pb.ListClientsRequest(), timeout=10)
    assert failed.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_envoy_sees_health(composition):
    """Both health checks of Envoy are answered, and through Envoy too."""
    with composition.as_envoy() as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    with composition.https() as client:
        assert client.get("/readyz").status_code == 200
