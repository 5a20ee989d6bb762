"""Write the Python modules of the API into clients/python/src/countersign/v1.

    python protos/generate.py            write them
    python protos/generate.py --check    exit 1 where the committed ones are stale; write nothing

Three files come from each source: messages (``_pb2.py``), their types (``_pb2.pyi``) and services
(``_pb2_grpc.py``); services get types too (``_pb2_grpc.pyi``), which protoc does not write. ``reason.py``
holds the reasons of errors as the strings that ErrorInfo carries.
"""

import argparse
import filecmp
import shutil
import sys
import tempfile
from pathlib import Path

from compiler import ROOT, run_protoc, write_descriptor_set
from google.protobuf.descriptor_pb2 import EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet
from service_stubs import service_stub

OUTPUT = ROOT.parent / "clients" / "python" / "src"
PACKAGE = Path("countersign") / "v1"
REASON_PREFIX = "ERROR_REASON_"
REASON_HEADER = '''"""Why a call failed. Written by protos/generate.py; do not edit."""

from enum import StrEnum


class Reason(StrEnum):
    """The `reason` of an ErrorInfo with the domain ``countersign``; errors.proto explains each."""

'''
INIT = '"""Messages and stubs of the API. Written by protos/generate.py; do not edit."""\n'


def generate(target: Path) -> None:
    """Write every module of the package below the folder *target*, which plays the part of ``src``."""
    run_protoc([f"--python_out={target}", f"--pyi_out={target}", f"--grpc_python_out={target}"])
    package = target / PACKAGE
    (package / "__init__.py").write_text(INIT)
    for file in _own_files(target):
        services = target / file.name.replace(".proto", "_pb2_grpc.py")
        for enum in file.enum_type:
            if enum.name == "ErrorReason":
                (package / "reason.py").write_text(_reasons(enum))
        if file.service:
            services.with_suffix(".pyi").write_text(service_stub(file))
        else:
            services.unlink()  # protoc writes an empty module for a file without services.


def _reasons(enum: EnumDescriptorProto) -> str:
    names = [value.name.removeprefix(REASON_PREFIX) for value in enum.value if value.number]
    return REASON_HEADER + "".join(f'    {name} = "{name}"\n' for name in names)


def _own_files(scratch: Path) -> list[FileDescriptorProto]:
    image = scratch / "api.binpb"
    write_descriptor_set(image, source_info=False)
    files = FileDescriptorSet.FromString(image.read_bytes()).file
    image.unlink()
    return [file for file in files if file.package.startswith("countersign.")]


def stale(fresh: Path, committed: Path) -> list[str]:
    """Names of the modules that are missing in folder *committed*, extra there, or other than in *fresh*."""
    names = {path.name for folder in (fresh, committed) for path in folder.glob("*.py*")}
    _, different, missing = filecmp.cmpfiles(fresh, committed, sorted(names), shallow=False)
    return sorted(different + missing)


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the Python modules of the API.")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 where a module is stale")
    check = parser.parse_args().check
    committed = OUTPUT / PACKAGE
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        generate(scratch)
        if check:
            names = stale(scratch / PACKAGE, committed)
            for name in names:
                print(f"{PACKAGE / name} is stale: run python protos/generate.py", file=sys.stderr)
            return 1 if names else 0
        shutil.rmtree(committed, ignore_errors=True)
        shutil.copytree(scratch / PACKAGE, committed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
