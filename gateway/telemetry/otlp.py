"""Traces to a collector by OTLP, over gRPC or HTTP, from the configuration."""

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import grpc
import requests
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON

from gateway.config import ConfigurationError, Settings
from gateway.telemetry.span_queue import SpanQueue
from gateway.telemetry.spans import ATTRIBUTES, MAX_VALUE
from gateway.telemetry.tracer import OtlpTracer

logger = logging.getLogger(__name__)

SERVICE: Final = "countersign"
"""The attribute ``service.name`` of every trace."""
_TRACES: Final = "/v1/traces"
_MAX_FILE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Traces:
    """Where spans are begun, and what became of them."""

    tracer: OtlpTracer
    queue: SpanQueue


@asynccontextmanager
async def exporting_traces(settings: Settings) -> AsyncIterator[Traces]:
    """Send sampled spans to the collector of ``[tracing]`` until the end of the block.

    What is left then gets `TracingSettings.drain_timeout`. Raises `ConfigurationError` for a file that cannot
    be used; a collector that is away stops nothing.
    """
    _silence()
    queue = SpanQueue(_exporter(settings), settings.tracing.queue)
    provider = TracerProvider(
        sampler=ALWAYS_ON,  # What comes here is sampled, see `OtlpTracer`.
        resource=_resource(),
        span_limits=SpanLimits(max_attributes=len(ATTRIBUTES), max_attribute_length=MAX_VALUE),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(queue)
    queue.start()
    tracing = settings.tracing
    try:
        yield Traces(OtlpTracer(provider, ratio=tracing.ratio, trust_parent=tracing.trust_parent), queue)
    finally:
        await asyncio.to_thread(queue.close, tracing.drain_timeout)


async def takes_spans(settings: Settings) -> bool:
    """Whether the collector takes a request, of no spans, as the gateway would send one with spans.

    Returns within `TracingSettings.timeout`. Raises `ConfigurationError` for a file that cannot be used.
    """
    _silence()
    exporter = _exporter(settings)

    def ask() -> bool:
        try:
            return exporter.export(()) is SpanExportResult.SUCCESS
        finally:
            exporter.shutdown()

    return await asyncio.to_thread(ask)


def _silence() -> None:
    """The exporters tell every attempt that failed; we tell when they begin to and when they end."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)


def _resource() -> Resource:
    """Which process it is. Not `Resource.create`, which adds what the environment says."""
    return Resource(
        {
            "service.name": SERVICE,
            "service.version": version("countersign-gateway"),
            "service.instance.id": str(uuid.uuid4()),
        }
    )


def _exporter(settings: Settings) -> SpanExporter:
    tracing = settings.tracing
    headers = _headers(settings)
    if tracing.protocol == "http":
        session = requests.Session()
        # No proxy and no password of the environment, and nothing follows a redirect.
        session.trust_env = False
        session.max_redirects = 0
        return HttpExporter(
            endpoint=tracing.endpoint.rstrip("/") + _TRACES,
            certificate_file=None if tracing.ca is None else str(_readable(settings, tracing.ca, "ca")),
            headers=headers,
            timeout=tracing.timeout,
            session=session,
        )
    credentials = None
    if tracing.endpoint.startswith("https://"):
        roots = None if tracing.ca is None else _readable(settings, tracing.ca, "ca").read_bytes()
        credentials = grpc.ssl_channel_credentials(roots)
    return GrpcExporter(
        endpoint=tracing.endpoint,
        insecure=credentials is None,
        credentials=credentials,
        headers=tuple(headers.items()),
        timeout=tracing.timeout,
    )


def _headers(settings: Settings) -> dict[str, str]:
    """The lines ``name: value`` of the headers file; never logged. Raises `ConfigurationError`."""
    if settings.tracing.headers_file is None:
        return {}
    path = _readable(settings, settings.tracing.headers_file, "headers_file")
    headers = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        name, colon, value = line.partition(":")
        if not colon or not name.strip() or not value.strip().isprintable():
            raise ConfigurationError(
                f"tracing.headers_file: {path}: line {number} is not a header; write each as 'name: value'."
            )
        headers[name.strip().lower()] = value.strip()
    return headers


def _readable(settings: Settings, path: Path, field: str) -> Path:
    """*path*, from the configuration's folder. Raises `ConfigurationError` where it cannot be read."""
    found = settings.path(path)
    try:
        with found.open("rb") as file:
            file.read(_MAX_FILE).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"tracing.{field}: {found} cannot be read: {error}; name a readable text file."
        ) from error
    return found
