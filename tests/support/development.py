"""A development gateway as a user starts it: ``countersign dev`` in a process of its own."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_STOP_TIMEOUT = 40


@dataclass(frozen=True)
class Development:
    """Where it listens, what it made, and the process."""

    tls: str
    mtls: str
    folder: Path
    process: "subprocess.Popen[str]"

    @property
    def config(self) -> Path:
        """Its configuration file."""
        return self.folder / "countersign.toml"


def countersign(
    *arguments: str | Path, timeout: float = 60, **options: Any
) -> "subprocess.CompletedProcess[str]":
    """Run the command line to its end, which comes within *timeout* seconds."""
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )


@contextmanager
def development_gateway(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> Iterator[Development]:
    """`countersign dev` in *folder* on free ports; ended with SIGTERM, which must exit with 0."""
    log = folder.with_suffix(".log")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "dev", "--dir", str(folder), *_free(arguments)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env={**os.environ, **(environment or {})},
        )
    assert process.stdout is not None
    try:
        line = next((line for line in process.stdout if line.startswith("Ready:")), None)
        assert line is not None, log.read_text()
        words = line.split()
        yield Development(words[2].rstrip(","), words[-1], folder, process)
        process.terminate()
        assert process.wait(_STOP_TIMEOUT) == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


def _free(arguments: Sequence[str]) -> list[str]:
    """*arguments*, with port 0 wherever they name no address."""
    free = list(arguments)
    for option in ("--tls-address", "--mtls-address", "--https-address", "--https-mtls-address"):
        if option not in arguments:
            free += [option, "127.0.0.1:0"]
    return free
