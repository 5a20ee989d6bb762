"""Where the API lives, and how protoc is called on it. Shared by generate.py and lint.py.

protoc comes with grpcio-tools. The directory given to ``-I`` equals the import path, so the modules that it writes
need no rewriting. ``google/api`` and ``google/rpc`` come from googleapis-common-protos.
"""

import sysconfig
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import grpc_tools
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent
SOURCES = sorted(ROOT.glob("countersign/**/*.proto"))


class ProtocError(Exception):
    """protoc refused the sources; it has said why on standard error."""


def run_protoc(arguments: Iterable[str]) -> None:
    """Call protoc with *arguments* on every source. Raises `ProtocError`."""
    well_known = resources.files(grpc_tools) / "_proto"
    command = [
        "protoc",
        f"-I{ROOT}",
        f"-I{sysconfig.get_path('purelib')}",
        f"-I{well_known}",
        *arguments,
        *(str(source.relative_to(ROOT)) for source in SOURCES),
    ]
    if code := protoc.main(command):
        raise ProtocError(f"protoc exited with {code}.")


def write_descriptor_set(target: Path) -> None:
    """Write a FileDescriptorSet of the API, its imports and its comments to *target*: an image that buf reads."""
    run_protoc(["--include_imports", "--include_source_info", f"--descriptor_set_out={target}"])
