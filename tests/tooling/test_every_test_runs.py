"""The rule of tests/conftest.py, seen from outside: a session of its own with one test each."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parent.parent / "conftest.py"

PASSING = "def test_one(): pass\n"
SKIPPED = "import pytest\n@pytest.mark.skip(reason='why')\ndef test_one(): pass\n"
XFAILED = "import pytest\n@pytest.mark.xfail\ndef test_one(): assert False\n"
XPASSED = "import pytest\n@pytest.mark.xfail\ndef test_one(): pass\n"
MODULE_SKIPPED = "import pytest\npytest.importorskip('no_such_module_anywhere')\ndef test_one(): pass\n"


def run_session(folder: Path, source: str, *, ci: str | None) -> subprocess.CompletedProcess[str]:
    shutil.copy(CONFTEST, folder / "conftest.py")
    (folder / "test_passing.py").write_text(PASSING)
    (folder / "test_sample.py").write_text(source)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("CI", "PYTEST"))}
    if ci is not None:
        environment["CI"] = ci
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", folder, folder],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize("source", [SKIPPED, XFAILED, XPASSED, MODULE_SKIPPED])
def test_a_test_that_did_not_run_fails_the_session_in_ci(tmp_path, source):
    """With CI=true a skipped, xfailed or xpassed test makes pytest exit with 1 and names the test."""
    session = run_session(tmp_path, source, ci="true")
    assert session.returncode == 1, session.stdout
    assert "this fails the session" in session.stdout
    assert "test_sample.py" in session.stdout


def test_a_test_that_did_not_run_is_said_loudly_elsewhere(tmp_path):
    """Without CI the session passes, and its summary names the test that did not run."""
    session = run_session(tmp_path, SKIPPED, ci=None)
    assert session.returncode == 0, session.stdout
    assert "NOT EVERY TEST RAN" in session.stdout


def test_a_session_whose_tests_all_ran_passes_in_ci(tmp_path):
    """With CI=true a session of passing tests passes and says nothing of the kind."""
    session = run_session(tmp_path, PASSING, ci="true")
    assert session.returncode == 0, session.stdout
    assert "NOT EVERY TEST RAN" not in session.stdout
