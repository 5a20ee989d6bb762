"""What the README and docs/hsm.md show works as shown."""

import os
import re
import shlex
import subprocess
import sys

import pytest

from tests.docs.tables import DOCS
from tests.support.development import ROOT, countersign, development_gateway

README = (ROOT / "README.md").read_text(encoding="utf-8")


def commands(document: str) -> list[str]:
    """Every line after a prompt in a console block."""
    blocks = re.findall(r"```console\n(.*?)```", document, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    return [line[2:].partition("#")[0].strip() for line in lines if line.startswith("$ ")]


def test_the_make_targets_exist():
    """Each make command of the README names a target that make knows."""
    targets = [shlex.split(command)[1] for command in commands(README) if command.startswith("make ")]

    assert targets == ["demo", "test"]
    for target in [*targets, "serve", "bench", "lint"]:
        subprocess.run(["make", "--dry-run", target], cwd=ROOT, check=True, capture_output=True)


def test_the_example_call_runs(tmp_path):
    """The Python of the README mints, introspects and revokes against a development gateway."""
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    with development_gateway(tmp_path / "var") as gateway:
        example = example.replace("localhost:50051", gateway.tls).replace("localhost:50052", gateway.mtls)

        ran = subprocess.run(
            [sys.executable, "-c", example],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )

    assert ran.stdout.splitlines() == ["('orders:read',)", "None"]


def test_every_file_and_folder_it_links_to_exists():
    """No link of the README or of a page in docs/ leads nowhere."""
    for page in [ROOT / "README.md", *DOCS.glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_a_key_in_softhsm_signs_after_the_two_commands_of_the_guide(tmp_path):
    """Provisioning prints what `countersign dev --key` takes, and the gateway is ready with it."""
    shown = [c for c in commands((DOCS / "hsm.md").read_text(encoding="utf-8")) if "provision.py" in c]
    assert shown == [".venv/bin/python softhsm/provision.py var/hsm"]
    made = subprocess.run(
        [sys.executable, "softhsm/provision.py", str(tmp_path / "hsm")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    configuration, *uris = made.stdout.split()
    key = next(uri for uri in uris if "tokens-es256" in uri)
    environment = dict([configuration.split("=", 1)])

    with development_gateway(
        tmp_path / "var", "--key", key, "--algorithm", "ES256", environment=environment
    ) as gateway:
        checked = countersign("doctor", "--config", gateway.config, env={**os.environ, **environment})

    assert checked.returncode == 0, checked.stdout
    assert "found, signs, and the signature verifies" in checked.stdout


@pytest.mark.timeout(180)
def test_the_demo_tells_the_whole_story_with_both_kinds_of_key():
    """`make demo` ends well: tokens, a device and a wallet, with keys in files and in SoftHSM."""
    ran = countersign("demo", "--softhsm", "yes", timeout=170)

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert len(re.findall(r"introspect it again +inactive", ran.stdout)) == 2
    assert len(re.findall(r"ask again +revoked", ran.stdout)) == 2
    assert len(re.findall(r"a wallet presents a credential +Alice Smith", ran.stdout)) == 2
    assert len(re.findall(r"failed +status_value", ran.stdout)) == 2
    assert "keys in SoftHSM" in ran.stdout
