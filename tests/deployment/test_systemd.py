"""deploy/systemd: the unit starts what the gateway offers, hardened."""

import configparser
import os
import re
import shutil
import subprocess

import pytest

from gateway.config import ServerSettings
from tests.support.deployment import DEPLOY, accepted_configuration

UNIT = DEPLOY / "systemd" / "countersign.service"
HARDENED = {
    "NoNewPrivileges": "yes",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateTmp": "yes",
    "PrivateDevices": "yes",
    "CapabilityBoundingSet": "",
    "RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX",
    "UMask": "0077",
}


@pytest.fixture
def service():
    parser = configparser.ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    parser.optionxform = str
    parser.read_string(UNIT.read_text())
    return parser["Service"]


def test_the_command_is_one_of_ours(service, capsys):
    """The command line is accepted, and reads the configuration in /etc."""
    program, *arguments = service["ExecStart"].split()
    assert program == "/opt/countersign/bin/countersign"
    assert accepted_configuration(arguments, capsys) == "/etc/countersign/countersign.toml"


def test_reload_is_the_signal_for_it(service):
    """A reload is SIGHUP to the supervisor."""
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_calls_may_finish(service):
    """The time to stop is more than calls under way get, and only the supervisor is told first."""
    assert int(service["TimeoutStopSec"]) > ServerSettings.model_fields["drain_timeout"].default
    assert service["KillMode"] == "mixed"


def test_hardened(service):
    """It is no root, and writes nowhere but in its state."""
    assert service["User"] == "countersign"
    assert {name: service[name] for name in HARDENED} == HARDENED
    assert service["StateDirectory"] == "countersign"


def test_systemd_takes_it(tmp_path):
    """Systemd itself finds no fault, where it is there, and calls what is left exposed little."""
    if shutil.which("systemd-analyze") is None:
        return  # A machine without systemd has no use for the unit.
    program = tmp_path / "countersign"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/countersign/bin/countersign", str(program)))
    verified = analyze("verify", str(unit))
    assert (verified.returncode, verified.stderr) == (0, "")
    security = analyze("security", "--offline=true", "--no-pager", str(unit))
    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", security.stdout)
    assert exposure is not None, security.stderr
    assert float(exposure[1]) <= 2.0


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )
