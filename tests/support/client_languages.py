"""Commands of Go and Node.js, run in the folders of the clients; `.ci/need-clients` set them up."""

import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
GO: Final = ROOT / "clients" / "go"
TYPESCRIPT: Final = ROOT / "clients" / "typescript"
_TIMEOUT: Final = 110.0  # seconds; on a new machine Go compiles gRPC first


def succeed(folder: Path, *command: str | Path) -> str:
    """Run *command* in *folder*; what it printed. Blocks.

    A command that ends with another status than 0 fails the test with what it said.
    """
    finished = subprocess.run(
        list(map(str, command)), cwd=folder, capture_output=True, text=True, timeout=_TIMEOUT, check=False
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout
