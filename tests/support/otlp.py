"""Collectors of traces: real receivers of OTLP over gRPC and HTTP, which keep what they are sent."""

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2_grpc import (
    TraceServiceServicer,
    add_TraceServiceServicer_to_server,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span

_PATIENCE = 20.0


@dataclass(frozen=True)
class Received:
    """A span as a collector sees it; ids in hexadecimal, an empty parent for a root."""

    name: str
    trace_id: str
    span_id: str
    parent: str
    kind: int
    failed: bool
    seconds: float
    attributes: Mapping[str, Any] = field(default_factory=dict)
    extra: int = 0
    """Events and links, of which there should be none."""


def _received(span: Span) -> Received:
    return Received(
        span.name,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
        span.status.code == 2,
        (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
        {each.key: getattr(each.value, each.value.WhichOneof("value") or "") for each in span.attributes},
        len(span.events) + len(span.links),
    )


class Collector:
    """What was sent so far; safe from every thread."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.headers: list[Mapping[str, str]] = []
        self.resources: list[Mapping[str, str]] = []
        self._spans: list[Received] = []
        self._changed = threading.Condition()

    def take(self, request: ExportTraceServiceRequest, headers: Mapping[str, str]) -> None:
        """Keep *request*."""
        with self._changed:
            self.requests.append(request.SerializeToString())
            self.headers.append(headers)
            for resource in request.resource_spans:
                members = resource.resource.attributes
                self.resources.append({each.key: each.value.string_value for each in members})
                self._spans += [_received(span) for scope in resource.scope_spans for span in scope.spans]
            self._changed.notify_all()

    def spans(self, trace_id: str | None = None) -> list[Received]:
        """Those of one trace, or all."""
        with self._changed:
            return [each for each in self._spans if trace_id in {None, each.trace_id}]

    def wait(self, trace_id: str, *names: str) -> list[Received]:
        """The spans of a trace, once spans of all *names* are there. Blocks."""

        def complete() -> bool:
            return set(names) <= {each.name for each in self._spans if each.trace_id == trace_id}

        with self._changed:
            assert self._changed.wait_for(complete, _PATIENCE), self._spans
            return [each for each in self._spans if each.trace_id == trace_id]


class _Servicer(TraceServiceServicer):
    def __init__(self, collector: Collector) -> None:
        self._collector = collector

    def Export(  # noqa: N802 - gRPC's name
        self, request: ExportTraceServiceRequest, context: grpc.ServicerContext
    ) -> ExportTraceServiceResponse:
        """Take a batch."""
        self._collector.take(request, {key: str(value) for key, value in context.invocation_metadata()})
        return ExportTraceServiceResponse()


@contextmanager
def grpc_collector(
    credentials: grpc.ServerCredentials | None = None,
) -> Iterator[tuple[Collector, int]]:
    """A collector on a free port of loopback, until the end of the block."""
    collector = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    add_TraceServiceServicer_to_server(  # type: ignore[no-untyped-call]  # Generated.
        _Servicer(collector), server
    )
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield collector, port
    finally:
        server.stop(0).wait()


@contextmanager
def http_collector() -> Iterator[tuple[Collector, int]]:
    """The same over HTTP, in protobuf."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            known = self.path == "/v1/traces"
            if known:
                headers = {name.lower(): value for name, value in self.headers.items()}
                collector.take(ExportTraceServiceRequest.FromString(body), headers)
            self.send_response(200 if known else 404)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", "0")
            self.end_headers()

        log_message: Callable[..., None] = lambda *_: None

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector, server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
