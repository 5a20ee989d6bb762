"""The types of a generated service module (``_pb2_grpc.pyi``), written from its descriptor.

A stub class works on a synchronous and on an asynchronous channel, with other return types: the file
therefore declares ``XStub`` for the first and, for type checkers only, ``XAsyncStub`` for the second.
"""

from collections.abc import Iterator

from google.protobuf.descriptor_pb2 import FileDescriptorProto, MethodDescriptorProto, ServiceDescriptorProto

HEADER = '''"""Types of the services in {name}. Written by protos/generate.py; do not edit."""

from collections.abc import Awaitable
from typing import Any

from countersign._multicallable import {protocols}
from countersign.v1 import {module}
'''


class StreamingMethodError(Exception):
    """A method takes a stream of requests, for which this writer has no types."""


def service_stub(file: FileDescriptorProto) -> str:
    """The text of the ``.pyi`` for the services of *file*. Raises `StreamingMethodError`."""
    module = file.name.rsplit("/", 1)[-1].replace(".proto", "_pb2")
    streams = any(method.server_streaming for service in file.service for method in service.method)
    protocols = ["AsyncUnaryUnary", "UnaryUnary"]
    if streams:
        protocols = ["AsyncUnaryStream", "AsyncUnaryUnary", "UnaryStream", "UnaryUnary"]
    header = HEADER.format(name=file.name, module=module, protocols=", ".join(protocols))
    if streams:
        header = header.replace("import Awaitable", "import AsyncIterator, Awaitable, Iterator")
    parts = [header]
    for service in file.service:
        parts += ["\n".join(lines) for lines in _classes(service, module)]
        servicer = f"{service.name}Servicer"
        parts.append(f"def add_{servicer}_to_server(servicer: {servicer}, server: Any) -> None: ...")
    return "\n\n".join(parts) + "\n"


def _classes(service: ServiceDescriptorProto, module: str) -> Iterator[list[str]]:
    methods = [
        (method.name, *_types(method, module), "Stream" if method.server_streaming else "Unary")
        for method in service.method
    ]
    for suffix, protocol in (("Stub", "Unary"), ("AsyncStub", "AsyncUnary")):
        yield [
            f"class {service.name}{suffix}:",
            "    def __init__(self, channel: Any) -> None: ...",
            *(
                f"    {name}: {protocol}{kind}[{request}, {response}]"
                for name, request, response, kind in methods
            ),
        ]
    yield [
        f"class {service.name}Servicer:",
        *(
            f"    def {name}(\n        self, request: {request}, context: Any\n"
            f"    ) -> {_returned(response, kind)}: ..."
            for name, request, response, kind in methods
        ),
    ]


def _returned(response: str, kind: str) -> str:
    if kind == "Stream":
        return f"AsyncIterator[{response}] | Iterator[{response}]"
    return f"Awaitable[{response}] | {response}"


def _types(method: MethodDescriptorProto, module: str) -> tuple[str, str]:
    if method.client_streaming:
        raise StreamingMethodError(method.name)
    request, response = (name.rsplit(".", 1)[-1] for name in (method.input_type, method.output_type))
    return f"{module}.{request}", f"{module}.{response}"
