"""Programs of npm for tests, installed once into a cache folder of the user; a package.json pins them."""

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_INSTALL_TIMEOUT: Final = 110.0  # seconds
_RUN_TIMEOUT: Final = 60.0  # seconds


def install(sources: Path) -> Path:
    """A folder with the packages of ``sources/package.json`` and the scripts beside it.

    It is made if it is not there. Several processes may call it at once.
    """
    manifest = (sources / "package.json").read_bytes()
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "countersign-tests"
    folder = root / f"{sources.name}-{hashlib.sha256(manifest).hexdigest()[:16]}"
    root.mkdir(parents=True, exist_ok=True)
    with (root / "install.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _install(manifest, folder)
    # Modules are looked for beside the importing file: the scripts stand where they are.
    for script in sources.glob("*.mjs"):
        temporary = folder / f".{script.stem}.{os.getpid()}.mjs"
        temporary.write_bytes(script.read_bytes())
        temporary.replace(folder / script.name)
    return folder


def _install(manifest: bytes, folder: Path) -> None:
    unfinished = folder.with_suffix(".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    (unfinished / "package.json").write_bytes(manifest)
    subprocess.run(
        ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"],
        cwd=unfinished,
        check=True,
        timeout=_INSTALL_TIMEOUT,
        stdout=subprocess.DEVNULL,
    )
    unfinished.rename(folder)


def run(sources: Path, script: str, task: Mapping[str, Any]) -> dict[str, Any]:
    """Run *script* of *sources* with *task* as JSON on its input; what it printed, JSON.

    Blocks. A script that ends with another status than 0 fails the test with what it said.
    """
    finished = subprocess.run(
        ["node", str(install(sources) / script)],
        input=json.dumps(task),
        capture_output=True,
        text=True,
        timeout=_RUN_TIMEOUT,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer
