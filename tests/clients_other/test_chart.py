"""deploy/helm: what the chart sends to a cluster, rendered as Helm renders it."""

import json

import pytest
import yaml

from gateway.config import ServerSettings, load
from signers.kms.aws.uri import parse_awskms_uri
from tests.support.client_languages import ROOT, succeed
from tests.support.deployment import PORTS, accepted_configuration

CHART = ROOT / "deploy" / "helm" / "countersign"
RENDERER = ROOT / "tests" / "support" / "helm_template"


@pytest.fixture(scope="module")
def renderer(tmp_path_factory):
    program = tmp_path_factory.mktemp("helm") / "helm_template"
    assert succeed(RENDERER, "gofmt", "-l", ".") == ""
    succeed(RENDERER, "go", "vet", ".")
    succeed(RENDERER, "go", "build", "-o", program, ".")
    return program


@pytest.fixture(scope="module")
def render(renderer, tmp_path_factory):
    """A function that renders with values laid over the chart's own; the objects by kind."""

    def rendered(**values):
        file = tmp_path_factory.mktemp("values") / "values.yaml"
        file.write_text(json.dumps(values))
        documents = yaml.safe_load_all(succeed(ROOT, renderer, CHART, file))
        return {each["kind"]: each for each in documents if each is not None}

    return rendered


@pytest.fixture(scope="module")
def objects(render):
    return render()


@pytest.fixture(scope="module")
def pod(objects):
    return objects["Deployment"]["spec"]["template"]["spec"]


@pytest.fixture(scope="module")
def container(pod):
    (only,) = pod["containers"]
    return only


def test_every_object(objects):
    """A chart as it is makes these, and a policy only where it is asked for."""
    kinds = {"ConfigMap", "Deployment", "PodDisruptionBudget", "Service", "ServiceAccount"}
    assert set(objects) == kinds
    assert len({each["metadata"]["name"] for each in objects.values()}) == 1


def test_the_command_is_one_of_ours(container, capsys):
    """The arguments are accepted, and name the file of the ConfigMap."""
    assert accepted_configuration(container["args"], capsys) == "/etc/countersign/countersign.toml"
    mounts = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    assert mounts["config"] == "/etc/countersign"


def test_the_configuration_loads(objects, container, tmp_path, monkeypatch):
    """ConfigMap and environment together are a whole configuration, with files where they are mounted."""
    file = tmp_path / "countersign.toml"
    file.write_text(objects["ConfigMap"]["data"]["countersign.toml"])
    for variable in container["env"]:
        monkeypatch.setenv(variable["name"], variable["value"])
    settings = load(file)
    assert {name: getattr(settings.server, name) for name in PORTS} == {
        name: f"0.0.0.0:{port}" for name, port in PORTS.items()
    }
    mounts = {each["mountPath"] for each in container["volumeMounts"]}
    server = settings.server
    for path in (server.certificate, server.private_key, server.client_ca, settings.store.password_file):
        assert path is not None
        assert str(path.parent) in mounts
    assert settings.server.workers == 2
    assert parse_awskms_uri(settings.keys[0].uri).region == "eu-central-1"


def test_ports(objects, container):
    """Container and Service have every listener, under the same names."""
    ports = {each["name"]: each["containerPort"] for each in container["ports"]}
    assert sorted(ports.values()) == sorted(PORTS.values())
    assert {each["targetPort"]: each["port"] for each in objects["Service"]["spec"]["ports"]} == ports


def test_probes(container):
    """Liveness never depends on the HSM or the database, readiness does; both ask the HTTPS edge."""
    paths = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    for probe, path in paths.items():
        assert container[probe]["httpGet"] == {"path": path, "port": "https", "scheme": "HTTPS"}


def test_hardened(pod, container):
    """No root, no capability, no writable root, no token of the cluster."""
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] == 10001
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "privileged": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert container["resources"]["limits"]["memory"]
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}


def test_everything_mounted_is_a_volume(pod, container):
    """Each mount has its volume, and each volume is mounted."""
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}


def test_calls_may_finish(pod, container):
    """The time that a pod has is more than the pause before its end and the time of calls under way."""
    (sleep, seconds) = container["lifecycle"]["preStop"]["exec"]["command"]
    assert sleep == "sleep"
    drain = ServerSettings.model_fields["drain_timeout"].default
    assert pod["terminationGracePeriodSeconds"] > int(seconds) + drain


def test_disruptions_are_bounded(objects):
    """Maintenance takes one replica at a time, of those that the Deployment makes."""
    budget = objects["PodDisruptionBudget"]["spec"]
    assert budget["maxUnavailable"] == 1
    labels = objects["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert budget["selector"]["matchLabels"].items() <= labels.items()
    assert objects["Service"]["spec"]["selector"].items() <= labels.items()


def test_choices(render):
    """Each choice of the values shows where it should."""
    objects = render(
        migrate=False,
        image={"repository": "mirror/countersign", "digest": "sha256:" + "0" * 64},
        database={"passwordSecretName": ""},
        service={"headless": True},
        networkPolicy={"enabled": True, "from": [{"podSelector": {"matchLabels": {"app": "envoy"}}}]},
        extraVolumes=[{"name": "pin", "secret": {"secretName": "hsm-pin"}}],
        extraVolumeMounts=[{"name": "pin", "mountPath": "/run/pin"}],
        extraEnv=[{"name": "SOFTHSM2_CONF", "value": "/run/softhsm2.conf"}],
        nodeSelector={"hsm": "yes"},
        tolerations=[{"key": "hsm", "operator": "Exists"}],
        serviceAccount={"annotations": {"role": "signer"}},
        podLabels={"team": "identity"},
    )
    pod = objects["Deployment"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert "--migrate" not in container["args"]
    assert container["image"] == "mirror/countersign@sha256:" + "0" * 64
    assert "COUNTERSIGN_STORE__PASSWORD_FILE" not in {each["name"] for each in container["env"]}
    assert container["env"][-1]["name"] == "SOFTHSM2_CONF"
    assert {"name": "pin", "mountPath": "/run/pin"} in container["volumeMounts"]
    assert {each["name"] for each in pod["volumes"]} == {"config", "tls", "client-ca", "tmp", "pin"}
    assert objects["Service"]["spec"]["clusterIP"] == "None"
    (ingress,) = objects["NetworkPolicy"]["spec"]["ingress"]
    assert {each["port"] for each in ingress["ports"]} == set(PORTS.values())
    assert ingress["from"] == [{"podSelector": {"matchLabels": {"app": "envoy"}}}]
    assert (pod["nodeSelector"], pod["tolerations"][0]["key"]) == ({"hsm": "yes"}, "hsm")
    assert objects["ServiceAccount"]["metadata"]["annotations"] == {"role": "signer"}
    assert objects["Deployment"]["spec"]["template"]["metadata"]["labels"]["team"] == "identity"


def test_a_change_of_the_configuration_replaces_the_pods(render, objects):
    """Pods carry a hash of what they were started with."""
    changed = render(config='[tokens]\nissuer = "https://other.example.org"\n')

    def mark(each):
        return each["Deployment"]["spec"]["template"]["metadata"]["annotations"]["checksum/config"]

    assert mark(changed) != mark(objects)
