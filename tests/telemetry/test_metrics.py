"""Metrics: what is in them, and the listener that gives them out."""

import asyncio
from collections.abc import Iterator

import pytest
import uvloop
from prometheus_client.parser import text_string_to_metric_families

from gateway.keys.model import KeyPurpose
from gateway.ports import ListenError
from gateway.telemetry.exposition import CONTENT_TYPE, exposition
from gateway.telemetry.metrics_server import MAX_CONNECTIONS, MAX_HEAD, serving_metrics
from gateway.telemetry.signing_metrics import SigningMetrics
from signers import Algorithm, ProviderHealth, SignerTimeoutError
from tests.support.gateway import opened_application, prepare, running_gateway

KIND = (KeyPurpose.TOKENS, Algorithm.ES256)


def scraped(app) -> dict[tuple[str, frozenset], float]:
    """Every sample of a scrape by its name and labels."""
    text = exposition(SigningMetrics(lambda: app.keyring.view, app.signers.health))().decode()
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(samples, name: str, **labels: str) -> float:
    """The one sample of *name* that has at least *labels*."""
    (value,) = [
        value
        for (found, have), value in samples.items()
        if found == name and labels.items() <= dict(have).items()
    ]
    return value


@pytest.fixture(params=["file", "softhsm"])
async def app(request, tmp_path):
    """An application whose token key lives in each backend."""
    async with opened_application(tmp_path, key_uri=request.param) as opened:
        yield opened


async def test_signatures_are_counted_by_key_and_backend(app):
    """With the total time of their calls, in buckets that add up."""
    key = app.keyring.signing_key(*KIND)
    backend = app.keyring.view.records[0].uri.partition(":")[0]
    await key.sign_jws("at+jwt", b"{}")
    await key.sign_jws_many("at+jwt", [b"{}"] * 3)
    samples = scraped(app)
    labels = {"key_id": key.key_id, "purpose": "tokens", "algorithm": "ES256", "backend": backend}
    assert of(samples, "countersign_signatures_total", **labels) == 4
    assert of(samples, "countersign_signature_seconds_count", stage="total", **labels) == 2
    assert of(samples, "countersign_signature_seconds_bucket", stage="total", le="+Inf", **labels) == 2
    assert of(samples, "countersign_signature_seconds_sum", stage="total", **labels) > 0
    assert of(samples, "countersign_key_state", state="active", **labels) == 1
    assert of(samples, "countersign_key_healthy", **labels) == 1


async def test_a_token_tells_the_stages_apart(tmp_path):
    """Queue wait by job, signing and verification by signature."""
    async with opened_application(tmp_path, key_uri="softhsm") as app:
        key = app.keyring.signing_key(*KIND)
        before = scraped(app)
        await key.sign_jws("at+jwt", b"{}")
        await key.sign_jws_many("at+jwt", [b"{}"] * 3)
        after = scraped(app)
    counted = {
        stage: of(after, "countersign_signature_seconds_count", stage=stage)
        - of(before, "countersign_signature_seconds_count", stage=stage)
        for stage in ("queue", "sign", "verify")
    }
    assert counted == {"queue": 2, "sign": 4, "verify": 4}
    assert of(after, "countersign_signer_available") == 1


async def test_errors_are_counted_by_class(app):
    """And the key is unhealthy until it signs again."""
    key = app.keyring.signing_key(*KIND)
    guard = key.signer
    sign = guard._sign

    async def late(_: bytes) -> bytes:
        raise SignerTimeoutError("late")

    guard._sign = late
    with pytest.raises(SignerTimeoutError):
        await key.sign_jws("at+jwt", b"{}")
    samples = scraped(app)
    assert of(samples, "countersign_signature_errors_total", error="SignerTimeoutError") == 1
    assert of(samples, "countersign_key_healthy") == 0
    guard._sign = sign
    await key.sign_jws("at+jwt", b"{}")
    assert of(scraped(app), "countersign_key_healthy") == 1


async def test_a_disabled_key_is_told(app):
    """It has a state, and neither health nor counts."""
    key = app.keyring.signing_key(*KIND)
    await app.keys.disable(key.key_id, reason="stolen")
    samples = scraped(app)
    assert of(samples, "countersign_key_state", state="disabled") == 1
    assert not [name for name, _ in samples if name == "countersign_key_healthy"]


def test_a_budget_is_told_where_there_is_one():
    """A backend without a quota has none."""
    from gateway.keys.keyring import KeyringView  # noqa: PLC0415 - here alone

    health = {"awskms": ProviderHealth(True, queued=3, budget_left=12.5), "file": ProviderHealth(True)}
    text = exposition(SigningMetrics(KeyringView, lambda: health))().decode()
    assert 'countersign_signer_budget_left{provider="awskms"} 12.5' in text
    assert 'countersign_signer_budget_left{provider="file"}' not in text
    assert 'countersign_signer_queued{provider="awskms"} 3.0' in text


async def exchange(port: int, request: bytes) -> bytes:
    """What the listener sends until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    try:
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


@pytest.fixture
async def port():
    """A listener that serves one line."""
    async with serving_metrics("127.0.0.1:0", lambda: b"one 1\n", CONTENT_TYPE) as port:
        yield port


@pytest.mark.parametrize(
    ("request_head", "status", "body"),
    [
        (b"GET /metrics HTTP/1.1", b"200 OK", b"one 1\n"),
        (b"GET /metrics?name=one HTTP/1.1", b"200 OK", b"one 1\n"),
        (b"HEAD /metrics HTTP/1.1", b"200 OK", b""),
        (b"POST /metrics HTTP/1.1", b"405 Method Not Allowed", b"Use GET.\n"),
        (b"GET / HTTP/1.1", b"404 Not Found", b"The metrics are at /metrics.\n"),
        (b"nonsense", b"404 Not Found", b"The metrics are at /metrics.\n"),
    ],
)
async def test_the_listener_answers(port, request_head, status, body):
    """One path, two methods."""
    answer = await exchange(port, request_head + b"\r\nHost: x\r\n\r\n")
    head, _, content = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 " + status + b"\r\n")
    assert content == body


async def test_an_endless_head_is_cut_off(port):
    """Nothing is kept of a request that does not end."""
    assert await exchange(port, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 2 * MAX_HEAD) == b""


async def test_few_connections_at_a_time(port):
    """One more than fit is closed at once; when one has left there is room again."""
    waiting = [await asyncio.open_connection("127.0.0.1", port) for _ in range(MAX_CONNECTIONS)]
    assert await exchange(port, b"") == b""
    waiting[0][1].write(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert b"one 1" in await waiting[0][0].read()
    assert b"one 1" in await exchange(port, b"GET /metrics HTTP/1.1\r\n\r\n")
    for _, writer in waiting:
        writer.close()


@pytest.fixture(params=["asyncio", "uvloop"])
def runner(request) -> Iterator[asyncio.Runner]:
    """Both loops, because what is raised for a port that is taken differs."""
    factory = uvloop.new_event_loop if request.param == "uvloop" else None
    with asyncio.Runner(loop_factory=factory) as runner:
        yield runner


def test_workers_take_one_port_each(runner):
    """The next free one, of as many as there are workers; where all are taken the start stops."""

    async def workers() -> None:
        async with serving_metrics("127.0.0.1:0", bytes, CONTENT_TYPE) as first:
            address = f"127.0.0.1:{first}"
            async with serving_metrics(address, bytes, CONTENT_TYPE, ports=50) as second:
                assert first < second < first + 50
            with pytest.raises(ListenError, match=r"metrics\.address: .* are taken"):
                async with serving_metrics(address, bytes, CONTENT_TYPE):
                    pass

    runner.run(workers())


async def test_a_gateway_serves_its_metrics(tmp_path, unused_tcp_port):
    """Where the configuration turns them on."""
    address = f"127.0.0.1:{unused_tcp_port}"
    async with running_gateway(tmp_path, metrics={"enabled": True, "address": address}):
        answer = await exchange(unused_tcp_port, b"GET /metrics HTTP/1.1\r\n\r\n")
    assert b"countersign_key_state{" in answer
    assert b"process_resident_memory_bytes" in answer


async def test_metrics_are_off_by_default(tmp_path):
    """Nothing listens that nobody asked for."""
    prepared = await prepare(tmp_path)
    assert not prepared.settings.metrics.enabled
    assert prepared.settings.metrics.address == "127.0.0.1:9464"
