"""deploy/container: the image is what docs/deployment.md says. No engine is needed: the file is read."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.support.deployment import DEPLOY, PORTS, ROOT, accepted_configuration

DOCKERFILE = DEPLOY / "container" / "Dockerfile"
STAGES = ("build", "runtime", "softhsm", "gateway")


def instructions() -> dict[str, list[tuple[str, str]]]:
    """By stage, each instruction with its argument."""
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    stages: dict[str, list[tuple[str, str]]] = {}
    stage = "(before)"
    for line in filter(None, map(str.strip, text.splitlines())):
        word, _, argument = line.partition(" ")
        if word == "FROM":
            stage = argument.rpartition(" AS ")[2]
        stages.setdefault(stage, []).append((word, argument))
    return stages


def arguments(stage: str, word: str) -> list[str]:
    return [argument for found, argument in instructions()[stage] if found == word]


def test_lint():
    """The linter of container files finds nothing."""
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_what_is_built():
    """Where no target is named, the image is the gateway without SoftHSM."""
    assert tuple(instructions())[1:] == STAGES
    assert instructions()["gateway"] == [("FROM", "runtime AS gateway")]
    assert arguments("softhsm", "FROM") == ["runtime AS softhsm"]


def test_the_base_is_named_by_version():
    """Build and runtime stage have one base, at a version of Python that the gateway supports."""
    (base,) = arguments("(before)", "ARG")
    assert re.fullmatch(r"BASE=python:3\.1[1-4]\.\d+-slim-\w+", base)
    assert arguments("build", "FROM") == ["${BASE} AS build"]
    assert arguments("runtime", "FROM") == ["${BASE} AS runtime"]


def test_the_command_is_one_of_ours(capsys):
    """The entry point is the gateway's command, which takes the arguments and reads the mounted file."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    (entry,), (command,) = arguments("runtime", "ENTRYPOINT"), arguments("runtime", "CMD")
    assert json.loads(entry) == list(scripts)
    assert accepted_configuration(json.loads(command), capsys) == "/etc/countersign/countersign.toml"


def test_not_root():
    """Every image ends as a user with a number, so that Kubernetes can tell that it is not root."""
    assert arguments("runtime", "USER") == ["10001:10001"]
    assert arguments("softhsm", "USER")[-1] == "10001:10001"
    assert "--uid 10001" in arguments("runtime", "RUN")[0]


def test_ports():
    """What is exposed is what the deployments listen on."""
    (exposed,) = arguments("runtime", "EXPOSE")
    assert {int(port) for port in exposed.split()} == set(PORTS.values())


def test_packages_are_pinned():
    """Packages come at the versions of constraints.txt, as wheels, and ours from files."""
    variables = " ".join(arguments("build", "ENV"))
    assert "PIP_CONSTRAINT=/src/constraints.txt" in variables
    (run,) = arguments("build", "RUN")
    install = run.partition("pip install")[2]
    assert "--only-binary :all:" in install
    assert re.findall(r"(?<!\S)[\"/$]?\S*countersign\S*\.whl", install) == ["/wheels/countersign-*.whl"]
    assert '"${gateway}[' in install


def test_extras_exist():
    """What is installed beside the gateway is every extra but the developers' own."""
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])
    (run,) = arguments("build", "RUN")
    found = re.search(r'"\$\{gateway\}\[([\w,]+)\]"', run)
    assert found is not None
    assert set(found[1].split(",")) == extras - {"dev"}


@pytest.mark.parametrize("stage", ["build", "softhsm"])
def test_what_is_copied_is_there(stage):
    """Each source exists and is let through by the ignore file, which keeps everything else out."""
    lines = (DEPLOY / "container" / "Dockerfile.dockerignore").read_text().splitlines()
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert "*" in lines
    sources = [name for copied in arguments(stage, "COPY") for name in copied.split()[:-1]]
    assert sources
    for source in sources:
        assert (ROOT / source).exists(), source
        assert source in allowed
