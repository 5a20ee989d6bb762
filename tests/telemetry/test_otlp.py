"""The way to the collector: protocols, TLS, headers, and what happens without one."""

import asyncio
import logging
import sys

import grpc
import pytest
from pydantic import ValidationError

from gateway.config import ConfigurationError
from gateway.settings.operation import TracingSettings
from gateway.telemetry import span_queue
from gateway.wiring.tracing_extra import traces_if_configured
from tests.support.edge import free_ports
from tests.support.gateway import prepare, running_gateway
from tests.support.otlp import grpc_collector, http_collector
from tests.support.pki import Authority

SECRET = "swordfish-api-key"


@pytest.fixture(autouse=True)
def _at_once(monkeypatch):
    monkeypatch.setattr(span_queue, "INTERVAL", 0.02)


async def sent(folder, **tracing):
    """Begin and end one span with these settings, and return what became of it."""
    prepared = await prepare(folder, key_uri="", tracing={"enabled": True, "ratio": 1.0, **tracing})
    async with traces_if_configured(prepared.settings) as traces:
        traces.tracer.begin("call", None, {}).end()
        async with asyncio.timeout(20):
            while not (traces.queue.exported or traces.queue.failed):  # noqa: ASYNC110 - nothing tells it
                await asyncio.sleep(0.005)
        return traces.queue.exported == 1


async def test_over_http(tmp_path):
    """In protobuf, to the path of traces, with the headers of the file."""
    (tmp_path / "headers").write_text(f"X-Api-Key: {SECRET}\n\nx-tenant: one\n")
    with http_collector() as (collector, port):
        endpoint = f"http://127.0.0.1:{port}"
        assert await sent(tmp_path, endpoint=endpoint, protocol="http", headers_file="headers")
    (headers,) = collector.headers
    assert (headers["x-api-key"], headers["x-tenant"]) == (SECRET, "one")
    assert [each.name for each in collector.spans()] == ["call"]


async def test_over_tls(tmp_path, caplog):
    """To a collector that the CA of the file certified, with the headers of the other file; to none else."""
    root = Authority.root()
    issued = root.server()
    credentials = grpc.ssl_server_credentials([(issued.key_pem, issued.chain_pem)])
    (tmp_path / "ca.pem").write_bytes(root.pem)
    (tmp_path / "other.pem").write_bytes(Authority.root("Other").pem)
    (tmp_path / "headers").write_text(f"authorization: Bearer {SECRET}\n")
    with caplog.at_level(logging.DEBUG), grpc_collector(credentials) as (collector, port):
        options = {"endpoint": f"https://localhost:{port}", "headers_file": "headers", "timeout": 1.0}
        assert await sent(tmp_path, ca="ca.pem", **options)
        assert not await sent(tmp_path, ca="other.pem", **options)
    (headers,) = collector.headers
    assert headers["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in caplog.text


async def test_a_proxy_of_the_environment_is_not_asked(tmp_path, monkeypatch):
    """As with every request that the gateway makes."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_ports(1)[0]}")
    monkeypatch.setenv("no_proxy", "")
    with http_collector() as (_, port):
        assert await sent(tmp_path, endpoint=f"http://127.0.0.1:{port}", protocol="http")


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_without_a_collector(tmp_path, protocol):
    """Callers notice nothing: they are answered, and their spans are counted as lost."""
    (port, metrics) = free_ports(2)
    tracing = {"enabled": True, "ratio": 1.0, "protocol": protocol, "timeout": 0.2, "drain_timeout": 0.5}
    tracing |= {"endpoint": f"http://127.0.0.1:{port}"}
    at = {"enabled": True, "address": f"127.0.0.1:{metrics}"}
    async with running_gateway(tmp_path, tracing=tracing, metrics=at) as gateway:
        async with gateway.client(gateway.admin) as admin:
            for _ in range(20):
                assert [each async for each in admin.list_keys()]
        async with asyncio.timeout(20):
            while (lost := await failed_spans(metrics)) < 20:  # noqa: ASYNC110 - a scrape is a look
                await asyncio.sleep(0.05)
    assert lost >= 20


async def failed_spans(port):
    """The sample of a scrape."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
    text = (await reader.read()).decode()
    writer.close()
    (line,) = [
        each
        for each in text.splitlines()
        if each.startswith('countersign_trace_spans_total{result="failed"}')
    ]
    return float(line.rpartition(" ")[2])


async def test_without_the_extra(tmp_path, monkeypatch):
    """A start that asks for traces is refused with what to install; one that does not is none the wiser."""
    for name in [each for each in sys.modules if each.startswith("gateway.telemetry.otlp")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    prepared = await prepare(tmp_path, key_uri="", tracing={"enabled": True})
    with pytest.raises(ConfigurationError, match=r"countersign-gateway\[tracing\]"):
        async with traces_if_configured(prepared.settings):
            pass
    off = prepared.settings.model_copy(update={"tracing": TracingSettings()})
    async with traces_if_configured(off) as traces:
        assert traces is None


@pytest.mark.parametrize(
    ("content", "field", "told"),
    [
        (None, "headers_file", "cannot be read"),
        (b"swordfish", "headers_file", "line 1 is not a header"),
        (b": swordfish", "headers_file", "line 1 is not a header"),
        (b"a: b\nx: sword\x07fish", "headers_file", "line 2 is not a header"),
        (b"\xff", "headers_file", "cannot be read"),
        (None, "ca", "cannot be read"),
    ],
)
async def test_a_file_that_cannot_be_used(tmp_path, content, field, told):
    """The start says which, and nothing of what is in it."""
    if content is not None:
        (tmp_path / "file").write_bytes(content)
    tracing = {"enabled": True, "endpoint": "https://localhost:4317", field: "file"}
    prepared = await prepare(tmp_path, key_uri="", tracing=tracing)
    with pytest.raises(ConfigurationError, match=told) as caught:
        async with traces_if_configured(prepared.settings):
            pass
    assert f"tracing.{field}" in str(caught.value)
    assert "swordfish" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"endpoint": "otel:4317"},
        {"endpoint": "https://otel"},
        {"endpoint": "https://otel:99999"},
        {"endpoint": "https://user:swordfish@otel:4317"},
        {"endpoint": "https://otel:4317/v1/traces"},
        {"endpoint": "https://otel:4317?x=y"},
        {"endpoint": "http://otel:4317", "headers_file": "headers"},
        {"endpoint": "http://192.0.2.1:4317", "headers_file": "headers"},
        {"ratio": 1.1},
        {"ratio": -0.1},
        {"queue": 0},
        {"drain_timeout": 5},
        {"protocol": "zipkin"},
    ],
)
def test_settings_that_are_refused(settings):
    """An endpoint is an origin, and what may be secret travels by TLS or not at all."""
    with pytest.raises(ValidationError):
        TracingSettings(**settings)


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_headers_to_this_machine(host):
    """A collector beside the gateway needs no TLS."""
    TracingSettings(endpoint=f"http://{host}:4317", headers_file="headers")


def test_it_is_off_by_default():
    """And where it is on, one call in a hundred is traced, and no caller decides."""
    settings = TracingSettings()
    assert (settings.enabled, settings.ratio, settings.trust_parent) == (False, 0.01, False)
