"""A key that leaked signs nothing a second after it was disabled, on no replica, whatever happens there."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
from countersign import CountersignError, GatewayClient, RetryPolicy, TlsConfig
from countersign.clients import CertificateName, GrantType, TlsClientAuth

from tests.support.gateway import ADMIN, CALLERS, RESOURCE, prepare
from tests.support.stores import DATABASES, empty_database

ROOT = Path(__file__).parents[2]
PROMISE = 1.0
"""Seconds."""

BACKEND = "spiffe://example.org/backend"


@pytest.fixture(params=DATABASES)
def url(request, tmp_path):
    """An empty database."""
    (tmp_path / "var").mkdir()
    with empty_database(request.param, tmp_path) as url:
        yield url


@contextmanager
def serving(config: Path, log: Path):
    """`countersign serve` in a process of its own; yields it with its two addresses."""
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli", "serve", "--config", str(config)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )
    try:
        line = next((line for line in process.stdout if line.startswith("Ready:")), None)
        assert line is not None, log.read_text()
        words = line.split()
        yield process, words[2].rstrip(","), words[-1]
    finally:
        process.terminate()
        process.wait(40)
        process.stdout.close()


class Minting:
    """Clients that mint from one replica without a pause, and what came when."""

    def __init__(self, client: GatewayClient) -> None:
        self._client = client
        self.minted: list[float] = []
        self.failed: list[tuple[float, str]] = []
        self.some = asyncio.Event()

    async def run(self) -> None:
        while True:
            try:
                await self._client.mint_token("backend")
            except CountersignError as error:
                self.failed.append((time.monotonic(), error.reason))
            else:
                self.minted.append(time.monotonic())
                self.some.set()


@pytest.fixture
async def replicas(url, tmp_path):
    """Two gateways on one database, in processes of their own, with minting under way on both."""
    prepared = await prepare(
        tmp_path,
        database_url=url,
        callers=[*CALLERS, {"san_uri": BACKEND, "roles": ["client"]}],
        log={"access": False, "audit": False},
    )
    root = prepared.root
    identities = {name: root.leaf(name.rpartition("/")[2], uris=(name,)) for name in (ADMIN, BACKEND)}
    async with AsyncExitStack() as stack:
        started = [
            stack.enter_context(serving(tmp_path / "countersign.toml", tmp_path / f"{name}.log"))
            for name in ("one", "two")
        ]

        async def client(number: int, name: str) -> GatewayClient:
            identity = identities[name]
            tls = TlsConfig(ca=root.pem, certificate=identity.chain_pem, private_key=identity.key_pem)
            _, plain, mutual = started[number]
            made = GatewayClient(
                plain, mtls_target=mutual, tls=tls, retry=RetryPolicy(max_attempts=1), timeout=5.0
            )
            return await stack.enter_async_context(made)

        admin = await client(0, ADMIN)
        await admin.create_client(
            "backend",
            authentication=TlsClientAuth(CertificateName.SAN_URI, BACKEND),
            grant_types=[GrantType.CLIENT_CREDENTIALS],
            audiences=[RESOURCE],
            default_audience=RESOURCE,
        )
        minting = [Minting(await client(number, BACKEND)) for number in range(2)]
        tasks = [asyncio.create_task(each.run()) for each in minting for _ in range(4)]
        async with asyncio.timeout(20):
            for each in minting:
                await each.some.wait()
        yield admin, minting, [process for process, _, _ in started]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def disabled(admin) -> float:
    """Disable the signing key; when the reply was there, in monotonic seconds."""
    keys = [key async for key in admin.list_keys()]
    await admin.disable_key(keys[0].key_id, "stolen")
    return time.monotonic()


async def test_no_replica_signs_a_second_later(replicas, record_property):
    """Under load, over SQLite and PostgreSQL: the last token of either replica is not later than that."""
    admin, minting, _ = replicas
    replied = await disabled(admin)
    await asyncio.sleep(2 * PROMISE)
    for each in minting:
        assert each.minted[-1] - replied < PROMISE
        refused = [reason for at, reason in each.failed if at > replied + PROMISE]
        assert refused
        assert set(refused) <= {"NO_ACTIVE_KEY", "SIGNER_UNAVAILABLE"}
    latest = max(each.minted[-1] for each in minting) - replied
    record_property("last signature after the reply, ms", round(latest * 1000))


async def test_a_replica_that_stood_still_signs_nothing_when_it_goes_on(replicas):
    """One that was stopped while the key was disabled looks before it hands a signature out."""
    admin, minting, processes = replicas
    (worker,) = psutil.Process(processes[1].pid).children()
    os.kill(worker.pid, signal.SIGSTOP)
    try:
        replied = await disabled(admin)
        await asyncio.sleep(1.5 * PROMISE)
    finally:
        os.kill(worker.pid, signal.SIGCONT)
    await asyncio.sleep(PROMISE)
    assert [at for at in minting[1].minted if at > replied + PROMISE] == []
