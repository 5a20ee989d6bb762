"""The commands that regenerate and check the API, run on a copy of it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = Path("clients/python/src/countersign/v1")


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "protos", tmp_path / "protos", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / PACKAGE, tmp_path / PACKAGE, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def run(copy: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, copy / "protos" / script, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def edit(copy: Path, name: str, old: str, new: str) -> None:
    path = copy / "protos" / "countersign" / "v1" / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


class TestGenerate:
    """protos/generate.py."""

    def test_committed_modules_are_fresh(self, copy):
        """What is committed is what the sources give."""
        done = run(copy, "generate.py", "--check")
        assert (done.returncode, done.stderr) == (0, "")

    @pytest.mark.parametrize("fault", ["changed", "missing", "extra"])
    def test_stale_module_is_found(self, copy, fault):
        """A module that differs, is missing or is left over fails the check, by name."""
        name = "extra_pb2.py" if fault == "extra" else "errors_pb2.py"
        path = copy / PACKAGE / name
        if fault == "missing":
            path.unlink()
        else:
            path.write_text("# Changed by hand.\n")
        done = run(copy, "generate.py", "--check")
        assert done.returncode == 1
        assert f"countersign/v1/{name} is stale" in done.stderr

    def test_generate_repairs(self, copy):
        """One command brings back what was lost and removes what is left over."""
        (copy / PACKAGE / "errors_pb2.py").unlink()
        (copy / PACKAGE / "extra_pb2.py").write_text("")
        assert run(copy, "generate.py").returncode == 0
        assert run(copy, "generate.py", "--check").returncode == 0
        assert not (copy / PACKAGE / "extra_pb2.py").exists()

    def test_broken_source_fails(self, copy):
        """A source that does not compile fails the command and leaves the modules alone."""
        edit(copy, "errors.proto", "enum ErrorReason {", "enum ErrorReason")
        done = run(copy, "generate.py")
        assert done.returncode != 0
        assert (copy / PACKAGE / "errors_pb2.py").exists()


class TestLint:
    """protos/lint.py."""

    def test_api_is_clean(self, copy):
        """The API follows buf's STANDARD and COMMENTS rules."""
        done = run(copy, "lint.py")
        assert (done.returncode, done.stderr) == (0, "")

    def test_missing_comment_is_found(self, copy):
        """A field without a comment fails the check."""
        edit(
            copy,
            "access_token.proto",
            "  // The scope that was granted; may be less than what was asked for.\n",
            "",
        )
        done = run(copy, "lint.py")
        assert done.returncode == 1
        assert "comment" in done.stderr

    def test_removed_field_breaks(self, copy):
        """After a baseline was written, a field that is gone fails the check; a new one does not."""
        assert run(copy, "lint.py", "--write-baseline").returncode == 0
        field = "  repeated string scope = 5;"
        edit(copy, "access_token.proto", field, f"{field}\n\n  // New.\n  string new = 20;")
        assert run(copy, "lint.py").returncode == 0
        edit(copy, "access_token.proto", field, "  reserved 5;")
        done = run(copy, "lint.py")
        assert done.returncode == 1
        assert (
            'Previously present field "5" with name "scope" on message "AccessToken" was deleted'
            in done.stderr
        )
