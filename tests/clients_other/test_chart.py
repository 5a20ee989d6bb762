"""deploy/helm: what the chart sends to a cluster, by Helm itself, and as Kubernetes reads it."""

import json
import shutil
import subprocess

import pytest
import yaml

from gateway.config import ServerSettings, load
from signers.kms.aws.uri import parse_awskms_uri
from tests.support.client_languages import ROOT, succeed
from tests.support.deployment import PORTS, accepted_configuration, assert_audited, read_yaml

CHART = ROOT / "deploy" / "helm" / "countersign"
CHECKER = ROOT / "tests" / "support" / "helm_check"


@pytest.fixture(scope="module")
def checker(tmp_path_factory):
    """The program that lints, renders and reads a chart."""
    program = tmp_path_factory.mktemp("helm") / "helm_check"
    assert succeed(CHECKER, "gofmt", "-l", ".") == ""
    succeed(CHECKER, "go", "build", "-o", program, ".")
    return program


@pytest.fixture(scope="module")
def render(checker, tmp_path_factory):
    """A function that checks and renders with values laid over the chart's own; the objects by kind."""

    def rendered(**values):
        file = tmp_path_factory.mktemp("values") / "values.yaml"
        file.write_text(json.dumps(values))
        documents = yaml.safe_load_all(succeed(ROOT, checker, CHART, file))
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


FAULTS = [
    ("Chart.yaml", "version: 0.1.0", "version: first", "version"),
    ("Chart.yaml", "name: countersign", "name: Counter Sign", "name"),
    ("Chart.yaml", ">=1.25.0-0", "<1.25.0-0", "Kubernetes"),
    ("values.yaml", "replicaCount: 3", "", "replicaCount"),
    ("values.yaml", "maxUnavailable: 1", "maxUnavailible: 1", "maxUnavailible"),
    ("templates/service.yaml", "{{- end }}", "{{- end", "service.yaml"),
    ("templates/service.yaml", "countersign.labels", "countersign.lables", "countersign.lables"),
    ("templates/deployment.yaml", ".Values.preStopSeconds", ".Values.preStop", "preStop"),
    ("templates/deployment.yaml", "readinessProbe:", "readyProbe:", "readyProbe"),
    ("templates/deployment.yaml", "periodSeconds: 10", "periodSeconds: often", "periodSeconds"),
    ("templates/poddisruptionbudget.yaml", "policy/v1", "policy/v1beta1", "policy/v1"),
    ("templates/serviceaccount.yaml", "kind: ServiceAccount", "kind: ServiceAcount", "ServiceAcount"),
]


@pytest.mark.parametrize(("name", "old", "new", "said"), FAULTS)
def test_a_fault_is_found(checker, tmp_path, name, old, new, said):
    """Helm or Kubernetes would refuse it, or do something else than is meant: the check says where."""
    chart = tmp_path / "countersign"
    shutil.copytree(CHART, chart)
    text = (chart / name).read_text()
    assert old in text
    (chart / name).write_text(text.replace(old, new))
    done = subprocess.run([checker, chart], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1, done.stdout
    assert said in done.stderr


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicas": 5}, "replicas"),
        ({"replicaCount": 0}, "replicaCount"),
        ({"tls": {"secret": "mine"}}, "secret"),
        ({"tls": {"secretName": ""}}, "secretName"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"preStopSeconds": "5s"}, "preStopSeconds"),
        ({"config": ""}, "config"),
    ],
)
def test_values_are_checked(checker, tmp_path, values, said):
    """A value with a name or a type that the chart does not know is refused, not passed over."""
    file = tmp_path / "values.yaml"
    file.write_text(json.dumps(values))
    done = subprocess.run([checker, CHART, file], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1, done.stdout
    assert said in done.stderr


def test_the_schema_knows_every_value():
    """It names what values.yaml has, and what Helm or Kubernetes know beside that."""
    schema = json.loads((CHART / "values.schema.json").read_text())
    values = read_yaml(CHART / "values.yaml")
    allowed = {"global", "podDisruptionBudget.minAvailable"}

    def names(schema, prefix=""):
        for name, inner in schema["properties"].items():
            yield prefix + name
            if "properties" in inner:
                yield from names(inner, f"{prefix}{name}.")

    def present(name):
        found = values
        for part in name.split("."):
            found = found.get(part) if isinstance(found, dict) else None
        return found is not None

    assert {name for name in names(schema) if not present(name)} == allowed


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
    assert {parse_awskms_uri(key.uri).region for key in settings.keys} == {"eu-central-1"}
    assert_audited(settings)


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
