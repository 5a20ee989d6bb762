"""docs/deployment.md names what is there."""

import re

import pytest

from tests.support.deployment import DEPLOY, PORTS, ROOT, accepted_configuration, read_yaml

TEXT = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")


def test_files_exist():
    """Every file of deploy/ that is named or linked exists."""
    named = set(re.findall(r"deploy/[\w./-]+", TEXT))
    assert named
    for name in named:
        assert (ROOT / name).exists(), name


def test_values_exist():
    """Every value of the chart that is named is one of values.yaml."""
    values = read_yaml(DEPLOY / "helm" / "countersign" / "values.yaml")
    table = re.search(r"\| value \| \|\n(.*?)\n\n", TEXT, re.DOTALL)
    assert table is not None
    names = [name for row in table[1].splitlines() for name in re.findall(r"`([\w.]+)`", row.split("|")[1])]
    assert names
    for name in names:
        found = values
        for part in name.split("."):
            assert part in found, name
            found = found[part]


@pytest.mark.parametrize("port", PORTS.values())
def test_ports(port):
    """The ports of the listeners are named."""
    assert re.search(rf"\b{port}\b", TEXT)


def test_the_command(capsys):
    """The command that the image is said to run is accepted."""
    found = re.search(r"`countersign (serve [^`]+)`", TEXT)
    assert found is not None
    assert accepted_configuration(found[1].split(), capsys) == "/etc/countersign/countersign.toml"


def test_the_extras_exist():
    """What is installed for systemd can be installed."""
    found = re.search(r"'\.\[([\w,]+)\]'", TEXT)
    assert found is not None
    project = (ROOT / "pyproject.toml").read_text()
    for extra in found[1].split(","):
        assert f"\n{extra} = [" in project
