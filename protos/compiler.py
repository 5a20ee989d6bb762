"""Where the API lives, and how protoc is called on it. Shared by generate.py and lint.py.

protoc comes with grpcio-tools. The directory given to ``-I`` equals the import path, so the modules that it
writes need no rewriting. ``google/api`` and ``google/rpc`` come from googleapis-common-protos.
"""

import sysconfig
from collections.abc import Iterable
from importlib import resources
from pathlib import Path

import grpc_tools  # type: ignore[import-untyped]  # grpcio-tools ships no types.
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent


class ProtocError(Exception):
    """protoc refused the sources; it has said why on standard error."""


def run_protoc(arguments: Iterable[str], root: Path = ROOT) -> None:
    """Call protoc with *arguments* on every source below *root*. Raises `ProtocError`."""
    well_known = resources.files(grpc_tools) / "_proto"
    command = [
        "protoc",
        f"-I{root}",
        f"-I{sysconfig.get_path('purelib')}",
        f"-I{well_known}",
        *arguments,
        *sorted(str(source.relative_to(root)) for source in root.glob("countersign/**/*.proto")),
    ]
    if code := protoc.main(command):
        raise ProtocError(f"protoc exited with {code}.")


def write_descriptor_set(target: Path, root: Path = ROOT, *, source_info: bool = True) -> None:
    """Write a FileDescriptorSet of the API and its imports to *target*: an image that buf reads.

    *source_info* adds comments and positions, which buf's rules on comments need.
    """
    comments = ["--include_source_info"] if source_info else []
    run_protoc([*comments, "--include_imports", f"--descriptor_set_out={target}"], root)
