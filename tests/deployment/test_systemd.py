"""deploy/systemd: the unit starts what the gateway offers, hardened."""

import configparser
import os
import re
import subprocess
from pathlib import Path

import pytest

from gateway.config import ServerSettings, load
from signers.uri import parse_pkcs11_uri
from tests.support.deployment import DEPLOY, PORTS, accepted_configuration, assert_audited

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


def test_the_example_configuration():
    """It loads, on the ports of every deployment, with the audit log on."""
    settings = load(UNIT.with_name("countersign.toml"))
    assert {name: getattr(settings.server, name) for name in PORTS} == {
        name: f"0.0.0.0:{port}" for name, port in PORTS.items()
    }
    assert_audited(settings)
    uris = [parse_pkcs11_uri(key.uri) for key in settings.keys]
    assert len({each.object for each in uris}) == len(uris)


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
    """Systemd itself finds no fault, and calls what is left exposed little."""
    unit = installed(tmp_path)
    verified = analyze("verify", str(unit))
    assert (verified.returncode, verified.stderr) == (0, "")
    assert exposed(unit) <= 2.0


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("ProtectClock=yes", "ProtectClocks=yes", "ProtectClocks"),
        ("KillMode=mixed", "KillMode=some", "KillMode"),
        ("TimeoutStopSec=40", "TimeoutStopSec=soon", "soon"),
        ("ExecReload=/bin/kill", "ExecReload=bin/kill", "bin/kill"),
    ],
)
def test_a_fault_is_found(tmp_path, old, new, said):
    """A name or value that systemd does not know is found, and named."""
    unit = installed(tmp_path)
    text = unit.read_text()
    assert old in text
    unit.write_text(text.replace(old, new))
    assert said in analyze("verify", str(unit)).stderr


def test_what_is_exposed_is_seen(tmp_path):
    """Without its hardening the unit would not pass."""
    unit = installed(tmp_path)
    lines = [line for line in unit.read_text().splitlines() if not line.startswith(("Protect", "System"))]
    unit.write_text("\n".join(lines))
    assert exposed(unit) > 2.0


def installed(folder: Path) -> Path:
    """The unit, with a program that is there."""
    program = folder / "countersign"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    unit = folder / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/countersign/bin/countersign", str(program)))
    return unit


def exposed(unit: Path) -> float:
    """How much of the machine the service may touch, from 0 to 10."""
    security = analyze("security", "--offline=true", "--no-pager", str(unit))
    exposure = re.search(r"exposure level for \S+: ([0-9.]+)", security.stdout)
    assert exposure is not None, security.stderr
    return float(exposure[1])


def analyze(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["systemd-analyze", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "SYSTEMD_LOG_LEVEL": "warning"},
    )
