"""kill -9 of a worker at any moment: whatever was acknowledged holds, and service goes on by itself."""

import asyncio
import os
import signal
import sqlite3

import psutil
from countersign import CountersignError, GatewayClient, RetryPolicy, TlsConfig

from tests.support.development import development_gateway
from tests.support.edge import free_ports

ROUNDS = 4


def client(gateway, name) -> GatewayClient:
    tls = TlsConfig(
        ca=gateway.folder / "ca.pem",
        certificate=gateway.folder / f"{name}.pem",
        private_key=gateway.folder / f"{name}-key.pem",
    )
    return GatewayClient(
        gateway.tls, mtls_target=gateway.mtls, tls=tls, retry=RetryPolicy(max_attempts=1), wait_for_ready=True
    )


def worker_of(gateway) -> int:
    """The process id of the one worker, once there is one."""
    (worker,) = psutil.Process(gateway.process.pid).children()
    return worker.pid


async def test_no_acknowledged_revocation_is_lost(tmp_path):
    """A worker killed in the middle of minting and revoking is replaced, and revoked tokens stay revoked."""
    revoked: list[str] = []
    failures: list[CountersignError] = []
    stop, progress = asyncio.Event(), asyncio.Event()

    async def churn(backend):
        while not stop.is_set():
            try:
                token = (await backend.mint_token("orders-backend", timeout=20)).value
                await backend.revoke_token(token, client_id="orders-backend", timeout=20)
            except CountersignError as error:
                failures.append(error)
            else:
                revoked.append(token)
                if len(revoked) % 20 == 0:
                    progress.set()

    # One port for the supervisor's life, so that the next worker is found where the last one was.
    tls, mtls = free_ports(2)
    addresses = ("--tls-address", f"127.0.0.1:{tls}", "--mtls-address", f"127.0.0.1:{mtls}")
    with development_gateway(tmp_path / "var", *addresses) as gateway:
        async with client(gateway, "orders-backend") as backend, client(gateway, "orders-api") as api:
            callers = [asyncio.create_task(churn(backend)) for _ in range(4)]
            for _ in range(ROUNDS):
                progress.clear()
                async with asyncio.timeout(30):
                    await progress.wait()
                os.kill(worker_of(gateway), signal.SIGKILL)
            stop.set()
            await asyncio.gather(*callers)
            answers = await api.batch_introspect_tokens(revoked[-1000:], timeout=20)

    with sqlite3.connect(gateway.folder / "countersign.db") as database:
        (integrity,) = database.execute("PRAGMA integrity_check").fetchone()
        (rows,) = database.execute("SELECT count(*) FROM revocations").fetchone()
    assert {None} == set(answers)
    assert integrity == "ok"
    assert rows >= len(revoked)
    assert {"UNAVAILABLE"} == {error.code.name for error in failures}
