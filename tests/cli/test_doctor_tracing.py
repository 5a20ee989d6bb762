"""What ``countersign doctor`` says of traces."""

import asyncio
import sys

import grpc
import pytest

from gateway.cli import main
from gateway.cli.doctor_tracing import tracing_findings
from tests.support.edge import free_ports
from tests.support.gateway import prepare
from tests.support.otlp import grpc_collector, http_collector
from tests.support.pki import Authority


async def found(folder, **tracing):
    """The one finding about traces that are on, or None."""
    prepared = await prepare(folder, key_uri="", tracing={"enabled": True, "timeout": 1.0, **tracing})
    (finding,) = await tracing_findings(prepared.settings)
    return finding


async def test_nothing_where_they_are_off(tmp_path):
    """And nobody is asked."""
    prepared = await prepare(tmp_path, key_uri="")
    assert await tracing_findings(prepared.settings) == []


@pytest.mark.parametrize("protocol", ["grpc", "http"])
async def test_a_collector_that_takes_them(tmp_path, protocol):
    """Over both protocols; it is sent no span."""
    with grpc_collector() if protocol == "grpc" else http_collector() as (collector, port):
        finding = await found(tmp_path, endpoint=f"http://127.0.0.1:{port}", protocol=protocol)
    assert finding.line() == f"ok    tracing: the collector at http://127.0.0.1:{port} takes spans"
    assert collector.spans() == []


async def test_a_collector_that_is_away(tmp_path):
    """Is told, and is no failure: the gateway serves without."""
    (port,) = free_ports(1)
    finding = await found(tmp_path, endpoint=f"http://127.0.0.1:{port}")
    assert not finding.fatal
    assert f"127.0.0.1:{port} takes no spans within 1 s" in finding.detail
    assert "OTLP over grpc" in finding.remedy


async def test_a_collector_that_somebody_else_certified(tmp_path):
    """Is not sent anything."""
    issued = Authority.root("Other").server()
    (tmp_path / "ca.pem").write_bytes(Authority.root().pem)
    credentials = grpc.ssl_server_credentials([(issued.key_pem, issued.chain_pem)])
    with grpc_collector(credentials) as (_, port):
        finding = await found(tmp_path, endpoint=f"https://localhost:{port}", ca="ca.pem")
    assert "takes no spans" in finding.detail


async def test_a_file_that_is_missing(tmp_path):
    """Fails, as the start of the gateway would."""
    finding = await found(tmp_path, ca="nowhere.pem", endpoint="https://localhost:4317")
    assert finding.fatal
    assert "tracing.ca" in finding.detail


async def test_the_extra_is_missing(tmp_path, monkeypatch):
    """Fails, and its name is told."""
    monkeypatch.delitem(sys.modules, "gateway.telemetry.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    finding = await found(tmp_path)
    assert finding.fatal
    assert "countersign-gateway[tracing]" in finding.detail


def test_doctor_tells_it(tmp_path, capsys):
    """With everything else, and warns of a headers file that others can read."""
    (port,) = free_ports(1)
    (tmp_path / "headers").write_text("x-api-key: swordfish\n")
    (tmp_path / "headers").chmod(0o644)
    tracing = {
        "enabled": True,
        "timeout": 1.0,
        "endpoint": f"http://127.0.0.1:{port}",
        "headers_file": "headers",
    }
    asyncio.run(prepare(tmp_path, tracing=tracing))
    status = main(["doctor", "--config", str(tmp_path / "countersign.toml")])
    output = capsys.readouterr().out
    assert status == 0
    assert f"warn  tracing: the collector at http://127.0.0.1:{port} takes no spans" in output
    assert "headers has mode 0644" in output
    assert "swordfish" not in output
