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


def accepted(folder: Path, chain: bytes, root: bytes, *, purpose: str, findings: frozenset[str]) -> None:
    """OpenSSL verifies the leaf of *chain* up to *root*, strictly, and pkilint finds *findings* at most.

    *chain* and *root* are PEM, *purpose* is OpenSSL's word.
    """
    start = chain.index(b"-----BEGIN", 1)
    files = {"root.pem": root, "below.pem": chain[start:], "leaf.pem": chain[:start]}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    top, below, leaf = (folder / name for name in files)
    strictly = ("-x509_strict", "-purpose", purpose, "-CAfile", top, "-untrusted", below)
    assert "OK" in openssl("verify", *strictly, leaf)
    assert lint("lint_pkix_cert", leaf) <= findings


WIRE_FINDINGS = frozenset({"pkix.invalid_uri_syntax"})
"""pkilint takes every URI for a URL with a dotted host and no user, which Wire's are not."""


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
