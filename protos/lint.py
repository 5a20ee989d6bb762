"""Check the API: buf's STANDARD and COMMENTS rules, and no breaking change since the last release.

    python protos/lint.py                     check; exit 1 where something is found
    python protos/lint.py --write-baseline    at a release: make the API as it is the one not to break

buf resolves imports such as ``google/api/field_behavior.proto`` only from its registry. It is therefore given
an image that protoc wrote, which holds them, and is told to leave them alone.
"""

import argparse
import json
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from compiler import ROOT, write_descriptor_set

BASELINE = ROOT / "baseline.binpb"
CONFIG = json.dumps(
    {
        "version": "v2",
        "lint": {"use": ["STANDARD", "COMMENTS"], "ignore": ["google"]},
        "breaking": {"use": ["FILE"], "ignore": ["google"]},
    }
)


class BufMissingError(Exception):
    """The program buf is neither beside this Python nor on the path; ``pip install buf-bin`` brings it."""


def lint(image: Path) -> str:
    """What buf's rules find in *image*, one finding a line; empty where it is clean."""
    return _buf("lint", image)


def breaking_changes(image: Path, baseline: Path) -> str:
    """What in *image* breaks a client of *baseline*, one finding a line; empty where nothing does."""
    return _buf("breaking", image, "--against", baseline)


def _buf(command: str, *arguments: str | Path) -> str:
    program = shutil.which("buf", path=sysconfig.get_path("scripts")) or shutil.which("buf")
    if program is None:
        raise BufMissingError("buf was not found: pip install buf-bin.")
    done = subprocess.run(
        [program, command, *arguments, "--config", CONFIG],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    # buf exits with 100 where it finds something; any other code is a failure of its own.
    if done.returncode not in (0, 100):
        raise subprocess.CalledProcessError(done.returncode, done.args, done.stdout, done.stderr)
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description="Check the API.")
    parser.add_argument("--write-baseline", action="store_true", help="make this API the one not to break")
    if parser.parse_args().write_baseline:
        write_descriptor_set(BASELINE, source_info=False)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "api.binpb"
        write_descriptor_set(image)
        findings = lint(image)
        if BASELINE.exists():
            findings += breaking_changes(image, BASELINE)
    sys.stderr.write(findings)
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
