"""What ./prepare of deploy/compose makes, for whoever needs its certificates."""

import subprocess
from pathlib import Path

import pytest

from tests.support.deployment import COMPOSE, read_yaml


@pytest.fixture(scope="module")
def services():
    """The services of the composition, by name."""
    return read_yaml(COMPOSE / "compose.yaml")["services"]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    """A folder where ./prepare has run, twice, as it changes nothing the second time."""
    folder = tmp_path_factory.mktemp("compose")
    subprocess.run([COMPOSE / "prepare", folder], check=True, capture_output=True, timeout=60)
    before = (folder / "secrets" / "gateway.pem").read_bytes()
    subprocess.run([COMPOSE / "prepare", folder], check=True, capture_output=True, timeout=60)
    assert (folder / "secrets" / "gateway.pem").read_bytes() == before
    return folder
