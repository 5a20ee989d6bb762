"""Write the stubs of the clients in Go and TypeScript from the API.

    python protos/generate_clients.py            write them
    python protos/generate_clients.py --check    exit 1 where the committed ones are stale; write nothing
    python protos/generate_clients.py go         only those of one language, ``go`` or ``typescript``

protoc is that of grpcio-tools; its plugins come at the versions that clients/go/tools/go.mod and
clients/typescript/package.json pin. Go, and Node.js with those packages, must be there: see .ci/need-clients.
"""

import argparse
import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from compiler import ROOT, run_protoc

CLIENTS: Final = ROOT.parent / "clients"
GO_PACKAGE: Final = "countersign.test/clients/go/countersignv1"
BUILD_TIMEOUT: Final = 300.0  # seconds; the Go plugins are compiled once, then come from Go's cache
GOOGLE_RPC: Final = ("google/rpc/error_details.proto", "google/rpc/status.proto")
FIELD_BEHAVIOR: Final = "google/api/field_behavior.proto"


@dataclass(frozen=True, slots=True)
class Language:
    """One client: where its stubs are, and what writes them into a folder of the same inner layout."""

    folder: Path
    write: Callable[[Path], None]


def _own_sources() -> list[str]:
    return sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("countersign/**/*.proto"))


def _write_go(target: Path) -> None:
    """Messages and stubs of one package; the sources name no Go package, so it is named here."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            ["go", "build", "-o", f"{folder}/", "tool"],
            cwd=CLIENTS / "go" / "tools",
            check=True,
            timeout=BUILD_TIMEOUT,
        )
        names = ",".join([f"module={GO_PACKAGE}", *(f"M{source}={GO_PACKAGE}" for source in _own_sources())])
        options = [f"--{kind}_opt={names}" for kind in ("go", "go-grpc")]
        plugins = [f"--plugin={folder}/protoc-gen-go", f"--plugin={folder}/protoc-gen-go-grpc"]
        run_protoc([*plugins, *options, f"--go_out={target}", f"--go-grpc_out={target}"])


def _write_typescript(target: Path) -> None:
    """One module for each source, and for the parts of google.api and google.rpc that these need."""
    plugin = CLIENTS / "typescript" / "node_modules" / ".bin" / "protoc-gen-es"
    if not plugin.exists():
        raise FileNotFoundError(f"{plugin} is missing: run .ci/need-clients, which installs it")
    options = "--es_opt=target=ts,import_extension=js"
    run_protoc([f"--plugin={plugin}", options, f"--es_out={target}", FIELD_BEHAVIOR, *GOOGLE_RPC])


LANGUAGES: Final = {
    "go": Language(CLIENTS / "go" / "countersignv1", _write_go),
    "typescript": Language(CLIENTS / "typescript" / "src" / "gen", _write_typescript),
}


def stale(fresh: Path, committed: Path) -> list[str]:
    """Names of the files that are missing in folder *committed*, extra there, or other than in *fresh*."""
    files = {
        str(path.relative_to(folder))
        for folder in (fresh, committed)
        for path in folder.rglob("*")
        if path.is_file()
    }
    _, different, missing = filecmp.cmpfiles(fresh, committed, sorted(files), shallow=False)
    return sorted(different + missing)


def _generate(language: Language, *, check: bool) -> int:
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        language.write(fresh)
        if check:
            names = stale(fresh, language.folder)
            for name in names:
                shown = os.path.relpath(language.folder / name, ROOT.parent)
                print(f"{shown} is stale: run python protos/generate_clients.py", file=sys.stderr)
            return 1 if names else 0
        shutil.rmtree(language.folder, ignore_errors=True)
        shutil.copytree(fresh, language.folder)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the stubs of the clients in Go and TypeScript.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 where a file is stale")
    parser.add_argument("languages", nargs="*", help=f"of {', '.join(LANGUAGES)}; all by default")
    arguments = parser.parse_args()
    unknown = set(arguments.languages) - set(LANGUAGES)
    if unknown:
        parser.error(f"there is no client in {', '.join(sorted(unknown))}")
    chosen = arguments.languages or list(LANGUAGES)
    return max(_generate(LANGUAGES[name], check=arguments.check) for name in chosen)


if __name__ == "__main__":
    sys.exit(main())
