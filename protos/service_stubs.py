"""The types of a generated service module (``_pb2_grpc.pyi``), written from its descriptor.

A stub class works on a synchronous and on an asynchronous channel, with other return types: the file
therefore declares ``XStub`` for the first and, for type checkers only, ``XAsyncStub`` for the second.
"""

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto

HEADER = '''"""Types of the services in {name}. Written by protos/generate.py; do not edit."""

from collections.abc import Awaitable
from typing import Any

from countersign._multicallable import AsyncUnaryUnary, UnaryUnary
from countersign.v1 import {module}
'''


class StreamingMethodError(Exception):
    """A method streams, for which this writer has no types yet."""


def service_stub(file: FileDescriptorProto) -> str:
    """The text of the ``.pyi`` for the services of *file*. Raises `StreamingMethodError`."""
    module = file.name.rsplit("/", 1)[-1].replace(".proto", "_pb2")
    parts = [HEADER.format(name=file.name, module=module)]
    for service in file.service:
        parts += ["\n".join(lines) for lines in _classes(service, module)]
        servicer = f"{service.name}Servicer"
        parts.append(f"def add_{servicer}_to_server(servicer: {servicer}, server: Any) -> None: ...")
    return "\n\n".join(parts) + "\n"


def _classes(service: ServiceDescriptorProto, module: str) -> Iterator[list[str]]:
    methods = [(method.name, *_types(method, module)) for method in service.method]
    for suffix, protocol in (("Stub", "UnaryUnary"), ("AsyncStub", "AsyncUnaryUnary")):
        yield [
            f"class {service.name}{suffix}:",
            "    def __init__(self, channel: Any) -> None: ...",
            *(f"    {name}: {protocol}[{request}, {response}]" for name, request, response in methods),
        ]
    yield [
        f"class {service.name}Servicer:",
        *(
            f"    def {name}(\n        self, request: {request}, context: Any\n"
            f"    ) -> Awaitable[{response}] | {response}: ..."
            for name, request, response in methods
        ),
    ]


def _types(method: MethodDescriptorProto, module: str) -> tuple[str, str]:
    if method.client_streaming or method.server_streaming:
        raise StreamingMethodError(method.name)
    request, response = (name.rsplit(".", 1)[-1] for name in (method.input_type, method.output_type))
    return f"{module}.{request}", f"{module}.{response}"
