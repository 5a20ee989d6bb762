"""``python -m bench.dashboard``: the picture of docs/observability.md, from a real run.

A development gateway with two workers, a key in SoftHSM, PostgreSQL and a collector of traces is called for
some minutes, Prometheus scrapes it, and one of its workers is killed in the middle. Then the queries of the
dashboard are asked, and its panels drawn.
"""

import argparse
import asyncio
import contextlib
import random
import ssl
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

import httpx
import psutil
from countersign import CountersignError, GatewayClient, TlsConfig

from bench.dashboard_picture import Span, draw
from bench.dashboard_queries import DASHBOARD, Prometheus
from bench.servers import free_port
from gateway.cli.development import CLIENT_ID
from softhsm.provision import provision
from tests.support.development import Development, development_gateway
from tests.support.otlp import grpc_collector
from tests.support.postgres import running_postgres
from tests.support.prometheus import running_prometheus

WORKERS: Final = 2
SCRAPE: Final = 2
"""Seconds between two scrapes."""
CALLERS: Final = 6
_PAUSE: Final = 0.05
"""Seconds between two calls of one caller, on average."""


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(prog="python -m bench.dashboard", description=__doc__)
    parser.add_argument("--seconds", type=float, default=240.0)
    default = DASHBOARD.parents[1] / "images" / "dashboard.png"
    parser.add_argument("--output", type=Path, default=default)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _run(Path(folder), arguments.seconds, arguments.output)
    print(f"{arguments.output}: {arguments.output.stat().st_size} bytes")


def _run(folder: Path, seconds: float, output: Path) -> None:
    with (
        running_postgres() as postgres,
        postgres.new_database() as database,
        grpc_collector() as (_, collector),
    ):
        _picture(folder, seconds, output, database, collector)


def _picture(folder: Path, seconds: float, output: Path, database: str, collector: int) -> None:
    hsm = provision(folder / "hsm", token="dashboard", keys=["tokens:ES256"])  # noqa: S106 - the name of a token
    metrics = free_port()
    addresses = [f"127.0.0.1:{free_port()}" for _ in range(4)]
    named = zip(("tls", "mtls", "https", "https-mtls"), addresses, strict=True)
    environment = {
        **hsm.environment,
        "COUNTERSIGN_SERVER__WORKERS": str(WORKERS),
        "COUNTERSIGN_METRICS__ENABLED": "true",
        "COUNTERSIGN_METRICS__ADDRESS": f"127.0.0.1:{metrics}",
        "COUNTERSIGN_TRACING__ENABLED": "true",
        "COUNTERSIGN_TRACING__ENDPOINT": f"http://127.0.0.1:{collector}",
        "COUNTERSIGN_STORE__URL": database,
    }
    targets = [f"127.0.0.1:{metrics + number}" for number in range(WORKERS)]
    options = [item for name, address in named for item in (f"--{name}-address", address)]
    options += ["--key", hsm.uri("tokens"), "--algorithm", "ES256"]
    rules = DASHBOARD.with_name("alerts.yml")
    with (
        running_prometheus(
            folder / "prometheus", free_port(), targets, interval=f"{SCRAPE}s", rules=rules
        ) as server,
        development_gateway(folder / "gateway", *options, environment=environment) as gateway,
    ):
        started = time.time()
        asyncio.run(_load(gateway, addresses[2], seconds))
        shown = Span(started, time.time() - SCRAPE, step=2.0, rate_interval=f"{10 * SCRAPE}s")
        output.parent.mkdir(exist_ok=True)
        _check(server)
        draw(server, shown, output)


def _check(server: Prometheus) -> None:
    """Say so where a worker is not scraped: the picture would show half."""
    if (up := server.targets_up()) != WORKERS:
        sys.exit(f"{up} of {WORKERS} workers were scraped last.")


async def _load(gateway: Development, https: str, seconds: float) -> None:
    """Call *gateway* in several ways for *seconds*, and kill one of its workers halfway."""
    end = time.monotonic() + seconds
    async with asyncio.TaskGroup() as tasks:
        for number in range(CALLERS):
            tasks.create_task(_backend(gateway, number, end))
        tasks.create_task(_web(gateway, https, end))
        watching = tasks.create_task(_watch(gateway))
        await asyncio.sleep(seconds / 2)
        worker = next(each for each in _processes(gateway) if "gateway.worker" in each.cmdline())
        worker.kill()
        await asyncio.sleep(max(0.0, end - time.monotonic()))
        watching.cancel()


def _processes(gateway: Development) -> Sequence[psutil.Process]:
    return psutil.Process(gateway.process.pid).children(recursive=True)


async def _again(end: float, act: Callable[[], Awaitable[object]]) -> None:
    """Do *act* until the time is over, whatever a gateway with a dead worker answers."""
    while time.monotonic() < end:
        with contextlib.suppress(CountersignError, httpx.HTTPError):
            await act()
        await asyncio.sleep(random.uniform(0, 2 * _PAUSE))  # noqa: S311 - not a secret


async def _backend(gateway: Development, number: int, end: float) -> None:
    """Mint, introspect, and now and then revoke, or ask for what is refused."""
    async with _client(gateway, "orders-backend") as backend, _client(gateway, "orders-api") as api:

        async def act() -> None:
            scope = "orders:read" if random.random() < 0.97 else "orders:delete"  # noqa: S311
            token = await backend.mint_token(CLIENT_ID, scope=[scope])
            for _ in range(3):
                await api.introspect_token(token.value)
            if random.random() < 0.1:  # noqa: S311
                await backend.revoke_token(token.value, client_id=CLIENT_ID)
            if number == 0 and random.random() < 0.05:  # noqa: S311
                await backend.batch_mint_tokens(CLIENT_ID, [])

        await _again(end, act)


async def _web(gateway: Development, https: str, end: float) -> None:
    """Unmodified clients: keys, and credentials that are wrong."""
    tls = ssl.create_default_context(cafile=str(gateway.folder / "ca.pem"))
    base = f"https://localhost:{https.rpartition(':')[2]}"
    async with httpx.AsyncClient(base_url=base, verify=tls, trust_env=False) as client:

        async def act() -> None:
            await client.get("/oauth2/jwks")
            await client.post(
                "/oauth2/token", data={"grant_type": "client_credentials"}, auth=("web", "wrong")
            )

        await _again(end, act)


async def _watch(gateway: Development) -> None:
    """A resource server that is told of revocations; it comes again where its worker has died."""
    async with _client(gateway, "orders-api") as api:
        while True:
            with contextlib.suppress(CountersignError):
                async for _ in api.watch_revocations():
                    pass
            await asyncio.sleep(0.5)


def _client(gateway: Development, name: str) -> GatewayClient:
    folder = gateway.folder
    tls = TlsConfig(
        ca=folder / "ca.pem", certificate=folder / f"{name}.pem", private_key=folder / f"{name}-key.pem"
    )
    return GatewayClient(gateway.tls, mtls_target=gateway.mtls, tls=tls)


if __name__ == "__main__":
    main()
