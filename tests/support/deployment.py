"""The files of deploy/, read by those who check them."""

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from gateway.cli import main
from gateway.config import Settings
from gateway.keys.model import KeyPurpose
from gateway.principal import Role

ROOT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = ROOT / "deploy"
COMPOSE: Final = DEPLOY / "compose"
PORTS: Final = {
    "tls_address": 50051,
    "mtls_address": 50052,
    "https_address": 8443,
    "https_mtls_address": 8444,
}
"""The port of each listener, in every deployment."""


def read_yaml(path: Path) -> Any:
    """The one document of *path*."""
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def accepted_configuration(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The file that ``countersign ARGUMENTS`` would serve with.

    The command line runs for real. It ends because the file is not on this machine; an unknown command or
    option would end it earlier, with status 2.
    """
    assert main(arguments) == 1
    found = re.fullmatch(r"countersign: (.*): cannot be read: .*\n", capsys.readouterr().err)
    assert found is not None
    return found[1]


def assert_audited(settings: Settings) -> None:
    """The audit log is on, signed by a key beside that of tokens, and one caller may read it and no more."""
    assert settings.audit.enabled
    assert settings.audit.refusals
    backends = {
        key.purpose: (key.uri.partition(":")[0], key.algorithm)
        for key in settings.keys
        if key.purpose in {KeyPurpose.TOKENS, KeyPurpose.AUDIT}
    }
    assert backends[KeyPurpose.AUDIT] == (backends[KeyPurpose.TOKENS][0], settings.audit.algorithm)
    assert [each.roles for each in settings.callers if Role.AUDITOR in each.roles] == [(Role.AUDITOR,)]
