"""protos/generate_clients.py: the committed stubs are what the API gives, and others are found."""

import shutil
import subprocess
import sys

import pytest

from tests.support.client_languages import ROOT, succeed

SCRIPT = ROOT / "protos" / "generate_clients.py"


def test_committed_stubs_are_fresh():
    """What is committed is what the API gives, in both languages."""
    assert succeed(ROOT, sys.executable, SCRIPT, "--check") == ""


@pytest.mark.parametrize("fault", ["changed", "missing", "extra"])
@pytest.mark.parametrize(
    ("language", "stub"),
    [
        ("go", "clients/go/countersignv1/errors.pb.go"),
        ("typescript", "clients/typescript/src/gen/countersign/v1/errors_pb.ts"),
    ],
)
def test_stale_stub_is_found(tmp_path, language, stub, fault):
    """A stub that differs, is missing or is left over fails the check, by name."""
    for folder in ("protos", "clients/go", "clients/typescript"):
        ignored = shutil.ignore_patterns("__pycache__", "node_modules", "dist")
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=ignored)
    (tmp_path / "clients/typescript/node_modules").symlink_to(ROOT / "clients/typescript/node_modules")
    path = tmp_path / stub
    match fault:
        case "changed":
            path.write_text("// Changed by hand.\n")
        case "missing":
            path.unlink()
        case "extra":
            stub = stub.replace("errors", "extra")
            (tmp_path / stub).write_text("// Left over.\n")
    done = subprocess.run(
        [sys.executable, tmp_path / "protos" / "generate_clients.py", "--check", language],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert done.stderr == f"{stub} is stale: run python protos/generate_clients.py\n"
