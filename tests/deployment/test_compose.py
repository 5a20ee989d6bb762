"""deploy/compose: its files fit together, and the gateway that they configure serves what Envoy forwards."""

import ast
import os
import re
import ssl
import subprocess
import sys
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
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.config import ServerSettings, load
from softhsm.provision import find_module
from tests.support.deployment import DEPLOY, PORTS, ROOT, accepted_configuration, read_yaml

COMPOSE = DEPLOY / "compose"
RESOURCE = "https://orders.countersign.test"
IDENTITY = "spiffe://countersign.test/orders-backend"


@pytest.fixture(scope="module")
def services():
    return read_yaml(COMPOSE / "compose.yaml")["services"]


@pytest.fixture(scope="module")
def envoy():
    return read_yaml(COMPOSE / "envoy.yaml")["static_resources"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A folder where ./prepare has run, twice, as it changes nothing the second time."""
    folder = tmp_path_factory.mktemp("compose")
    subprocess.run([COMPOSE / "prepare", folder], check=True, capture_output=True, timeout=60)
    before = (folder / "secrets" / "gateway.pem").read_bytes()
    subprocess.run([COMPOSE / "prepare", folder], check=True, capture_output=True, timeout=60)
    assert (folder / "secrets" / "gateway.pem").read_bytes() == before
    return folder


def test_the_command_is_one_of_ours(services, capsys):
    """The gateway's command is accepted, and reads the file that is mounted there."""
    configuration = accepted_configuration(services["gateway"]["command"], capsys)
    assert f"./countersign.toml:{configuration}:ro" in services["gateway"]["volumes"]


def test_secrets_are_prepared(services, prepared):
    """Every secret is a file that ./prepare makes, for its owner only; who needs none gets none."""
    document = read_yaml(COMPOSE / "compose.yaml")
    named = {name for service in services.values() for name in service.get("secrets", ())}
    assert named == set(document["secrets"])
    for name, secret in document["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
        assert (prepared / "secrets" / name).stat().st_mode & 0o777 == 0o600
    assert re.fullmatch(
        r"COUNTERSIGN_UID=[1-9]\d*\nCOUNTERSIGN_GID=[1-9]\d*\n", (prepared / ".env").read_text()
    )


def test_the_configuration_loads(services):
    """The configuration is valid, on the ports of every deployment, and its secrets are mounted."""
    settings = load(COMPOSE / "countersign.toml")
    assert {name: getattr(settings.server, name) for name in PORTS} == {
        name: f"0.0.0.0:{port}" for name, port in PORTS.items()
    }
    text = (COMPOSE / "countersign.toml").read_text()
    assert set(re.findall(r'"/run/secrets/([^"]+)"', text)) == set(services["gateway"]["secrets"])
    environment = services["postgres"]["environment"]
    assert settings.store.url == (
        f"postgresql://{environment['POSTGRES_USER']}@postgres/{environment['POSTGRES_DB']}"
    )
    assert str(settings.store.password_file) == environment["POSTGRES_PASSWORD_FILE"]


def test_hardened(services):
    """What is ours and what faces the network runs as nobody special, on a root that it cannot write."""
    for name in ("gateway", "softhsm", "envoy"):
        service = services[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["user"].startswith("${COUNTERSIGN_UID:?")
    networks = read_yaml(COMPOSE / "compose.yaml")["networks"]
    assert networks["inside"] == {"internal": True}
    assert [name for name, service in services.items() if "ports" in service] == ["envoy"]


def test_calls_may_finish(services):
    """The time to stop is more than calls under way get."""
    grace = int(services["gateway"]["stop_grace_period"].removesuffix("s"))
    assert grace > ServerSettings.model_fields["drain_timeout"].default


def test_the_health_check_asks_the_edge(services):
    """The probe is a program that Python takes, and asks the HTTPS listener whether it is ready."""
    *_, program = services["gateway"]["healthcheck"]["test"]
    ast.parse(program)
    assert f"https://127.0.0.1:{PORTS['https_address']}/readyz" in program


def test_images_are_built_or_pinned(services):
    """The image is built from our file at a stage that it has; those of others are named by version."""
    build = services["gateway"]["build"]
    dockerfile = (COMPOSE / build["context"] / build["dockerfile"]).read_text()
    assert f" AS {build['target']}\n" in dockerfile
    for name in ("gateway", "softhsm"):
        assert (services[name]["build"], services[name]["pull_policy"]) == (build, "build")
    assert services["gateway"]["image"] == services["softhsm"]["image"]
    for name in ("postgres", "envoy"):
        assert re.search(r"\d+\.\d+", services[name]["image"].partition(":")[2])


def test_envoy_forwards_to_our_listeners(envoy, services):
    """GRPC and HTTPS go to the listeners that ask for client certificates, where Envoy shows its own."""
    targets = {}
    for cluster in envoy["clusters"]:
        (endpoint,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
        address = endpoint["endpoint"]["address"]["socket_address"]
        targets[cluster["name"]] = (address["address"], address["port_value"])
        assert cluster["load_assignment"]["cluster_name"] == cluster["name"]
        context = cluster["transport_socket"]["typed_config"]
        validation = context["common_tls_context"]["validation_context"]
        assert context["sni"] == "gateway"
        assert validation["match_typed_subject_alt_names"][0]["matcher"] == {"exact": "gateway"}
        assert files_of(context["common_tls_context"]) <= set(services["envoy"]["secrets"])
    assert targets == {
        "grpc": ("gateway", PORTS["mtls_address"]),
        "https": ("gateway", PORTS["https_mtls_address"]),
    }


def test_envoy_says_who_the_client_was(envoy):
    """What a client sends as the header is removed, and the certificate of the connection put there."""
    (listener,) = envoy["listeners"]
    (chain,) = listener["filter_chains"]
    (manager,) = (each["typed_config"] for each in chain["filters"])
    assert manager["forward_client_cert_details"] == "SANITIZE_SET"
    assert manager["set_current_client_cert_details"] == {"cert": True}
    terminator = load(COMPOSE / "countersign.toml").terminator
    assert (terminator.header, terminator.format) == ("x-forwarded-client-cert", "xfcc")
    (host,) = manager["route_config"]["virtual_hosts"]
    assert [each["route"]["cluster"] for each in host["routes"]] == ["grpc", "https"]
    assert host["routes"][0]["match"]["grpc"] == {}
    downstream = chain["transport_socket"]["typed_config"]
    assert downstream["require_client_certificate"] is False
    assert downstream["common_tls_context"]["validation_context"] == {
        "trusted_ca": {"filename": "/run/secrets/ca.pem"}
    }


def test_envoy_is_published(envoy, services):
    """The port on this machine leads to Envoy's listener, and is the one of the public URL."""
    port = envoy["listeners"][0]["address"]["socket_address"]["port_value"]
    assert services["envoy"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    settings = load(COMPOSE / "countersign.toml")
    assert settings.edge.public_url == settings.edge.mtls_public_url == f"https://localhost:{port}"
    assert settings.tokens.origins == (f"https://localhost:{port}",)


def files_of(context) -> set[str]:
    names = {context["validation_context"]["trusted_ca"]["filename"]}
    for pair in context["tls_certificates"]:
        names |= {pair["certificate_chain"]["filename"], pair["private_key"]["filename"]}
    return {name.removeprefix("/run/secrets/") for name in names}


@pytest.fixture(scope="module")
def serving(prepared, services):
    """The gateway as composed, with its token made as composed, but on free ports and SQLite."""
    state = prepared / "state" / "softhsm"
    folder, *rest = services["softhsm"]["command"]
    assert folder == "/var/lib/softhsm"
    provision = [sys.executable, ROOT / "softhsm" / "provision.py", state, *rest]
    subprocess.run(provision, check=True, capture_output=True, timeout=60)
    text = (COMPOSE / "countersign.toml").read_text()
    for old, new in (
        ("/run/secrets/", f"{prepared}/secrets/"),
        ("/var/lib/softhsm/", f"{state}/"),
        ("/usr/lib/softhsm/libsofthsm2.so", str(find_module())),
        ("workers = 2", "workers = 1"),
        ('url = "postgresql://countersign@postgres/countersign"', 'url = "sqlite:///trial.db"'),
    ):
        assert old in text
        text = text.replace(old, new)
    text = re.sub(
        r"^password_file = .*\n", "", re.sub(r"0\.0\.0\.0:\d+", "127.0.0.1:0", text), flags=re.MULTILINE
    )
    (prepared / "countersign.toml").write_text(text)
    variable = services["gateway"]["environment"]["SOFTHSM2_CONF"].replace("/var/lib/softhsm", str(state))
    command = [sys.executable, "-m", "gateway.cli", "serve", "--migrate", "--config"]
    log = prepared / "log"
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [*command, prepared / "countersign.toml"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={"SOFTHSM2_CONF": variable, "PATH": os.environ["PATH"]},
        )
        try:
            lines = []
            for line in process.stdout:
                lines.append(line)
                if line.startswith("Ready:"):
                    break
            assert lines, log.read_text()
            yield "".join(lines)
            process.terminate()
            assert process.wait(40) == 0, log.read_text()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
            process.stdout.close()


def forwarded(prepared, name: str) -> tuple[tuple[str, str], ...]:
    """The header as Envoy writes it for a client with the certificate *name*."""
    pem = (prepared / "secrets" / f"{name}.pem").read_text()
    digest = x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()).hex()
    value = f'By=spiffe://countersign.test/envoy;Hash={digest};Cert="{quote(pem, safe="")}"'
    return (("x-forwarded-client-cert", value),)


@pytest.fixture
def as_envoy(serving, prepared):
    """A channel as Envoy opens it."""
    port = re.search(r"mutual TLS \S+:(\d+)", serving)[1]
    secrets = prepared / "secrets"
    files = [(secrets / name).read_bytes() for name in ("ca.pem", "envoy-key.pem", "envoy.pem")]
    options = (("grpc.ssl_target_name_override", "gateway"),)
    with grpc.secure_channel(f"127.0.0.1:{port}", grpc.ssl_channel_credentials(*files), options) as channel:
        yield channel


def test_a_call_through_envoy(as_envoy, prepared):
    """Callers behind Envoy are who their certificates say: register, mint, introspect."""
    registration = clients_pb.CreateClientRequest(
        client_id="trial",
        client=clients_pb.Client(
            tls_client_auth=clients_pb.TlsClientAuth(san_uri=IDENTITY),
            grant_types=[clients_pb.GRANT_TYPE_CLIENT_CREDENTIALS],
            scopes=["read"],
            audiences=[RESOURCE],
            default_audience=RESOURCE,
        ),
    )
    ClientServiceStub(as_envoy).CreateClient(registration, metadata=forwarded(prepared, "admin"), timeout=10)
    mint = tokens_pb.MintTokenRequest(
        client_id="trial", client_credentials=tokens_pb.ClientCredentialsGrant(), scope=["read"]
    )
    backend = forwarded(prepared, "orders-backend")
    token = TokenServiceStub(as_envoy).MintToken(mint, metadata=backend, timeout=10).token
    assert token.confirmation.x5t_s256
    introspected = IntrospectionServiceStub(as_envoy).IntrospectToken(
        introspection_pb2.IntrospectTokenRequest(token=token.value),
        metadata=forwarded(prepared, "orders-api"),
        timeout=10,
    )
    assert introspected.token.client_id == "trial"


def test_envoy_itself_may_do_nothing(as_envoy):
    """Without the header there is no caller: Envoy's own certificate gives no role."""
    with pytest.raises(grpc.RpcError) as failed:
        ClientServiceStub(as_envoy).ListClients(clients_pb.ListClientsRequest(), timeout=10)
    assert failed.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_envoy_sees_health(as_envoy, serving, prepared):
    """Both health checks of Envoy are answered."""
    answer = health_pb2_grpc.HealthStub(as_envoy).Check(health_pb2.HealthCheckRequest(), timeout=10)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    url = re.search(r"client certificates: https://\S+:(\d+)", serving)
    secrets = prepared / "secrets"
    context = ssl.create_default_context(cafile=secrets / "ca.pem")
    context.load_cert_chain(secrets / "envoy.pem", secrets / "envoy-key.pem")
    with httpx.Client(verify=context, timeout=10) as client:
        ready = client.get(f"https://127.0.0.1:{url[1]}/readyz", extensions={"sni_hostname": "gateway"})
    assert ready.status_code == 200
