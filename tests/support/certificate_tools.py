"""Programs by others that judge certificates: OpenSSL and pkilint."""

import csv
import subprocess
import sys
from pathlib import Path


def openssl(*arguments: object) -> str:
    """What ``openssl`` prints; it must succeed."""
    result = subprocess.run(
        ["openssl", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=30
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


def lint(tool: str, path: Path, *arguments: str) -> set[str]:
    """The codes of the findings of pkilint's *tool* of WARNING and above."""
    program = Path(sys.executable).parent / tool
    result = subprocess.run(
        [program, "lint", "-s", "WARNING", "-f", "CSV", *arguments, path],
        capture_output=True,
        text=True,
        check=False,
        timeout=30,
    )
    assert result.stderr == ""
    rows = csv.DictReader(result.stdout.splitlines())
    return {row["code"] for row in rows}
