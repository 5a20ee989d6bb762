"""Bad clients, one kind after the other: the others are served all the while, and nothing of them stays."""

import asyncio
import ssl
from dataclasses import dataclass, replace

import httpx
import psutil
import pytest
import pytest_asyncio
from countersign import GatewayClient, RetryPolicy, TlsConfig

from tests.support import bad_http1, bad_http2, bad_tls
from tests.support.bad_clients import Attack, Door, DoorKind, attacking
from tests.support.development import Development, development_gateway
from tests.support.edge import free_ports
from tests.support.softhsm import eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

ATTACKS = [
    pytest.param(attack, kind, id=f"{attack.name}-{kind}")
    for attack in (*bad_tls.ATTACKS, *bad_http2.ATTACKS, *bad_http1.ATTACKS)
    for kind in attack.kinds
]
PARALLEL = 10
PAUSE = 0.2
"""Seconds between two bursts of an attack: what it does is tried here, and how fast is measured elsewhere."""
CALLS = 2
PATIENCE = 60
"""Seconds that others give a call: on a loaded machine the gateway may tell them to come again."""
OVERLOADED = 503
ATTEMPTS = 20
SLACK = 4
"""Files that the gateway opens when it likes, such as connections to its database."""


@dataclass(frozen=True)
class Victim:
    """A gateway in a process of its own, and who is served by it all the while."""

    development: Development
    https_port: int
    worker: psutil.Process
    backend: GatewayClient
    https: httpx.AsyncClient

    def door(self, kind: DoorKind, source: str) -> Door:
        """The listener of *kind*, and what an attacker at *source* needs to connect."""
        addresses = {
            DoorKind.GRPC: self.development.tls,
            DoorKind.GRPC_MTLS: self.development.mtls,
            DoorKind.HTTPS: f":{self.https_port}",
        }
        files = None
        if kind is DoorKind.GRPC_MTLS:
            files = tuple(self.development.folder / name for name in ("orders-api.pem", "orders-api-key.pem"))
        port = int(addresses[kind].rpartition(":")[2])
        return Door.of(kind, port, self.development.folder / "ca.pem", files, source=source)

    async def serves(self) -> None:
        """A token over gRPC, and the keys over HTTPS. Raises whatever goes wrong."""
        await self.backend.mint_token("orders-backend", timeout=PATIENCE)
        for _ in range(ATTEMPTS):
            answer = await self.https.get("/oauth2/jwks")
            if answer.status_code != OVERLOADED:
                break
            await asyncio.sleep(int(answer.headers["retry-after"]))
        answer.raise_for_status()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def victim(tmp_path_factory):
    """One gateway for all attacks."""
    (port,) = free_ports(1)
    folder = tmp_path_factory.mktemp("victim") / "var"
    running = development_gateway(folder, "--https-address", f"127.0.0.1:{port}")
    development = await asyncio.to_thread(running.__enter__)
    try:
        (worker,) = psutil.Process(development.process.pid).children()
        tls = TlsConfig(
            ca=folder / "ca.pem",
            certificate=folder / "orders-backend.pem",
            private_key=folder / "orders-backend-key.pem",
        )
        retry = RetryPolicy(max_attempts=ATTEMPTS)
        trusted = ssl.create_default_context(cafile=str(folder / "ca.pem"))
        async with (
            GatewayClient(development.tls, mtls_target=development.mtls, tls=tls, retry=retry) as backend,
            httpx.AsyncClient(
                base_url=f"https://localhost:{port}", verify=trusted, timeout=PATIENCE, trust_env=False
            ) as https,
        ):
            victim = Victim(development, port, worker, backend, https)
            await victim.serves()
            yield victim
    finally:
        await asyncio.to_thread(running.__exit__, None, None, None)


@pytest.mark.parametrize(("attack", "kind"), ATTACKS)
async def test_others_are_served(victim: Victim, attack: Attack, kind: DoorKind):
    """While the attack goes on every call of others succeeds; when it is over nothing of it is left."""
    # Each from an address of its own: what the gateway does to one lasts.
    source = f"127.0.0.{2 + [each.values[0].name for each in ATTACKS].index(attack.name)}"
    before = victim.worker.num_fds()
    async with attacking(
        replace(attack, parallel=min(attack.parallel, PARALLEL)), victim.door(kind, source), pause=PAUSE
    ) as struck:
        await struck.reached(PARALLEL)
        for _ in range(CALLS):
            await victim.serves()
    await eventually(lambda: victim.worker.num_fds() <= before + SLACK)
